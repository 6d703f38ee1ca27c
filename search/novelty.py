"""What was proposed before or may not be proposed, and genes at random that are neither.

Evaluating a network twice is the dearest mistake that a search can make, so strategies
ask here first. A hash of 64 bits per genome is kept, not its genes: millions fit. Two
genomes that share one (1 chance in 10^6 after five million) cost one proposal, no more.
The hash of a tuple of integers is the same in every process.
"""

from collections import deque
from collections.abc import Iterator
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from ribosome.genome.errors import ConfigError
from ribosome.genome.space import Genes, Group
from ribosome.search.strategy import Language
from ribosome.search.variation import draw

if TYPE_CHECKING:
    from numpy.random import Generator

DRAWS = 64
"""Random draws of known genes before the space is taken to be nearly used up."""

REJECTED = 10_000
"""Random draws that the language does not admit before it is taken to admit none."""

WALKED = 4096
"""The largest space that is then walked from end to end; a larger one repeats."""


class Novelty:
    """The canonical genes that were proposed so far."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._groups = language.groups
        self._seen: set[int] = set()
        self._suggested: deque[Genes] = deque()
        self.rejected = 0
        """How many genes were new, and not admitted by the language."""
        small = prod(group.size for group in self._groups) <= WALKED
        self._walk: Iterator[Genes] = every(self._groups) if small else iter(())

    def __contains__(self, genes: Genes) -> bool:
        """Whether these canonical genes were proposed before."""
        return hash(genes) in self._seen

    def add(self, genes: Genes) -> None:
        """Remember canonical genes as proposed."""
        self._seen.add(hash(genes))

    def admits(self, genes: Genes) -> bool:
        """Whether the language admits these canonical genes; counts those that it does not."""
        if self._language.admits(genes):
            return True
        self.rejected += 1
        return False

    def suggest(self, genes: Genes) -> None:
        """Have canonical genes drawn before any at random, in this order."""
        if genes not in self and genes not in self._suggested:
            self._suggested.append(genes)

    @property
    def suggests(self) -> bool:
        """Whether there are suggestions that were not drawn yet."""
        return bool(self._suggested)

    def take(self, genes: Genes) -> None:
        """Remember genes as drawn: the suggestions up to them have had their turn.

        What was not suggested is drawn after all suggestions. That a draw leaves them alone
        lets a strategy that is restored go on with the same ones.
        """
        while self._suggested and self._suggested.popleft() != genes:
            pass
        self.add(genes)

    def draw(self, rng: "Generator") -> Genes:
        """Canonical genes that were suggested, else at random; to be told to `take`.

        New ones unless the space is used up. Raises ConfigError if the language admits none.
        """
        for genes in self._suggested:
            if genes not in self and self.admits(genes):
                return genes
        known = rejected = 0
        while known < DRAWS and rejected < REJECTED:
            genes = self._language.canonical(draw(self._groups, rng))
            if genes in self:
                known += 1
            elif self.admits(genes):
                return genes
            else:
                rejected += 1
        # What the walk has passed stays seen, so it never needs to start again, and a
        # strategy that is restored finds the same genes by starting at the beginning.
        for candidate in self._walk:
            canonical = self._language.canonical(candidate)
            if canonical not in self and self.admits(canonical):
                return canonical
        if rejected == REJECTED:
            raise ConfigError(
                f"[limits] none of {REJECTED} random networks is within the limits; "
                "loosen them, or take a space of smaller networks"
            )
        return genes


def every(groups: tuple[Group, ...]) -> Iterator[Genes]:
    """All genes of a space, in the order of their indices."""
    return product(
        *(
            [
                (index, *alleles)
                for index, case in enumerate(group.cases)
                for alleles in product(*(range(len(g.alleles)) for g in case.genes))
            ]
            for group in groups
        )
    )
