"""What a strategy costs the master: CPU microseconds and bytes per trial.

Run it as ``python bench/search_speed.py [SPACE]``. The canonical form is left out: it
is the language's cost, not the strategy's. For each strategy a number of results is
told first, so that its memory of what was proposed is as large as in a long run.
"""

import sys
import tracemalloc
from dataclasses import dataclass
from time import process_time

import numpy as np

from ribosome.genome.space import Genes, Group
from ribosome.genome.space_file import load_space
from ribosome.runner.config import SearchConfig
from ribosome.search.novelty import Novelty
from ribosome.search.registry import make_strategy
from ribosome.search.strategy import Strategy
from ribosome.search.variation import draw

TARGET_US = 60.0
HISTORY = 100_000
ROUNDS = 5
TIMED = 4_000  # a round; the best one counts, on a machine with other work to do
WEIGHED = 20_000
OUTSTANDING = 1_000


@dataclass(frozen=True)
class Raw:
    """A language in which all genes are canonical."""

    groups: tuple[Group, ...]

    def canonical(self, genes: Genes) -> Genes:
        """The genes themselves."""
        return genes

    def admits(self, genes: Genes) -> bool:  # noqa: ARG002
        """Always."""
        return True


def advance(
    strategy: Strategy, fitness: list[float | None], *, first: int, outstanding: int
) -> float:
    """Tell and ask once per fitness; the CPU seconds that it took."""
    started = process_time()
    for trial, value in enumerate(fitness, start=first):
        strategy.ask(trial + outstanding)
        strategy.tell(trial, value)
    return process_time() - started


def measure(language: Raw, settings: SearchConfig) -> tuple[float, float]:
    """CPU microseconds per ask and tell, and bytes that each result leaves behind."""
    outcomes = np.random.default_rng(0)
    strategy = make_strategy(settings, language, np.random.default_rng(1))
    for trial in range(OUTSTANDING):
        strategy.ask(trial)

    def fitness(count: int) -> list[float | None]:
        return [x if x > 0.25 else None for x in outcomes.random(count).tolist()]

    advance(strategy, fitness(HISTORY), first=0, outstanding=OUTSTANDING)
    trial = HISTORY
    rounds = []
    for _ in range(ROUNDS):
        rounds.append(
            advance(strategy, fitness(TIMED), first=trial, outstanding=OUTSTANDING)
        )
        trial += TIMED
    values = fitness(WEIGHED)
    tracemalloc.start()
    advance(strategy, values, first=trial, outstanding=OUTSTANDING)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return min(rounds) / TIMED * 1e6, size / WEIGHED


def seen_size(count: int) -> float:
    """Bytes that the memory of what was proposed takes per genome, table included."""
    rng = np.random.default_rng(2)
    keys = [((key,),) for key in rng.integers(0, 2**60, count).tolist()]
    tracemalloc.start()
    novelty = Novelty(Raw(()))
    for key in keys:
        novelty.add(key)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / count


def main() -> None:
    """Print the table."""
    space = load_space(sys.argv[1] if len(sys.argv) > 1 else "menndl")
    language = Raw(space.groups)
    rng = np.random.default_rng(3)
    started = process_time()
    for _ in range(TIMED):
        draw(space.groups, rng)
    floor = (process_time() - started) / TIMED * 1e6
    print(
        f"{space.name} {space.version}, population 1000, {OUTSTANDING} outstanding, "
        f"after {HISTORY} results; one random draw alone: {floor:.1f} us"
    )
    for strategy, replacement in (
        ("evolution", "age"),
        ("evolution", "fitness"),
        ("random", "-"),
    ):
        settings = SearchConfig(
            strategy=strategy,
            population=1000,
            replacement="age" if replacement == "-" else replacement,
        )
        microseconds, size = measure(language, settings)
        verdict = "reached" if microseconds < TARGET_US else "MISSED"
        print(
            f"{strategy:10s} {replacement:8s} ask + tell {microseconds:5.1f} us "
            f"(target {TARGET_US:.0f}: {verdict}), {size:4.0f} bytes per result"
        )
    print(f"{seen_size(1_000_000):.0f} bytes per genome remembered, at a million")


if __name__ == "__main__":
    main()
