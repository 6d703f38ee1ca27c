"""What each setting of the evolution is worth, on problems that cost nothing to evaluate.

Run it as ``python bench/search_quality.py [SEEDS]``. A number in the table is how far the
winner of a search is above the winner of random search at equal evaluations, in standard
deviations of the latter over the seeds. The winner is the trial with the best *observed*
fitness; what counts is its true one. Trials take unequal times, and as many are under way
as there are workers.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from math import exp
from statistics import mean, stdev

import msgspec
import numpy as np

from ribosome.genome.space import Case, Gene, Genes, Group
from ribosome.runner.config import SearchConfig
from ribosome.search.registry import make_strategy

BUDGETS = ((300, 2), (300, 32), (1000, 8))  # evaluations, workers
VARIANTS: tuple[dict[str, object], ...] = (
    {},
    {"replacement": "fitness"},
    {"tournament": 3},
    {"tournament": 12},
    {"population": 12},
    {"population": 48, "tournament": 16},
    {"crossover": 0.0},
    {"crossover": 0.5},
    {"crossover": 1.0},
    {"crossover_kind": "one_point"},
    {"crossover_kind": "two_point"},
)


class Landscape:
    """Kauffman's NK landscape on 40 genes of 4 words; separable without neighbours."""

    noise = 0.0

    def __init__(self, seed: int, *, neighbours: int) -> None:
        gene = Gene("gene", tuple("abcd"), (1.0,) * 4)
        self.groups = tuple(Group(f"{i}", (Case("case", (gene,)),)) for i in range(40))
        self._reach = neighbours + 1
        self._tables = np.random.default_rng(seed).random((40, 4**self._reach)).tolist()

    def canonical(self, genes: Genes) -> Genes:
        """The genes themselves: every one of them matters."""
        return genes

    def true_fitness(self, genes: Genes) -> float | None:
        """The mean of what each gene, with those behind it, brings."""
        words = [values[1] for values in genes]
        total = 0.0
        for position, table in enumerate(self._tables):
            row = 0
            for step in range(self._reach):
                row = 4 * row + words[(position + step) % 40]
            total += table[row]
        return total / 40


class Networks:
    """Twelve slots and a solver: cases, numbers with an optimum, neighbours, failures.

    Empty slots mean nothing where they stand. A learning rate far from its optimum, or
    fewer than three layers, fails.
    """

    def __init__(self, seed: int, *, noise: float) -> None:
        layer = _case("layer", 3.0, numbers=(16, 8, 4, 8), words=(4, 3))
        pooling = _case("pooling", 1.0, numbers=(8, 4), words=(2,))
        norm = _case("norm", 0.5, numbers=(4, 6), words=())
        dense = _case("dense", 1.0, numbers=(16, 8), words=(4, 3))
        slot = (Case("none", (), 1.5), layer, pooling, norm, dense)
        solver = _case("solver", 1.0, numbers=(16, 6, 6, 6), words=(4, 5))
        self.groups = tuple(Group(f"slot {i}", slot) for i in range(12))
        self.groups += (Group("solver", (solver,)),)
        self.noise = noise
        rng = np.random.default_rng(seed)
        self._case = rng.random((13, 5)).tolist()
        self._pair = rng.normal(0.0, 0.5, (13, 5, 5)).tolist()
        self._value = {
            (where, group.cases.index(case), position): (_worths(gene, rng))
            for where, group in enumerate(self.groups)
            for case in group.cases
            for position, gene in enumerate(case.genes)
        }
        self._rate = int(np.argmax(self._value[12, 0, 0]))

    def canonical(self, genes: Genes) -> Genes:
        """The empty slots behind the others."""
        full = [values for values in genes[:-1] if values[0]]
        return (*full, *[(0,)] * (12 - len(full)), genes[-1])

    def true_fitness(self, genes: Genes) -> float | None:
        """A number between 0 and 1, or None for a failure."""
        layers = sum(values[0] > 0 for values in genes[:-1])
        if layers < 3 or abs(genes[-1][1] - self._rate) > 6:
            return None
        total, before = 0.0, 0
        for where, (case, *alleles) in enumerate(genes):
            weight = 4.0 if where == 12 else 1.0
            total += weight * self._case[where][case] + self._pair[where][before][case]
            for position, allele in enumerate(alleles):
                total += weight * self._value[where, case, position][allele]
            before = case
        return 1.0 / (1.0 + exp(-total / 15.0))


