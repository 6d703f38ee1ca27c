"""What a search of the benchmark searches: a finite product of alleles, a fitness, a time.

A **point** is a tuple with the index of one allele per gene. As a language of
`ribosome.genome.space` a problem has one group, of one case with one gene, for each.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ribosome.genome.space import Allele, Case, Gene, Genes, Group

Point = tuple[int, ...]
Points = NDArray[np.int64]  # (points, genes)


class Problem(Protocol):
    """A problem; a higher fitness is better."""

    @property
    def groups(self) -> tuple[Group, ...]:
        """The language, as `groups_of` makes it."""
        ...

    @property
    def optimum(self) -> float | None:
        """The best true fitness that there is, None where nobody knows it."""
        ...

    @property
    def target(self) -> float:
        """How far from the optimum a search has arrived."""
        ...

    def evaluate(
        self, point: Point, rng: np.random.Generator
    ) -> tuple[float, float, int]:
        """Observed fitness, seconds that it took, and which repetition was observed."""
        ...

    def true(self, points: Points) -> NDArray[np.float64]:
        """The true fitness of each point: the expectation of what is observed."""
        ...


def groups_of(genes: Sequence[tuple[str, tuple[Allele, ...]]]) -> tuple[Group, ...]:
    """A language of one gene per group, by name and alleles, all equally likely."""
    return tuple(
        Group(name, (Case(name, (Gene(name, alleles, (1.0,) * len(alleles)),)),))
        for name, alleles in genes
    )


def gene_of(group: Group) -> Gene:
    """The one gene of a group of `groups_of`."""
    return group.cases[0].genes[0]


def sizes_of(problem: Problem) -> tuple[int, ...]:
    """The number of alleles of each gene."""
    return tuple(group.size for group in problem.groups)


def point_of(genes: Genes) -> Point:
    """Genes of such a language as a point."""
    return tuple(values[1] for values in genes)


class Plain:
    """A problem as the language that a strategy of Ribosome is given."""

    def __init__(self, groups: tuple[Group, ...]) -> None:
        self.groups = groups

    def canonical(self, genes: Genes) -> Genes:
        """The genes themselves: no two mean the same."""
        return genes

    def admits(self, genes: Genes) -> bool:  # noqa: ARG002
        """Always."""
        return True
