"""A figure per task: how the regret falls over evaluations and over simulated time.

Lines are medians over the seeds, bands quartiles.
"""

import sys
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.search.cells import GOAL_CELLS, Cell
from bench.search.report import Table
from bench.search.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOOR = 0.01
"""The lowest regret that is shown, on a logarithmic scale: zero is at this line."""

COLUMNS = 3
_POINTS = 200
_COLOURS = {
    "ours": "black",
    "svm": "tab:brown",
    "svm-paper": "tab:pink",
    "random": "tab:gray",
    "regularized": "tab:green",
    "local": "tab:blue",
    "tpe": "tab:red",
    "nsga2": "tab:orange",
    "gp": "tab:purple",
}


def plot(found: Table, place: Path) -> None:
    """Draw the cells of a task that have results: a column each, two rows.

    Of NAS-Bench-201 those that the goals are of, if any of them is there.
    """
    try:
        import matplotlib
    except ImportError:
        print("bench.search: no matplotlib here, so no plot", file=sys.stderr)
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    cells = [cell for cell, methods in found.items() if any(methods.values())]
    cells = [cell for cell in cells if cell in GOAL_CELLS] or cells
    if not cells:
        return
    columns = len(cells) if len(cells) <= COLUMNS + 1 else COLUMNS
    rows = 2 * ceil(len(cells) / columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(5 * columns, 3 * rows), squeeze=False
    )
    for axis in axes.flat:
        axis.set_visible(False)
    for index, cell in enumerate(cells):
        block, column = divmod(index, columns)
        for row, by_time in enumerate((False, True)):
            axis = axes[2 * block + row, column]
            axis.set_visible(True)
            _draw(axis, cell, found[cell], by_time=by_time)
    handles = {
        label: handle
        for axis in axes.flat
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper center",
        ncols=4 if columns == 1 else len(handles),
        fontsize=8,
    )
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.5 / (3 * rows)))
    figure.savefig(place, dpi=90)
    pyplot.close(figure)


def _draw(
    axis: "Axes", cell: Cell, methods: Mapping[str, Results], *, by_time: bool
) -> None:
    unit = 1.0 if cell.task == "nk" else 3600.0
    end = _end(methods) / unit if by_time else float(cell.evaluations)
    grid = np.linspace(end / _POINTS, end, _POINTS)
    for name, results in methods.items():
        if not results:
            continue
        curves = np.array(
            [
                _curve(result["steps"], grid, by_time, unit)
                for result in results.values()
            ]
        )
        if cell.task == "nk":
            curves = -curves
        # A seed that nothing has ended for yet counts as having the worst of regrets.
        worst = -np.inf if cell.task == "nk" else np.inf
        curves = np.where(np.isnan(curves), worst, curves)
        quartiles = np.quantile(curves, (0.25, 0.5, 0.75), axis=0, method="lower")
        lower, median, upper = np.where(np.isfinite(quartiles), quartiles, np.nan)
        if cell.task != "nk":
            lower, median, upper = (
                np.maximum(line, FLOOR) for line in (lower, median, upper)
            )
        colour = _COLOURS.get(name)
        (line,) = axis.plot(grid, median, label=name, color=colour, linewidth=1.4)
        axis.fill_between(grid, lower, upper, color=line.get_color(), alpha=0.12)
    axis.set_title(f"{cell.problem}, {cell.evaluations} at {cell.workers}", fontsize=9)
    clock = "simulated s" if cell.task == "nk" else "simulated hours"
    axis.set_xlabel(clock if by_time else "evaluations", fontsize=8)
    axis.set_ylabel(
        "best fitness" if cell.task == "nk" else "oracle regret", fontsize=8
    )
    axis.tick_params(which="both", labelsize=7)
    axis.grid(alpha=0.3)
    if cell.task != "nk":
        axis.set_yscale("log")


def _curve(
    steps: list[list[float]], grid: NDArray[np.float64], by_time: bool, unit: float
) -> NDArray[np.float64]:
    """The regret at each place of a grid; NaN before the first result."""
    told, seconds, regret = np.array(steps).T
    places = seconds / unit if by_time else told
    at = np.searchsorted(places, grid, side="right")
    return np.append(np.nan, regret)[at]


def _end(methods: Mapping[str, Results]) -> float:
    """The time of the last improvement of nearly all searches."""
    ends = [
        result["steps"][-1][1]
        for results in methods.values()
        for result in results.values()
    ]
    return float(np.quantile(ends, 0.95))
