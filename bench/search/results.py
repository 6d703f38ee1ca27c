"""Raw results: a file per cell and method, a line per seed, measured once and kept.

The first line of a file is what its results depend on, the method's revision. With another
revision the file is begun anew; with the same one only the seeds that lack are measured.
"""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.search.cells import Cell, problem_of
from bench.search.measures import reached
from bench.search.methods import make_method, revision
from bench.search.simulate import simulate

Settings = Mapping[str, object]
Results = dict[int, dict[str, Any]]
"""By seed the fields of `Reached`, seconds None for never."""


@dataclass(frozen=True, slots=True)
class Store:
    """The folder of the raw results; each method has the settings of its strategy."""

    folder: Path
    settings: Mapping[str, Settings]

    @property
    def cache(self) -> Path:
        """Where the tables' arrays lie."""
        return self.folder / "tables"

    def place(self, cell: Cell, method: str) -> Path:
        """The file of a cell and a method."""
        return self.folder / "raw" / f"{cell.name}.{method}.jsonl"

    def header(self, method: str) -> dict[str, Any]:
        """The first line of a file."""
        return {"revision": revision(method, self.settings.get(method, {}))}

    def read(self, cell: Cell, method: str, *, stale: bool = False) -> Results:
        """The results that there are; ``stale``: those of another revision too."""
        place = self.place(cell, method)
        if not place.exists():
            return {}
        first, *lines = place.read_text().splitlines()
        if not stale and json.loads(first) != self.header(method):
            return {}
        # A line that was cut short is none; the next one then begins on a line of its own.
        entries = [json.loads(line) for line in lines if line.endswith("}")]
        return {entry["seed"]: entry for entry in entries}

    def measure(
        self, cells: list[Cell], methods: list[str], seeds: int, *, jobs: int
    ) -> Iterator[tuple[Cell, str, int]]:
        """Measure what lacks, a cell after the other; yields each cell and method that is
        complete, and how many of its seeds were measured now."""
        for cell in cells:  # tables are extracted once, and shared by fork
            problem_of(cell, 0, self.cache)
        with ProcessPoolExecutor(jobs) as pool:
            for cell in cells:
                for method in methods:
                    known = self.read(cell, method)
                    lacking = [seed for seed in range(seeds) if seed not in known]
                    place = self.place(cell, method)
                    if known:
                        _end_last_line(place)
                    else:
                        place.parent.mkdir(parents=True, exist_ok=True)
                        place.write_text(json.dumps(self.header(method)) + "\n")
                    settings = self.settings.get(method, {})
                    works = [
                        (cell, method, seed, settings, self.cache) for seed in lacking
                    ]
                    for entry in pool.map(_result, works):
                        with place.open("a") as file:
                            file.write(json.dumps(entry) + "\n")
                    yield cell, method, len(lacking)


def _end_last_line(place: Path) -> None:
    if not place.read_bytes().endswith(b"\n"):
        with place.open("a") as file:
            file.write("\n")


def _result(work: tuple[Cell, str, int, Settings, Path]) -> dict[str, object]:
    """One search; what it draws follows from its seed alone."""
    cell, method, seed, settings, cache = work
    problem = problem_of(cell, seed, cache)
    history = simulate(
        problem,
        make_method(method, problem, seed, settings),
        evaluations=cell.evaluations,
        workers=cell.workers,
        rng=np.random.default_rng([seed, 2]),
    )
    return {"seed": seed, **reached(problem, history).as_json()}
