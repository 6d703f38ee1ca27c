"""Shows the failures of a run to people: a group of them a paragraph, the largest first."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from ribosome.genome.harmless import harmless
from ribosome.tools import text
from ribosome.tools.failures import Group, group, outliers

if TYPE_CHECKING:
    from rich.console import Console

    from ribosome.runner.records import Record

_INDENT = "    "
_NAMED = 4
"""Workers, hosts or trials that are named one by one."""


def print_failures(
    console: "Console", run: Path, trials: "Sequence[Record]", *, top: int
) -> None:
    """Print the ``top`` groups of the failures among all trials of a run."""
    from ribosome.runner.records import read_workers

    groups = group(trials)
    if not groups:
        console.print("No trial has failed.")
        return
    hosts = {worker.worker: worker.host for worker in read_workers(run)}
    everybody = {t.worker for t in trials if t.ending and t.worker is not None}
    for alike in groups[:top]:
        _print_group(console, run, alike, hosts, len(everybody))
    if len(groups) > top:
        rest = sum(len(alike.trials) for alike in groups[top:])
        console.print(
            f"{len(groups) - top} more kinds with {rest} failures: --top {len(groups)}\n",
            markup=False,
        )
    for bad in outliers(trials)[:_NAMED]:
        console.print(
            f"{_worker(bad.worker, hosts)} fails far more than the others: "
            f"{bad.failed} of {bad.ended} ({text.percent(bad.failed / bad.ended)}), "
            f"the others {text.percent(bad.others)}.\n",
            style="bold",
            markup=False,
        )


def _print_group(
    console: "Console",
    run: Path,
    alike: Group,
    hosts: Mapping[int, str],
    everybody: int,
) -> None:
    from rich.text import Text

    first = alike.trials[0]
    head = Text(
        f"{len(alike.trials)} {alike.ending.replace('_', ' ')}",
        style="bold",
    )
    head.append(
        f" ({text.percent(alike.share)} of the failures), {_trials(alike)}, "
        f"{_workers(alike.workers, hosts, everybody)}",
        style="not bold",
    )
    console.print(head)
    message = harmless((first.message or "").strip()) or "no message"
    width = max(console.width, 2 * len(_INDENT))
    shown = fill(
        f"trial {first.trial}: {message}",
        width,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT,
        break_on_hyphens=False,
    )
    # Genomes and paths are for copying: never broken, whatever the width.
    genome = f"{_INDENT}genome: {first.genome}"
    log = f"{_INDENT}log: {_log(run, alike)}"
    console.print(f"{shown}\n{genome}\n{log}\n", markup=False, soft_wrap=True)


def _log(run: Path, alike: Group) -> str:
    """Where a log of the group is, of the first trial that has one."""
    from ribosome.runner.trial import LOG
    from ribosome.runner.trial_folders import TRIALS

    for trial in alike.trials:
        path = run / TRIALS / str(trial.trial) / LOG
        if path.is_file():
            return str(path)
    return "none was kept"


def _trials(alike: Group) -> str:
    numbers = [trial.trial for trial in alike.trials]
    if len(numbers) == 1:
        return f"trial {numbers[0]}"
    if len(numbers) <= _NAMED:
        return f"trials {', '.join(map(str, numbers))}"
    return f"trials {numbers[0]} to {numbers[-1]}"


def _workers(workers: Sequence[int], hosts: Mapping[int, str], everybody: int) -> str:
    if not workers:
        return "no worker known"
    if len(workers) == 1:
        return _worker(workers[0], hosts).lower()
    where = sorted({hosts[worker] for worker in workers if worker in hosts})
    on = ""
    if where:
        named = ", ".join(where) if len(where) <= _NAMED else f"{len(where)} hosts"
        on = f" on {named}"
    if len(workers) == everybody:
        return f"{'both' if everybody == 2 else f'all {everybody}'} workers{on}"
    if len(workers) <= _NAMED:
        return f"workers {', '.join(map(str, workers))}{on}"
    return f"{len(workers)} of {everybody} workers{on}"


def _worker(worker: int, hosts: Mapping[int, str]) -> str:
    host = hosts.get(worker)
    return f"Worker {worker} on {host}" if host else f"Worker {worker}"
