"""`ribosome results`: what a run has found, also while it goes on."""

import csv
import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ribosome.tools import text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ribosome.runner.confirmed import Confirmations, Confirmed
    from ribosome.runner.records import Record

TOP = 10

MORE = ("confirmed_mean", "confirmed_spread", "confirmations", "winner")
"""The fields of a trial that do not stand in its own row of the journal."""


@click.command("results")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--top",
    type=click.IntRange(min=1),
    help=f"How many, the best first; {TOP} in a table, else all in order of trial.",
)
@click.option("--csv", "as_csv", is_flag=True, help="All fields, for spreadsheets.")
@click.option("--json", "as_json", is_flag=True, help="All fields, for programs.")
@click.option("--failures", is_flag=True, help="What failed, alike ones together.")
@click.option(
    "--pareto",
    is_flag=True,
    help="The networks that no other beats in accuracy and all goals at once.",
)
@click.option(
    "--goals",
    metavar="NAMES",
    help="Of --pareto, in place of the run's: of flops, parameters, batches_per_s, seconds.",
)
@click.option(
    "--bias", is_flag=True, help="Whether fast networks breed more than slow."
)
def command(
    run: Path,
    top: int | None,
    as_csv: bool,
    as_json: bool,
    failures: bool,
    pareto: bool,
    goals: str | None,
    bias: bool,
) -> None:
    """Print the results of a run, also while it runs.

    Times are in seconds since the epoch in --csv and --json; a missing value is empty
    or null. A network that was trained again has the mean and the standard deviation of
    the repeats that did not fail, and the number of all.
    """
    if as_csv and as_json:
        raise click.UsageError("Give --csv or --json, not both.")
    if failures + pareto + bias > 1:
        raise click.UsageError("Give one of --failures, --pareto and --bias.")
    if goals is not None and not pareto:
        raise click.UsageError("--goals are those of --pareto: give that too.")
    if bias:
        _print_bias(run, as_csv=as_csv, as_json=as_json)
    elif pareto:
        _print_front(run, top, goals, as_csv=as_csv, as_json=as_json)
    elif as_json:
        rows = _rows(run, _chosen(run, top, failures=failures))
        click.echo(json.dumps(list(rows), indent=1))
    elif as_csv:
        _print_csv(_rows(run, _chosen(run, top, failures=failures)))
    else:
        _print_for_people(run, top or TOP, failures=failures)


def _print_bias(run: Path, *, as_csv: bool, as_json: bool) -> None:
    from ribosome.runner.records import read_config
    from ribosome.tools.bias_report import as_lines, as_object, read_bred

    if as_csv:
        raise click.UsageError("--bias is no table: give --json.")
    trials = read_bred(run)
    if as_json:
        click.echo(json.dumps(as_object(trials), indent=1))
    else:
        for line in as_lines(trials, read_config(run).search.arrivals):
            click.echo(line)


def _print_front(
    run: Path, top: int | None, given: str | None, *, as_csv: bool, as_json: bool
) -> None:
    from rich.console import Console

    from ribosome.tools.front import front_table, goals_named, read_front

    names = goals_named(run, given)
    trials = read_front(run, names)[:top]
    if as_json:
        rows = _rows(run, (trial for trial, _ in trials))
        click.echo(json.dumps(list(rows), indent=1))
    elif as_csv:
        _print_csv(_rows(run, (trial for trial, _ in trials)))
    elif trials:
        Console(highlight=False).print(front_table(names, trials))
    else:
        click.echo("No network has an accuracy and these goals yet.")


def counts_by_ending(counts: Mapping[str | None, int]) -> str:
    """How many trials ended how: "60 evaluated: 55 ok, 3 diverged, 2 timeout".

    None counts those that have not ended.
    """
    ended = {ending: count for ending, count in counts.items() if ending is not None}
    line = f"{sum(ended.values())} evaluated"
    if ended:
        line += f": {text.counts(ended)}"
    running = counts.get(None, 0)
    return f"{line}; {running} proposed or running" if running else line


def fields(
    trial: "Record", confirmed: "Confirmed | None" = None, *, winner: bool = False
) -> dict[str, object]:
    """All fields of a trial, by name, with what its repeats say."""
    import msgspec

    return {
        **msgspec.structs.asdict(trial),
        "confirmed_mean": confirmed and confirmed.mean,
        "confirmed_spread": confirmed and confirmed.spread,
        "confirmations": confirmed.repeats if confirmed else 0,
        "winner": winner,
    }


def _rows(run: Path, trials: "Iterable[Record]") -> Iterator[dict[str, object]]:
    from ribosome.runner.records import read_best, read_confirmations

    confirmations = read_confirmations(run)
    confirmed = {network.trial: network for network in confirmations}
    winner = _winner(confirmations, read_best(run, 1))
    for trial in trials:
        number = trial.trial
        yield fields(trial, confirmed.get(number), winner=number == winner)


