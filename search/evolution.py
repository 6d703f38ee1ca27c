"""Asynchronous steady-state evolution: one child per ask, one newcomer per tell.

There are no generations to wait for, so no worker is ever idle however differently long
the trials take (Golub and Budin 2000; the paper's section on its genetic algorithm). While
results are few, a surrogate chooses which child of a brood is worth a training; with
``guided = 0`` this is the plain algorithm of the paper.
"""

from math import inf, isfinite
from operator import attrgetter
from typing import TYPE_CHECKING

from ribosome.genome.space import Genes
from ribosome.search.arrivals import ARRIVALS, Arrival
from ribosome.search.novelty import Novelty
from ribosome.search.pace import Pace
from ribosome.search.population import REPLACEMENTS, Member, Population
from ribosome.search.settings import Settings
from ribosome.search.strategy import Language, Proposal
from ribosome.search.variation import CROSSOVERS, Mutation

if TYPE_CHECKING:
    from numpy.random import Generator

    from ribosome.search.surrogate import Surrogate

ATTEMPTS = 8
"""Children that may turn out to be known before a random draw takes their place."""

BOOST = 1.5
"""The mutation rate grows by this factor with every such child."""

PLAIN, AFRESH = 0.25, 0.15
"""With a surrogate, the shares of proposals that it has no say in: children as they come,
and genes at random. Without them it holds on to the first good region that it knows."""

CROWD = 50
"""Trials under way with which these shares are none, and in proportion with fewer: the
surrogate spreads so many by itself."""

FITNESS = attrgetter("fitness")

LEARNED = -1
"""In place of the number of a trial: it was evaluated elsewhere."""


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
        self._pace = Pace() if settings.adaptive else None
        self._surrogate = _surrogate(language) if settings.guided else None
        self._arrivals = ARRIVALS[settings.arrivals]()
        self._pending: dict[int, Proposal] = {}
        self._begin()

    def _begin(self) -> None:
        """An empty population, and as many random proposals to come as it holds."""
        size = self._settings.population
        self._population = self._new_population(size)
        self._random = size
        self._best, self._in_vain = -inf, 0

    def _new_population(self, size: int) -> Population:
        return REPLACEMENTS[self._settings.replacement](size)

    @property
    def rejected(self) -> int:
        """How many genes the language did not admit."""
        return self._novelty.rejected

    def learn(
        self, genes: Genes, fitness: float | None, goals: tuple[float, ...] = ()
    ) -> None:
        """Take genes as evaluated: they may breed, in place of one that is random."""
        self._novelty.add(genes)
        self._random = max(0, self._random - 1)
        self._take(Arrival(LEARNED, Proposal(genes), fitness, goals))
        self._inform(genes, fitness)

    def suggest(self, genes: Genes) -> None:
        """Propose genes before random ones and children."""
        self._novelty.suggest(genes)

    def ask(self, trial: int) -> Proposal:
        """Propose a child, or genes at random while there is nobody to breed from."""
        proposal = None
        breeds = self._random == 0 and not self._novelty.suggests
        if breeds and len(self._population) >= 2:
            proposal = self._new_child()
        if proposal is None:
            proposal = Proposal(self._novelty.draw(self._rng))
        self.restore(trial, proposal)
        return proposal

    def tell(
        self, trial: int, fitness: float | None, goals: tuple[float, ...] = ()
    ) -> None:
        """Take a trial into the population, unless it failed."""
        if fitness is not None and not isfinite(fitness):
            fitness = None
        proposal = self._pending.pop(trial)
        self._inform(proposal.genes, fitness)
        for arrival in self._arrivals.tell(Arrival(trial, proposal, fitness, goals)):
            self._take(arrival)

    def restore(self, trial: int, proposal: Proposal) -> None:
        """Take a proposal as asked."""
        self._random = max(0, self._random - 1)
        self._pending[trial] = proposal
        self._arrivals.ask(trial)
        if proposal.generation == 0:  # no child
            self._novelty.take(proposal.genes)
        else:
            self._novelty.add(proposal.genes)

    def _inform(self, genes: Genes, fitness: float | None) -> None:
        """Let the surrogate know, until it has served its time."""
        if self._surrogate is not None:
            self._surrogate.add(genes, fitness)
            if len(self._surrogate) >= self._settings.guided:
                self._surrogate = None

    def _take(self, arrival: Arrival) -> None:
        trial, proposal, fitness, goals = arrival
        if self._pace is not None:
            self._pace.tell(trial, proposal.parents, fitness)
        if fitness is not None:
            self._population.add(
                Member(fitness, trial, proposal.generation, proposal.genes, goals)
            )
        if fitness is not None and fitness > self._best:
            self._best, self._in_vain = fitness, 0
        else:
            self._in_vain += 1
            if self._in_vain == self._settings.restart:
                self._begin()

    def _new_child(self) -> Proposal | None:
        """A child that was not proposed before; None if none turned up, or none is wanted."""
        if self._surrogate is not None and len(self._surrogate) >= 2:
            share = max(0.0, 1.0 - len(self._pending) / CROWD)
            coin = self._rng.random()
            if coin < AFRESH * share:
                return None
            if coin >= (AFRESH + PLAIN) * share:
                return self._chosen_child(self._surrogate)
        for attempt in range(ATTEMPTS):
            child = self._child(boost=BOOST**attempt)
            if child is not None and self._may_come(child):
                return child
        return None

    def _chosen_child(self, surrogate: "Surrogate") -> Proposal | None:
        """The child of a brood that the surrogate would try first."""
        size = self._settings.brood
        brood: dict[Genes, Proposal] = {}
        for attempt in range(ATTEMPTS * size):
            child = self._child(boost=BOOST ** (attempt // size))
            if child is not None and child.genes not in self._novelty:
                brood.setdefault(child.genes, child)
                if len(brood) == size:
                    break
        if not brood:
            return None
        genes = list(brood)
        pending = [proposal.genes for proposal in self._pending.values()]
        for place in surrogate.order(genes, pending):
            if self._novelty.admits(genes[place]):
                return brood[genes[place]]
        return None

    def _may_come(self, child: Proposal) -> bool:
        return child.genes not in self._novelty and self._novelty.admits(child.genes)

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
        if self._pace is not None:
            boost *= self._pace.factor
        genes = self._mutate(genes, self._rng, boost=boost)
        if genes == first.genes:
            return None
        if LEARNED in parents:
            parents = tuple([parent for parent in parents if parent != LEARNED])
        return Proposal(self._language.canonical(genes), generation + 1, parents)


def _surrogate(language: Language) -> "Surrogate":
    from ribosome.search.surrogate import Surrogate  # it needs numpy

    return Surrogate(language.groups)


class ParetoEvolution(Evolution):
    """Evolution towards several goals: an asynchronous NSGA-II (Deb et al. 2002).

    Parents win tournaments by front and crowding, and the worst by these leaves. There is
    no surrogate, which knows one goal only.
    """

    def __init__(
        self, settings: Settings, language: Language, rng: "Generator"
    ) -> None:
        super().__init__(settings, language, rng)
        self._surrogate = None

    def _new_population(self, size: int) -> Population:
        from ribosome.search.pareto import WorstFrontLeaves  # it needs numpy

        return WorstFrontLeaves(size)
