"""Limits on what a network may cost, before it is trained."""

import numpy as np
import pytest

from ribosome.genome.cost import cost
from ribosome.genome.decode import decode
from ribosome.genome.language import NetworkLanguage
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS
from ribosome.runner.limits import NEEDED, LimitedLanguage, Speed
from ribosome.search.variation import draw

NONE = {"parameters": 0, "flops_per_sample": 0, "memory_mb": 0, "seconds": 0}


@pytest.fixture(scope="module")
def language() -> NetworkLanguage:
    """The networks of the space menndl for digits."""
    return NetworkLanguage(load_space("menndl"), DIGITS)


@pytest.fixture(scope="module")
def networks(language):
    """Fifty random genomes with their models."""
    rng = np.random.default_rng(1)
    genomes = [language.canonical(draw(language.groups, rng)) for _ in range(50)]
    return [(g, decode(language.space, g, DIGITS)) for g in genomes]


def measures(model) -> dict[str, float]:
    """What the limits but for the time are on."""
    price = cost(model.network)
    return {
        "parameters": price.parameters,
        "flops_per_sample": price.training_flops,
        "memory_mb": 2 * price.activation_bytes * model.solver.batch_size / 2**20,
    }


@pytest.mark.parametrize("name", ["parameters", "flops_per_sample", "memory_mb"])
def test_a_limit_parts_those_above_it_from_the_others(name, language, networks) -> None:
    """The median as a limit rejects the upper half, and the limit itself is admitted."""
    values = sorted(measures(model)[name] for _, model in networks)
    limited = LimitedLanguage(language, {**NONE, name: values[25]})
    for genes, model in networks:
        assert limited.admits(genes) == (measures(model)[name] <= values[25])


def test_without_limits_all_are_admitted(language, networks) -> None:
    """Zero stands for none."""
    limited = LimitedLanguage(language, NONE)
    assert all(limited.admits(genes) for genes, _ in networks)


def test_a_line_through_the_times_is_found() -> None:
    """Two milliseconds, and one for each 10^9 operations."""
    speed = Speed()
    for flops in np.geomspace(1e6, 1e11, 20).tolist():
        speed.learn(flops, 1.0 / (0.002 + flops * 1e-12))
    assert speed.seconds(5e9) == pytest.approx(0.007, rel=1e-6)


def test_no_line_falls() -> None:
    """Where larger networks were quicker by chance, all are taken to be as quick."""
    speed = Speed()
    for flops in np.geomspace(1e6, 1e9, 20).tolist():
        speed.learn(flops, 100.0 * flops**0.1)
    assert speed.seconds(1e9) >= speed.seconds(1e6) > 0.0


def test_few_trainings_say_nothing() -> None:
    """There is no estimate before, nor for a training without a speed."""
    speed = Speed()
    for _ in range(NEEDED - 1):
        speed.learn(1e9, 10.0)
    speed.learn(1e9, 0.0)
    assert speed.seconds(1e9) is None


def test_the_time_of_a_training_is_limited_once_it_is_known(language, networks) -> None:
    """The estimate is of all iterations."""
    limited = LimitedLanguage(language, {**NONE, "seconds": 3.0})
    assert all(limited.admits(genes) for genes, _ in networks)
    for flops in np.geomspace(1e6, 1e12, 20).tolist():
        limited.speed.learn(flops, 1.0 / (flops * 1e-10))
    admitted = 0
    for genes, model in networks:
        flops = cost(model.network).training_flops * model.solver.batch_size
        seconds = DIGITS.training.max_iterations * flops * 1e-10
        assert limited.admits(genes) == (seconds <= 3.0)
        admitted += seconds <= 3.0
    assert 0 < admitted < 50
