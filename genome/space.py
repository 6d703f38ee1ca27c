"""Search spaces: what can be expressed, as a sequence of groups of genes.

A **group** is one choice with its details: a slot, the solver, the way that towers are cut.
It holds one of several **cases** (convolution, pooling, ...), and each case has genes of its
own; a **gene** is one parameter and its **alleles**, the values that it may take. A plain
product of parameters is a sequence of groups of one case each.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import prod

Allele = int | float | str

Genes = tuple[tuple[int, ...], ...]
"""A genome in memory: for each group the index of its case, then an allele index per gene."""


@dataclass(frozen=True)
class Gene:
    """One parameter, its alleles, and how likely each is to be drawn."""

    name: str
    alleles: tuple[Allele, ...]
    weights: tuple[float, ...]

    @cached_property
    def cumulative(self) -> tuple[float, ...]:
        """Cumulative probabilities of the alleles, the last one 1."""
        return _cumulative(self.weights)


@dataclass(frozen=True)
class Case:
    """One thing that a group may hold: its genes, and how likely it is to be drawn."""

    name: str
    genes: tuple[Gene, ...]
    weight: float = 1.0

    @cached_property
    def size(self) -> int:
        """The number of ways to fill in its genes."""
        return prod(len(gene.alleles) for gene in self.genes)


@dataclass(frozen=True)
class Group:
    """One choice among cases; genomes are crossed over at the borders of groups."""

    name: str
    cases: tuple[Case, ...]

    @cached_property
    def size(self) -> int:
        """The number of its values."""
        return sum(case.size for case in self.cases)

    @cached_property
    def cumulative(self) -> tuple[float, ...]:
        """Cumulative probabilities of the cases, the last one 1."""
        return _cumulative(tuple(case.weight for case in self.cases))


def _cumulative(weights: tuple[float, ...]) -> tuple[float, ...]:
    total = sum(weights)
    sums = list(accumulate(weight / total for weight in weights))
    sums[-1] = 1.0
    return tuple(sums)
