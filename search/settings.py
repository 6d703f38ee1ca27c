"""What a strategy is told: the attributes that it reads of a run's config."""

from typing import Protocol


class Settings(Protocol):
    """The settings of a search; `ribosome.runner.config.SearchConfig` has them."""

    @property
    def strategy(self) -> str:
        """A name in `ribosome.search.registry.STRATEGIES`."""
        ...

    @property
    def population(self) -> int:
        """The number of trials that may breed, and of random ones at the start."""
        ...

    @property
    def tournament(self) -> int:
        """The number of members that a parent is the best of; a third of them does well."""
        ...

    @property
    def crossover(self) -> float:
        """The share of children that have two parents."""
        ...

    @property
    def crossover_kind(self) -> str:
        """A name in `ribosome.search.variation.CROSSOVERS`."""
        ...

    @property
    def mutation(self) -> float:
        """The rate per gene; 0 for one gene of a genome on average."""
        ...

    @property
    def replacement(self) -> str:
        """A name in `ribosome.search.population.REPLACEMENTS`."""
        ...

    @property
    def adaptive(self) -> bool:
        """Whether the mutation rate follows success (`ribosome.search.pace`)."""
        ...

    @property
    def arrivals(self) -> str:
        """A name in `ribosome.search.arrivals.ARRIVALS`."""
        ...

    @property
    def restart(self) -> int:
        """The results without a better one after which the population begins anew; 0: never."""
        ...

    @property
    def guided(self) -> int:
        """The results up to which a surrogate chooses among children; 0: it never does."""
        ...

    @property
    def brood(self) -> int:
        """The number of children that it chooses from."""
        ...
