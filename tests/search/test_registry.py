"""Strategies by name."""

from itertools import count

import numpy as np
import pytest

from ribosome.genome.errors import ConfigError
from ribosome.runner.config import SearchConfig
from ribosome.search.registry import STRATEGIES, make_strategy


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_can_be_made_from_a_config(name: str, plain) -> None:
    """The config's own record is what a strategy takes its settings from."""
    config = SearchConfig(strategy=name, population=4)
    strategy = make_strategy(config, plain(10, 3), np.random.default_rng(1))
    for trial in range(20):
        strategy.ask(trial)
        strategy.tell(trial, 0.5)


@pytest.mark.parametrize("name", STRATEGIES)
def test_equal_generators_give_equal_runs(name: str, settings, plain) -> None:
    """A run follows from the seed and from what was told."""

    def run() -> list[object]:
        rng = np.random.default_rng(3)
        strategy = make_strategy(settings(strategy=name), plain(10, 3), rng)
        proposals = []
        for trial in range(60):
            proposals.append(strategy.ask(trial))
            strategy.tell(trial, trial % 7 / 7)
        return proposals

    assert run() == run()


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("replacement", ["age", "fitness"])
def test_a_restored_strategy_goes_on_alike(
    name: str, replacement: str, settings, plain
) -> None:
    """Restore and tell, with the Generator's state, lead to the same next 50 asks."""
    chosen = settings(strategy=name, replacement=replacement)
    language = plain(10, 3, symmetric=True)
    rng, disorder = np.random.default_rng(4), np.random.default_rng(5)
    original = make_strategy(chosen, language, rng)
    events, waiting, trials = [], [], count()
    for _ in range(300):
        if waiting and disorder.random() < 0.45:
            trial = waiting.pop(int(disorder.random() * len(waiting)))
            fitness = disorder.random() if disorder.random() < 0.7 else None
            original.tell(trial, fitness)
            events.append((trial, fitness))
        else:
            trial = next(trials)
            events.append((trial, original.ask(trial)))
            waiting.append(trial)

    copied = np.random.default_rng(0)
    copied.bit_generator.state = rng.bit_generator.state
    rebuilt = make_strategy(chosen, language, copied)
    for trial, event in events:
        if event is None or isinstance(event, float):
            rebuilt.tell(trial, event)
        else:
            rebuilt.restore(trial, event)
    for trial in range(1000, 1050):
        assert rebuilt.ask(trial) == original.ask(trial)
        original.tell(trial, trial % 11 / 11)
        rebuilt.tell(trial, trial % 11 / 11)


@pytest.mark.parametrize("key", ["strategy", "crossover_kind", "replacement"])
def test_an_unknown_word_is_refused(key: str, settings, plain) -> None:
    """The error names the key, the word and what there is."""
    with pytest.raises(ConfigError, match=rf"{key} = 'chance': take one of \w+, \w+"):
        make_strategy(
            settings(**{key: "chance"}), plain(2, 2), np.random.default_rng(1)
        )
