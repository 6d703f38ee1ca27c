"""Random search: the strategy to beat."""

from typing import TYPE_CHECKING

from ribosome.genome.space import Genes
from ribosome.search.novelty import Novelty
from ribosome.search.strategy import Language, Proposal

if TYPE_CHECKING:
    from numpy.random import Generator


class RandomSearch:
    """Draws by the weights of the space, never the same genes twice; learns nothing."""

    def __init__(self, language: Language, rng: "Generator") -> None:
        self._rng = rng
        self._novelty = Novelty(language)

    def ask(self, trial: int) -> Proposal:
        """Propose genes at random."""
        proposal = Proposal(self._novelty.draw(self._rng))
        self.restore(trial, proposal)
        return proposal

    @property
    def rejected(self) -> int:
        """How many genes the language did not admit."""
        return self._novelty.rejected

    def learn(
        self,
        genes: Genes,
        fitness: float | None,  # noqa: ARG002
        goals: tuple[float, ...] = (),  # noqa: ARG002
    ) -> None:
        """Remember that the genes need not be evaluated again."""
        self._novelty.add(genes)

    def suggest(self, genes: Genes) -> None:
        """Propose the genes before any at random."""
        self._novelty.suggest(genes)

    def tell(
        self, trial: int, fitness: float | None, goals: tuple[float, ...] = ()
    ) -> None:
        """Take note of nothing: no result changes what is drawn next."""

    def restore(self, trial: int, proposal: Proposal) -> None:  # noqa: ARG002
        """Remember the genes of a proposal as proposed."""
        self._novelty.take(proposal.genes)
