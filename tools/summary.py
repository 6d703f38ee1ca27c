"""What a search prints at its end: the best network, and what to do with it."""

import shlex
from pathlib import Path

from ribosome.backends.data import find_data, read_info
from ribosome.genome.space_file import load_space
from ribosome.genome.task import Training
from ribosome.runner.config import Config
from ribosome.runner.filesystems import is_shared, kind
from ribosome.runner.observer import Summary
from ribosome.runner.records import count_beyond_limits, read_workers
from ribosome.runner.savings import read_savings
from ribosome.tools import text
from ribosome.tools.commands.results import confirmation
from ribosome.tools.options import read_genome_of_run

_NAMED = 4
"""Nodes that are named one by one."""


def print_summary(config: Config, run: Path, summary: Summary, *, live: bool) -> None:
    """Print the best network as a table, its accuracy, the endings, and commands.

    ``live``: stdout ends in a terminal, even if it does not look so.
    """
    from rich.console import Console

    from ribosome.tools.network_view import table, view

    console = Console(highlight=False, force_terminal=True if live else None)
    best = summary.best
    if best is not None:
        info = read_info(find_data(config.task.data))
        space, genes = read_genome_of_run(best.genome, config.space.name)
        seen = view(
            space, genes, info.task(Training()), backend_name=config.backend.name
        )
        console.print(
            f"\nThe best network: trial {best.trial}, "
            f"accuracy {best.fitness:.4f} on {info.val:,} validation images",
            style="bold",
        )
        if best.confirmed is not None:
            console.print(f"Trained again: {confirmation(best.confirmed)}.")
        console.print(table(seen))
    console.print(f"\n{endings(summary)}", markup=False)
    for line in filter(None, (*ended_early(run), staged(run) or unstaged(config))):
        console.print(line, markup=False)
    if best is None:
        console.print(
            "No network has an accuracy. See why: "
            + shlex.join(["ribosome", "results", str(run), "--failures"]),
            soft_wrap=True,
            markup=False,
        )
        return
    for title, line in next_steps(config, run, best.genome):
        console.print(f"\n{title}:")
        console.print(f"  {line}", soft_wrap=True, markup=False)


def endings(summary: Summary) -> str:
    """How many trials ended how, and how fast this session was."""
    counts = text.counts(summary.endings)
    line = f"{summary.evaluated} networks evaluated: {counts}."
    if summary.session and summary.seconds > 0:
        rate = 3600 * summary.session / summary.seconds
        which = (
            ""
            if summary.session == summary.evaluated
            else f"{summary.session} of them in "
        )
        took = text.duration(summary.seconds)
        line += f"\nTime: {which}{took}, {rate:,.0f} networks/hour."
    return line


def ended_early(run: Path) -> list[str]:
    """What was rejected or stopped, a line each; none for nothing. Raises RunError."""
    savings, lines = read_savings(run), [beyond_limits(run)]
    if savings.rejected:
        lines.append(f"{_networks(savings.rejected)} rejected before training.")
    if savings.stopped:
        whole = savings.trained + savings.saved
        share = savings.saved / whole if whole else 0.0
        lines.append(
            f"{_networks(savings.stopped)} stopped during training, of {savings.ended:,}: "
            f"{savings.saved:,} of {whole:,} batches saved ({share:.0%})."
        )
    return lines


def _networks(number: int) -> str:
    return "1 network was" if number == 1 else f"{number:,} networks were"


def beyond_limits(run: Path) -> str:
    """How many networks [limits] kept from being evaluated; "" for none. Raises RunError."""
    rejected = count_beyond_limits(run)
    if not rejected:
        return ""
    return f"{_networks(rejected)} rejected by the limits, at no evaluation."


def staged(run: Path) -> str:
    """On how many nodes the data was staged, and what of it was read for that; "" for none.

    That is the size of the data for every node, whatever the number of networks. Where a
    worker has read the data folder itself, in any session, its node is named. Raises
    RunError where there is no run.
    """
    workers = read_workers(run)
    nodes = {worker.host for worker in workers if worker.staged}
    if not nodes:
        return ""
    copies = [worker.bytes_read for worker in workers if worker.bytes_read]
    where = _nodes(len(nodes))
    if len(copies) > len(nodes):
        where += f" in {len(copies)} copies"
    line = (
        f"Data staged on {where}: {text.size(sum(copies))} read from the data folder, "
        "besides what the master checked."
    )
    others = sorted({worker.host for worker in workers if not worker.staged})
    if others:
        named = ", ".join(others[:_NAMED])
        if len(others) > _NAMED:
            named += f" and {_nodes(len(others) - _NAMED)} more"
        line += f" Workers on {named} read the data folder itself."
    return line


def _nodes(number: int) -> str:
    return "1 node" if number == 1 else f"{number} nodes"


def unstaged(config: Config) -> str:
    """That trials read their data from a shared file system; "" where they do not.

    How much they read is not known.
    """
    data = Path(find_data(config.task.data))
    if is_shared(data):
        return f"Data not staged: every trial read it from {kind(data)}."
    return ""


def next_steps(config: Config, run: Path, genome: str) -> list[tuple[str, str]]:
    """Commands to copy: what they do, and the exact line."""
    backend = config.backend.name
    decode = ["ribosome", "decode", genome, "--backend", backend]
    named = genome.split("-")[0]
    if config.space.name != named == load_space(config.space.name).name:
        decode += ["--space", config.space.name]
    if config.task.data != "digits":
        decode += ["--data", config.task.data]
    run_name = str(run)
    return [
        ("Its source code", shlex.join([*decode, "-o", "best"])),
        (
            "The same with its trained weights",
            shlex.join(
                ["ribosome", "export", run_name, "--backend", backend, "-o", "best"]
            ),
        ),
        ("All results", shlex.join(["ribosome", "results", run_name])),
    ]
