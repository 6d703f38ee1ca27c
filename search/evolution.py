"""Asynchronous steady-state evolution: one child per ask, one newcomer per tell.

There are no generations to wait for, so no worker is ever idle however differently long
the trials take (Golub and Budin 2000; the paper's section on its genetic algorithm).
"""

from math import isfinite
from operator import attrgetter
from typing import TYPE_CHECKING

from ribosome.search.novelty import Novelty
from ribosome.search.population import REPLACEMENTS, Member
from ribosome.search.settings import Settings
from ribosome.search.strategy import Language, Proposal
from ribosome.search.variation import CROSSOVERS, Mutation

if TYPE_CHECKING:
    from numpy.random import Generator

ATTEMPTS = 8
"""Children that may turn out to be known before a random draw takes their place."""

BOOST = 1.5
"""The mutation rate grows by this factor with every such child."""

FITNESS = attrgetter("fitness")


class Evolution:
    """Breeds from the best of a tournament; see `Settings` for what can be chosen.

    The first ``population`` proposals are random, and so are later ones for as long as
    fewer than two trials succeeded. A trial that failed never breeds, but is never
    proposed again either. A fitness that is not finite counts as a failure.
    """

    def __init__(
        self, settings: Settings, language: Language, rng: "Generator"
    ) -> None:
        self._settings = settings
        self._language = language
        self._rng = rng
        self._novelty = Novelty(language)
        self._cross = CROSSOVERS[settings.crossover_kind]
        self._mutate = Mutation(language.groups, rate=settings.mutation)
        self._population = REPLACEMENTS[settings.replacement](settings.population)
        self._pending: dict[int, Proposal] = {}
        self._asked = 0

    def ask(self, trial: int) -> Proposal:
        """Propose a child, or genes at random while there is nobody to breed from."""
        proposal = None
        if self._asked >= self._settings.population and len(self._population) >= 2:
            proposal = self._new_child()
        if proposal is None:
            proposal = Proposal(self._novelty.draw(self._rng))
        self.restore(trial, proposal)
        return proposal

    def tell(self, trial: int, fitness: float | None) -> None:
        """Take a trial into the population, unless it failed."""
        proposal = self._pending.pop(trial)
        if fitness is not None and isfinite(fitness):
            self._population.add(
                Member(fitness, trial, proposal.generation, proposal.genes)
            )

    def restore(self, trial: int, proposal: Proposal) -> None:
        """Take a proposal as asked."""
        self._asked += 1
        self._pending[trial] = proposal
        self._novelty.add(proposal.genes)

    def _new_child(self) -> Proposal | None:
        """A child that was not proposed before; None if none turned up."""
        for attempt in range(ATTEMPTS):
            child = self._child(boost=BOOST**attempt)
            if child is not None and child.genes not in self._novelty:
                return child
        return None

    def _child(self, *, boost: float) -> Proposal | None:
        """A child; None for a copy of its parent."""
        size, count = self._settings.tournament, len(self._population)
        *entrants, coin = self._rng.random(2 * size + 1).tolist()
        places = [int(entrant * count) for entrant in entrants]
        members = self._population.members(places)
        first = max(members[:size], key=FITNESS)
        second = max(members[size:], key=FITNESS)
        genes, generation = first.genes, first.generation
        parents: tuple[int, ...] = (first.trial,)
        if coin < self._settings.crossover and second is not first:
            genes = self._cross(genes, second.genes, self._rng)
            generation = max(generation, second.generation)
            parents += (second.trial,)
        genes = self._mutate(genes, self._rng, boost=boost)
        if genes == first.genes:
            return None
        return Proposal(self._language.canonical(genes), generation + 1, parents)
