"""Search spaces: what can be expressed, as a sequence of groups of genes.

A **group** is one choice with its details: a slot, the solver, the way that towers are cut.
It holds one of several **cases** (convolution, pooling, ...), and each case has genes of its
own; a **gene** is one parameter and its **alleles**, the values that it may take. A plain
product of parameters is a sequence of groups of one case each.

Spaces and their parts are equal only to themselves, so that they are quick to look up.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import accumulate, pairwise
from math import log2, prod
from operator import mul

Allele = int | float | str

Genes = tuple[tuple[int, ...], ...]
"""A genome in memory: for each group the index of its case, then an allele index per gene."""


@dataclass(frozen=True, eq=False)
class Gene:
    """One parameter, its alleles, and how likely each is to be drawn."""

    name: str
    alleles: tuple[Allele, ...]
    weights: tuple[float, ...]

    @cached_property
    def cumulative(self) -> tuple[float, ...]:
        """Cumulative probabilities of the alleles, the last one 1."""
        return _cumulative(self.weights)

    @cached_property
    def position(self) -> dict[Allele, int]:
        """The index of each allele."""
        return {allele: index for index, allele in enumerate(self.alleles)}

    @cached_property
    def is_ordered(self) -> bool:
        """Whether the alleles are numbers that rise, or that fall, all the way."""
        numbers = [allele for allele in self.alleles if not isinstance(allele, str)]
        if len(numbers) < len(self.alleles):
            return False
        rises = {later > earlier for earlier, later in pairwise(numbers)}
        return len(rises) == 1


@dataclass(frozen=True, eq=False)
class Case:
    """One thing that a group may hold: its genes, and how likely it is to be drawn."""

    name: str
    genes: tuple[Gene, ...]
    weight: float = 1.0

    @cached_property
    def size(self) -> int:
        """The number of ways to fill in its genes."""
        return prod(len(gene.alleles) for gene in self.genes)

    @cached_property
    def strides(self) -> tuple[int, ...]:
        """How far one step of each gene is in the number that fills them in."""
        sizes = [len(gene.alleles) for gene in reversed(self.genes)]
        return tuple(accumulate(sizes, mul, initial=1))[-2::-1]

    @cached_property
    def alleles(self) -> tuple[tuple[Allele, ...], ...]:
        """The alleles of each gene."""
        return tuple(gene.alleles for gene in self.genes)


@dataclass(frozen=True, eq=False)
class Group:
    """One choice among cases; genomes are crossed over at the borders of groups."""

    name: str
    cases: tuple[Case, ...]

    @cached_property
    def size(self) -> int:
        """The number of its values."""
        return sum(case.size for case in self.cases)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """The number of the first value of each case."""
        return tuple(accumulate((case.size for case in self.cases), initial=0))[:-1]

    @cached_property
    def which(self) -> dict[str, int]:
        """The index of each case by its name."""
        return {case.name: index for index, case in enumerate(self.cases)}

    def case_of(self, number: int) -> int:
        """The index of the case that a value's number belongs to."""
        return bisect_right(self.offsets, number) - 1

    @cached_property
    def cumulative(self) -> tuple[float, ...]:
        """Cumulative probabilities of the cases, the last one 1."""
        return _cumulative(tuple(case.weight for case in self.cases))


def _cumulative(weights: tuple[float, ...]) -> tuple[float, ...]:
    total = sum(weights)
    sums = list(accumulate(weight / total for weight in weights))
    sums[-1] = 1.0
    return tuple(sums)


@dataclass(frozen=True, eq=False)
class Space:
    """A search space: its groups, in the order in which a genome holds them.

    ``slots`` are the indices of the slots' groups. ``runs`` cuts them into runs of slots
    with the same cases, within which empty slots move to the end (`ribosome.genome.fit`).
    ``template`` is the text of the genome whose hyperparameters a tuning space varies
    (`ribosome.genome.hyperparameters`); other spaces have none.
    """

    name: str
    version: int
    groups: tuple[Group, ...]
    slots: range
    runs: tuple[range, ...]
    description: str = ""
    template: str = ""

    @cached_property
    def size(self) -> int:
        """The number of its genomes."""
        return prod(group.size for group in self.groups)

    @property
    def bits(self) -> float:
        """log2 of its size: what a genome of it holds at most."""
        return log2(self.size)

    @cached_property
    def genome_bytes(self) -> int:
        """The length of every genome of it: the fewest bytes that hold its size, not none."""
        return max(1, ((self.size - 1).bit_length() + 7) // 8)

    @cached_property
    def settings(self) -> tuple[int, ...]:
        """The indices of the groups that are no slots."""
        return tuple(i for i in range(len(self.groups)) if i not in self.slots)

    @cached_property
    def other_groups(self) -> tuple[Group, ...]:
        """The groups that are no slots."""
        return tuple(self.groups[i] for i in self.settings)

    @cached_property
    def slot_groups(self) -> tuple[Group, ...]:
        """For each slot the first group of its run, with the same cases as its own."""
        return tuple(self.groups[run.start] for run in self.runs for _ in run)

    @cached_property
    def run_stop(self) -> dict[int, int]:
        """For each slot's index the end of the run that it stands in."""
        return {slot: run.stop for run in self.runs for slot in run}

    @cached_property
    def index(self) -> dict[str, int]:
        """The groups' positions by name."""
        return {group.name: position for position, group in enumerate(self.groups)}

    @cached_property
    def fingerprint(self) -> bytes:
        """Eight bytes that change with the meaning of a genome, not with the weights."""
        meaning = [
            (
                group.name,
                [
                    (case.name, [(gene.name, gene.alleles) for gene in case.genes])
                    for case in group.cases
                ],
            )
            for group in self.groups
        ]
        template = (self.template,) if self.template else ()
        text = repr((self.name, self.version, meaning, *template))
        return sha256(text.encode()).digest()[:8]
