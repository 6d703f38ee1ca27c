"""The front of a run: the trials that no other beats in accuracy and all goals at once."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from ribosome.tools import text

if TYPE_CHECKING:
    from rich.table import Table

    from ribosome.runner.records import Record

_TITLES: dict[str, tuple[str, Callable[[float], str]]] = {
    "flops": ("FLOPs\nper sample", lambda value: text.count(-value)),
    "parameters": ("params", lambda value: text.count(round(-value))),
    "batches_per_s": ("batches\nper s", lambda value: f"{value:,.1f}"),
    "seconds": ("seconds", lambda value: f"{-value:.1f}"),
}
"""Title and form of a goal, whose value is to be as great as can be."""


class OnFront(NamedTuple):
    """A trial of the front, and its goals, each to be as great as can be."""

    trial: "Record"
    goals: tuple[float, ...]


def read_front(run: Path, names: Sequence[str]) -> list[OnFront]:
    """The front of a run, the most accurate first.

    Of all trials that ended ok and were trained to their end; repeats of others are left
    out, and so is what a goal was not measured of. Raises RunError where there is no run.
    """
    from ribosome.runner.goals import goals_of
    from ribosome.runner.records import iter_trials, read_config

    goals = goals_of(names, partial(_batch_size, read_config(run).space.name))
    found = []
    for trial in iter_trials(run):
        first = trial.phase != "confirm" and not trial.stopped
        if first and trial.ending == "ok" and trial.fitness is not None:
            values = goals(trial.genome, trial)
            if values is not None:
                found.append(((trial.fitness, *values), trial))
    return [OnFront(trial, point[1:]) for point, trial in front(found)]


def goals_named(run: Path, given: str | None) -> tuple[str, ...]:
    """The goals of --goals, else those of the run. Raises UsageError, RunError."""
    import difflib

    from ribosome.runner.goals import GOALS
    from ribosome.runner.records import read_config

    if given is None:
        names = read_config(run).search.goals
        if not names:
            raise click.UsageError(
                "The run had no goals besides accuracy: name some of "
                f"{', '.join(GOALS)}, as in --goals flops,parameters."
            )
        return names
    names = tuple(name.strip() for name in given.split(","))
    for name in names:
        if name not in GOALS:
            near = difflib.get_close_matches(name, GOALS, n=1)
            hint = f"did you mean {near[0]}" if near else f"take of {', '.join(GOALS)}"
            raise click.UsageError(f"--goals: {name!r} is no goal; {hint}.")
    return names


def front(
    points: "Iterable[tuple[tuple[float, ...], Record]]",
) -> "list[tuple[tuple[float, ...], Record]]":
    """Those of which none is better in one number and no worse in any, the greatest first.

    Equals are all kept, in their order.
    """
    import numpy as np

    on_it: list[tuple[tuple[float, ...], Record]] = []
    values = np.empty((0, 0))
    # Whoever beats a point comes before it in this order.
    for point, trial in sorted(points, key=itemgetter(0), reverse=True):
        now = values[: len(on_it)]
        if on_it and ((now >= point).all(1) & (now > point).any(1)).any():
            continue
        if len(on_it) == len(values):
            more = np.empty((2 * len(values) + 16, len(point)))
            more[: len(on_it)] = now if on_it else more[:0]
            values = more
        values[len(on_it)] = point
        on_it.append((point, trial))
    return on_it


def front_table(names: Sequence[str], trials: Sequence[OnFront]) -> "Table":
    """Accuracy and goals of the front, for people."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("trial", "accuracy", *(_TITLES[name][0] for name in names)):
        table.add_column(title, justify="right")
    for trial, goals in trials:
        cells = [
            _TITLES[name][1](value) for name, value in zip(names, goals, strict=True)
        ]
        table.add_row(str(trial.trial), f"{trial.fitness:.4f}", *cells)
    return table


def _batch_size(space: str, genome: str) -> int:
    """It is the same for every task."""
    from ribosome.genome.task import DIGITS
    from ribosome.runner.goals import batch_size
    from ribosome.tools.options import read_genome_of_run

    return batch_size(read_genome_of_run(genome, space)[0], DIGITS, genome)
