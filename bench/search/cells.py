"""The cells of the benchmark: a problem, so many evaluations, so many workers."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bench.search.landscape import Landscape
from bench.search.problem import Problem
from bench.search.tables import FCNET, NAS, Table, load


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of a table."""

    task: str
    problem: str
    evaluations: int
    workers: int

    @property
    def name(self) -> str:
        """As files and tables call it."""
        return f"{self.task}-{self.problem}-{self.evaluations}x{self.workers}"


def _nas(*budgets: tuple[int, int]) -> tuple[Cell, ...]:
    return tuple(Cell("nas", name, *budget) for budget in budgets for name in NAS)


GOAL_CELLS = _nas((100, 8), (300, 8), (300, 64))
"""Those that the goals are of."""

CELLS = {
    "nas": GOAL_CELLS + _nas((100, 1), (300, 1), (100, 64)),
    "nk": (Cell("nk", "nk", 1000, 8),),
    "fcnet": tuple(Cell("fcnet", name, 100, 8) for name in FCNET),
}


def problem_of(cell: Cell, seed: int, cache: Path) -> Problem:
    """The problem of a cell; of landscapes each seed has its own."""
    if cell.task == "nk":
        return Landscape(seed)
    return table_of(cell.problem, cache)


@lru_cache
def table_of(name: str, cache: Path) -> Table:
    """A table, loaded once in a process."""
    return load(name, cache)