def _winner(confirmations: "Confirmations", best: "list[Record]") -> int | None:
    """The number of the trial that the run names: by its repeats, or by its accuracy."""
    if confirmations.winner is not None:
        return confirmations.winner.trial
    return best[0].trial if best else None


def _chosen(run: Path, top: int | None, *, failures: bool) -> "Iterable[Record]":
    """The trials for a program, one by one where that is possible."""
    from ribosome.runner.records import iter_trials, read_best
    from ribosome.tools.failures import is_failure

    if failures:
        return islice(filter(is_failure, iter_trials(run)), top)
    return iter_trials(run) if top is None else read_best(run, top)


def _print_for_people(run: Path, top: int, *, failures: bool) -> None:
    from rich.console import Console

    from ribosome.runner.records import (
        count_endings,
        read_best,
        read_confirmations,
        read_trials,
    )
    from ribosome.tools.failure_list import print_failures
    from ribosome.tools.summary import ended_early, staged

    console = Console(highlight=False)
    if failures:
        print_failures(console, run, read_trials(run), top=top)
    else:
        _print_best(console, run, read_best(run, top), read_confirmations(run))
    console.print(counts_by_ending(count_endings(run)), markup=False)
    for line in filter(None, (*ended_early(run), staged(run))):
        console.print(line, markup=False)


def _print_best(
    console: "Console",
    run: Path,
    best: "list[Record]",
    confirmations: "Confirmations",
) -> None:
    if not best:
        console.print("No network has an accuracy yet.")
        return
    console.print(_best_table(best))
    winner, genome = confirmations.winner, best[0].genome
    if again := list(confirmations):
        console.print("Trained again, with other seeds:")
        console.print(_repeats_table(again))
    if winner is not None:
        genome = winner.genome
        console.print(
            f"The winner by its repeats: {confirmation(winner)}.", soft_wrap=True
        )
    console.print("The genome of the best:")
    console.print(genome, soft_wrap=True, markup=False)
    everything = shlex.join(["ribosome", "results", str(run), "--json"])
    console.print(
        f"Its layers: ribosome show GENOME\nAll genomes: {everything}",
        soft_wrap=True,
        markup=False,
    )


def confirmation(network: "Confirmed") -> str:
    """What the repeats of a network say, in a line without an end."""
    line = f"trial {network.trial}, accuracy {_repeated(network)}"
    if network.failed:
        line += f", {network.failed} failed"
    return f"{line}; {network.fitness:.4f} at first"


def _repeated(network: "Confirmed") -> str:
    """Mean, standard deviation and number of the repeats: "0.9512 ± 0.0040 (2)"."""
    count = f"({network.repeats})"
    if network.mean is None:
        return f"failed {count}"
    if network.spread is None:
        return f"{network.mean:.4f} {count}"
    return f"{network.mean:.4f} ± {network.spread:.4f} {count}"


def _repeats_table(networks: "list[Confirmed]") -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("trial", "at first", "mean", "spread", "repeats", "failed"):
        table.add_column(title, justify="right")
    networks.sort(key=lambda each: (each.failed, -(each.mean or 0.0), each.trial))
    for network in networks:
        table.add_row(
            str(network.trial),
            f"{network.fitness:.4f}",
            _or_dash(network.mean, "{:.4f}"),
            _or_dash(network.spread, "{:.4f}"),
            str(network.repeats),
            str(network.failed),
        )
    return table


def _best_table(trials: "list[Record]") -> "Table":
    from rich import box
    from rich.table import Table

    phases = any(trial.phase != "search" for trial in trials)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in (
        "trial",
        "accuracy",
        "loss",
        "params",
        "FLOPs\nper batch",
        "batches\nper s",
        "seconds",
        "phase" if phases else "gener-\nation",
    ):
        table.add_column(title, justify="right")
    for trial in trials:
        table.add_row(
            str(trial.trial),
            f"{trial.fitness:.4f}",
            _or_dash(trial.loss, "{:.4f}"),
            "-" if trial.parameters is None else text.count(trial.parameters),
            "-" if trial.flops_per_batch is None else text.count(trial.flops_per_batch),
            _or_dash(trial.batches_per_s, "{:,.1f}"),
            _or_dash(trial.seconds, "{:.1f}"),
            trial.phase if phases else str(trial.generation),
        )
    return table


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _print_csv(rows: "Iterable[dict[str, object]]") -> None:
    from ribosome.runner.records import Record

    names = (*Record.__struct_fields__, *MORE)
    writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        parents = row["parents"]
        assert isinstance(parents, tuple)
        row["parents"] = " ".join(map(str, parents))
        writer.writerow({name: _no_formula(value) for name, value in row.items()})


def _no_formula(value: object) -> object:
    """A text that a spreadsheet would calculate, marked as a text."""
    formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@"))
    return f"'{value}" if formula else value
