"""The strategies by name."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ribosome.genome.errors import ConfigError
from ribosome.search.arrivals import ARRIVALS
from ribosome.search.evolution import Evolution, ParetoEvolution
from ribosome.search.population import REPLACEMENTS
from ribosome.search.random import RandomSearch
from ribosome.search.settings import Settings
from ribosome.search.strategy import Language, Strategy
from ribosome.search.variation import CROSSOVERS

if TYPE_CHECKING:
    from numpy.random import Generator


def _random(_: Settings, language: Language, rng: "Generator") -> Strategy:
    return RandomSearch(language, rng)


STRATEGIES: dict[str, Callable[[Settings, Language, "Generator"], Strategy]] = {
    "evolution": Evolution,
    "nsga2": ParetoEvolution,
    "random": _random,
}


def make_strategy(settings: Settings, language: Language, rng: "Generator") -> Strategy:
    """The strategy that the settings name.

    Raises ConfigError for a strategy, a crossover or a replacement that there is not.
    """
    _check_known("strategy", settings.strategy, STRATEGIES)
    _check_known("crossover_kind", settings.crossover_kind, CROSSOVERS)
    _check_known("replacement", settings.replacement, REPLACEMENTS)
    _check_known("arrivals", settings.arrivals, ARRIVALS)
    return STRATEGIES[settings.strategy](settings, language, rng)


def _check_known(key: str, name: str, names: Iterable[str]) -> None:
    if name not in names:
        raise ConfigError(f"[search] {key} = {name!r}: take one of {', '.join(names)}")