def _case(
    name: str, weight: float, *, numbers: tuple[int, ...], words: tuple[int, ...]
) -> Case:
    genes = [Gene(f"n{i}", tuple(range(n)), (1.0,) * n) for i, n in enumerate(numbers)]
    genes += [
        Gene(f"w{i}", tuple("abcdef"[:n]), (1.0,) * n) for i, n in enumerate(words)
    ]
    return Case(name, tuple(genes), weight)


def _worths(gene: Gene, rng: np.random.Generator) -> list[float]:
    """What each allele is worth: a hill over numbers, anything for words."""
    count, importance = len(gene.alleles), rng.random()
    if isinstance(gene.alleles[0], str):
        worths = rng.random(count)
    else:
        away = (np.arange(count) - rng.random() * count) / (0.3 * count)
        worths = np.exp(-(away**2))
    return [importance * (worth - 0.5) for worth in worths.tolist()]


Problem = Landscape | Networks
PROBLEMS: dict[str, Callable[[int], Problem]] = {
    "separable": lambda seed: Landscape(seed, neighbours=0),
    "NK, K = 4": lambda seed: Landscape(seed, neighbours=4),
    "networks": lambda seed: Networks(seed, noise=0.0),
    "with noise": lambda seed: Networks(seed, noise=0.03),
}


@dataclass
class Run:
    """One search as its workers would see it."""

    problem: Problem
    settings: SearchConfig
    seed: int

    def winner(self, *, evaluations: int, workers: int) -> float:
        """The true fitness of the trial with the best observed one."""
        strategy = make_strategy(
            self.settings, self.problem, np.random.default_rng([self.seed, 1])
        )
        world = np.random.default_rng([self.seed, 2])
        running: list[tuple[float, int, float | None, float]] = []
        now, best = 0.0, (-1.0, 0.0)
        for trial in range(evaluations + workers):
            if trial >= workers:
                now, told, observed, true = heappop(running)
                strategy.tell(told, observed)
                if observed is not None:
                    best = max(best, (observed, true))
            if trial < evaluations:
                fitness = self.problem.true_fitness(strategy.ask(trial).genes)
                time, error = world.lognormal(0.0, 0.5), world.normal()
                if fitness is None:
                    heappush(running, (now + 0.3 * time, trial, None, 0.0))
                else:
                    noisy = fitness + self.problem.noise * error
                    heappush(running, (now + time, trial, noisy, fitness))
        return best[1]


def winners(
    problem: str, settings: SearchConfig, budget: tuple[int, int], seeds: int
) -> list[float]:
    """The winners of one search per seed, each on a problem of its own."""
    evaluations, workers = budget
    return [
        Run(PROBLEMS[problem](seed), settings, seed).winner(
            evaluations=evaluations, workers=workers
        )
        for seed in range(seeds)
    ]


def main() -> None:
    """Print the table, a row as soon as it is known."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    cells = [(problem, budget) for problem in PROBLEMS for budget in BUDGETS]
    chance = {
        cell: winners(cell[0], SearchConfig(strategy="random"), cell[1], seeds)
        for cell in cells
    }
    print(f"{seeds} seeds; evaluations x workers: {BUDGETS}, for each of")
    print(f"{'':38s} mean " + " ".join(f"{problem:17s}" for problem in PROBLEMS))
    for variant in VARIANTS:
        settings = msgspec.structs.replace(SearchConfig(), **variant)
        gains = []
        for cell in cells:
            evolved = winners(cell[0], settings, cell[1], seeds)
            gains.append((mean(evolved) - mean(chance[cell])) / stdev(chance[cell]))
        label = ", ".join(f"{key} {value}" for key, value in variant.items())
        row = " ".join(f"{gain:5.2f}" for gain in gains)
        print(f"{label or 'the defaults':38s} {mean(gains):4.2f} {row}", flush=True)


if __name__ == "__main__":
    main()
