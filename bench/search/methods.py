"""The methods by name, and those that need no library."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np

from bench.search.problem import Plain, Point, Problem, point_of, sizes_of
from bench.search.simulate import Method
from ribosome.runner.config import SearchConfig
from ribosome.search.registry import make_strategy

PEERS = ("random", "regularized", "local", "tpe", "nsga2")
"""On NAS-Bench-201 and the landscapes; on FCNet others (`bench.search.tasks`)."""


def config_of(settings: Mapping[str, object]) -> SearchConfig:
    """The defaults, but for these. Raises msgspec.ValidationError if they are none."""
    return msgspec.convert({**settings}, SearchConfig)


class Ours:
    """A strategy of Ribosome, by default the one that its users get."""

    def __init__(
        self, problem: Problem, seed: int, settings: Mapping[str, object]
    ) -> None:
        config = config_of(settings)
        rng = np.random.default_rng([seed, 1])
        self._strategy = make_strategy(config, Plain(problem.groups), rng)

    def ask(self, trial: int) -> Point:
        """Propose."""
        return point_of(self._strategy.ask(trial).genes)

    def tell(self, trial: int, point: Point, fitness: float) -> None:  # noqa: ARG002
        """Learn."""
        self._strategy.tell(trial, fitness)


class Random:
    """Points at random, never one twice."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._sizes = sizes_of(problem)
        self._rng = np.random.default_rng([seed, 1])
        self._seen: set[Point] = set()

    def ask(self, trial: int) -> Point:  # noqa: ARG002
        """Propose."""
        while (point := draw(self._sizes, self._rng)) in self._seen:
            pass
        self._seen.add(point)
        return point

    def tell(self, trial: int, point: Point, fitness: float) -> None:
        """Learn nothing."""


class Regularized:
    """Regularized evolution (Real et al. 2019): 100 members, the best of 25 is mutated.

    One gene of it goes to another allele; the oldest member dies. As in the paper, a point
    may come again.
    """

    POPULATION, SAMPLE = 100, 25

    def __init__(self, problem: Problem, seed: int) -> None:
        self._sizes = sizes_of(problem)
        self._rng = np.random.default_rng([seed, 1])
        self._members: list[tuple[float, Point]] = []

    def ask(self, trial: int) -> Point:
        """Propose."""
        if trial < self.POPULATION:
            return draw(self._sizes, self._rng)
        size = min(self.SAMPLE, len(self._members))
        places = self._rng.choice(len(self._members), size, replace=False)
        _, parent = max(self._members[place] for place in places)
        gene = int(self._rng.integers(len(self._sizes)))
        shift = int(self._rng.integers(1, self._sizes[gene]))
        return moved(parent, gene, (parent[gene] + shift) % self._sizes[gene])

    def tell(self, trial: int, point: Point, fitness: float) -> None:  # noqa: ARG002
        """Learn."""
        self._members = [*self._members, (fitness, point)][-self.POPULATION :]


class Local:
    """Local search with restarts (White et al. 2021), asynchronous, no point twice.

    Workers take the neighbours of the incumbent in random order; the first that is better
    is the next incumbent. Once none is left to take, a climb from a random point begins. A
    late result that improves the climb before it takes the search back there.
    """

    def __init__(self, problem: Problem, seed: int) -> None:
        self._sizes = sizes_of(problem)
        self._rng = np.random.default_rng([seed, 1])
        self._seen: set[Point] = set()
        self._climb_of: dict[int, int] = {}
        self._heights: list[float | None] = [None]  # of each climb's incumbent
        self._climb = 0
        self._neighbours: list[Point] = []

    def ask(self, trial: int) -> Point:
        """Propose."""
        if not self._neighbours and self._heights[self._climb] is not None:
            self._heights.append(None)
            self._climb = len(self._heights) - 1
        if self._neighbours:
            point = self._neighbours.pop()
        else:
            while (point := draw(self._sizes, self._rng)) in self._seen:
                pass
        self._seen.add(point)
        self._climb_of[trial] = self._climb
        return point

    def tell(self, trial: int, point: Point, fitness: float) -> None:
        """Learn."""
        climb = self._climb_of.pop(trial)
        height = self._heights[climb]
        if height is not None and fitness <= height:
            return
        self._heights[climb] = fitness
        self._climb = climb
        around = neighbours(point, self._sizes)
        unseen = [near for near in around if near not in self._seen]
        self._neighbours = [unseen[i] for i in self._rng.permutation(len(unseen))]


def draw(sizes: tuple[int, ...], rng: np.random.Generator) -> Point:
    """A point at random."""
    return tuple(rng.integers(sizes).tolist())


def moved(point: Point, gene: int, allele: int) -> Point:
    """The point with another allele of one gene."""
    return (*point[:gene], allele, *point[gene + 1 :])


def neighbours(point: Point, sizes: tuple[int, ...]) -> list[Point]:
    """All points with another allele of one gene."""
    return [
        moved(point, gene, allele)
        for gene, size in enumerate(sizes)
        for allele in range(size)
        if allele != point[gene]
    ]


def make_method(
    name: str, problem: Problem, seed: int, settings: Mapping[str, object]
) -> Method:
    """The method of this name; ``settings`` are those of ours and its variants."""
    makers: dict[str, Callable[[Problem, int], Method]] = {
        "random": Random,
        "regularized": Regularized,
        "local": Local,
    }
    if name in makers:
        return makers[name](problem, seed)
    if name in ("tpe", "nsga2"):
        from bench.search.optuna_methods import Sampled

        return Sampled(name, problem, seed)
    if name == "gp":
        from bench.search.gaussian import GaussianProcess

        return GaussianProcess(problem, seed)
    if name == "svm":
        from bench.search.svm_phase import SvmPhase

        return SvmPhase(problem, seed)
    if name == "svm-paper":
        from bench.search.svm_phase import SvmPhase

        return SvmPhase(problem, seed, rounds=1, among=1)
    return Ours(problem, seed, settings)


def revision(name: str, settings: Mapping[str, object]) -> str:
    """What a result of the method depends on: results of another one are measured anew.

    Ours depend on the settings and on the sources of the room ``search``. Raises
    `importlib.metadata.PackageNotFoundError` for a peer that is not installed.
    """
    if name in ("tpe", "nsga2"):
        return f"optuna {version('optuna')}"
    if name == "gp":
        return f"scikit-learn {version('scikit-learn')}"
    if name in PEERS:
        return "1"
    config = config_of(settings)
    return sha256(_sources() + msgspec.json.encode(config)).hexdigest()[:16]


@lru_cache
def _sources() -> bytes:
    """The sources of the room ``search``, read once: they may be at work while this runs."""
    room = Path(__file__).parents[2] / "search"
    return b"".join(path.read_bytes() for path in sorted(room.glob("*.py")))
