"""What every strategy is: ask and tell. Pure: no files, no clock, seeded."""

from dataclasses import dataclass
from typing import Protocol

from ribosome.genome.space import Genes, Group


class Language(Protocol):
    """A finite product of choices; `ribosome.genome` has the one of networks."""

    @property
    def groups(self) -> tuple[Group, ...]:
        """The choices, in order."""
        ...

    def canonical(self, genes: Genes) -> Genes:
        """The one representative of all genes that mean the same."""
        ...

    def admits(self, genes: Genes) -> bool:
        """Whether canonical genes may be evaluated: False for what would cost too much."""
        ...


@dataclass(frozen=True, slots=True)
class Proposal:
    """Genes to evaluate, canonical, and where they came from.

    ``generation`` is 0 for a random draw, else one more than the latest generation
    among its parents; ``parents`` are trial numbers.
    """

    genes: Genes
    generation: int = 0
    parents: tuple[int, ...] = ()


class Strategy(Protocol):
    """Proposes genes and learns from what became of them.

    The master numbers the trials. A strategy's whole state follows from the sequence of
    its asks and tells and from the state of its Generator, so that `restore` in place
    of `ask` rebuilds it from a journal. What it is told before its first trial, by `learn`
    and `suggest`, must be told again then.
    """

    @property
    def rejected(self) -> int:
        """How many genes the language did not admit, at no evaluation."""
        ...

    def learn(
        self, genes: Genes, fitness: float | None, goals: tuple[float, ...] = ()
    ) -> None:
        """Take canonical genes as evaluated before, elsewhere; as `tell` takes a trial's."""
        ...

    def suggest(self, genes: Genes) -> None:
        """Have canonical genes proposed before anything else, in this order."""
        ...

    def ask(self, trial: int) -> Proposal:
        """Propose the genes of a trial; never genes that were proposed before, unless
        the space is used up."""
        ...

    def tell(
        self, trial: int, fitness: float | None, goals: tuple[float, ...] = ()
    ) -> None:
        """Learn a trial's fitness, None for a failure. Any order, each trial once.

        ``goals`` is what else counts, to be as great as can be, for who has several goals.
        """
        ...

    def restore(self, trial: int, proposal: Proposal) -> None:
        """Take a proposal as asked, without drawing a random number."""
        ...
