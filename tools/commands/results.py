"""`ribosome results`: what a run has found, also while it goes on."""

import csv
import json
import shlex
import sys
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ribosome.tools import text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ribosome.runner.records import Record

TOP = 10


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
def command(
    run: Path, top: int | None, as_csv: bool, as_json: bool, failures: bool
) -> None:
    """Print the results of a run, also while it runs.

    Times are in seconds since the epoch in --csv and --json; a missing value is empty
    or null.
    """
    if as_csv and as_json:
        raise click.UsageError("Give --csv or --json, not both.")
    if as_json:
        chosen = _chosen(run, top, failures=failures)
        click.echo(json.dumps([fields(trial) for trial in chosen], indent=1))
    elif as_csv:
        _print_csv(_chosen(run, top, failures=failures))
    else:
        _print_for_people(run, top or TOP, failures=failures)


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


def fields(trial: "Record") -> dict[str, object]:
    """All fields of a trial, by name."""
    import msgspec

    return dict(msgspec.structs.asdict(trial))


def _chosen(run: Path, top: int | None, *, failures: bool) -> "Iterable[Record]":
    """The trials for a program, one by one where that is possible."""
    from ribosome.runner.records import iter_trials, read_best
    from ribosome.tools.failures import is_failure

    if failures:
        return islice(filter(is_failure, iter_trials(run)), top)
    return iter_trials(run) if top is None else read_best(run, top)


def _print_for_people(run: Path, top: int, *, failures: bool) -> None:
    from rich.console import Console

    from ribosome.runner.records import count_endings, read_best, read_trials
    from ribosome.tools.failure_list import print_failures
    from ribosome.tools.summary import staged

    console = Console(highlight=False)
    if failures:
        print_failures(console, run, read_trials(run), top=top)
    else:
        _print_best(console, run, read_best(run, top))
    console.print(counts_by_ending(count_endings(run)), markup=False)
    if line := staged(run):
        console.print(line, markup=False)


def _print_best(console: "Console", run: Path, best: "list[Record]") -> None:
    if not best:
        console.print("No network has an accuracy yet.")
        return
    console.print(_best_table(best))
    console.print("The genome of the best:")
    console.print(best[0].genome, soft_wrap=True, markup=False)
    everything = shlex.join(["ribosome", "results", str(run), "--json"])
    console.print(
        f"Its layers: ribosome show GENOME\nAll genomes: {everything}",
        soft_wrap=True,
        markup=False,
    )


def _best_table(trials: "list[Record]") -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in (
        "trial",
        "accuracy",
        "loss",
        "params",
        "FLOPs\nper batch",
        "batches\nper s",
        "seconds",
        "gener-\nation",
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
            str(trial.generation),
        )
    return table


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _print_csv(trials: "Iterable[Record]") -> None:
    from ribosome.runner.records import Record

    writer = csv.DictWriter(sys.stdout, Record.__struct_fields__, lineterminator="\n")
    writer.writeheader()
    for trial in trials:
        row = fields(trial)
        row["parents"] = " ".join(str(parent) for parent in trial.parents)
        writer.writerow({name: _no_formula(value) for name, value in row.items()})


def _no_formula(value: object) -> object:
    """A text that a spreadsheet would calculate, marked as a text."""
    formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@"))
    return f"'{value}" if formula else value
