"""The bias towards what is quick to evaluate."""

import numpy as np
import pytest

from ribosome.search.bias import Bred, bias


def test_the_correlation_is_spearmans() -> None:
    """As scipy has it, equals included."""
    from scipy.stats import spearmanr

    rng = np.random.default_rng(1)
    seconds = rng.integers(1, 20, 60).astype(float)
    offspring = rng.poisson(20.0 / seconds)
    trials = [
        Bred(s, f, o)
        for s, f, o in zip(
            seconds.tolist(), rng.random(60).tolist(), offspring.tolist(), strict=True
        )
    ]
    found = bias(trials)
    assert found is not None
    assert found.correlation == pytest.approx(spearmanr(seconds, offspring).statistic)
    assert found.correlation < -0.3


def test_at_equal_fitness_a_shared_cause_is_left_out() -> None:
    """Slow trials are fitter and fitness alone decides: no bias is left."""
    rng = np.random.default_rng(2)
    fitness = rng.random(4000)
    seconds = fitness + rng.normal(0.0, 0.3, 4000)
    offspring = rng.poisson(8.0 * fitness)
    found = bias(
        [
            Bred(s, f, o)
            for s, f, o in zip(
                seconds.tolist(), fitness.tolist(), offspring.tolist(), strict=True
            )
        ]
    )
    assert found is not None
    assert found.correlation > 0.3
    assert abs(found.at_equal_fitness) < 0.08


def test_the_fast_quarter_is_counted_by_offspring() -> None:
    """Two fast trials of eight have six of ten children."""
    offspring = [4, 2, 1, 1, 1, 1, 0, 0]
    trials = [Bred(float(i), 0.5, n) for i, n in enumerate(offspring)]
    found = bias(trials)
    assert found is not None
    assert found.fast_share == 0.6


@pytest.mark.parametrize(
    "trials", [[Bred(1.0, 0.5, 1)] * 7, [Bred(1.0, 0.5, 0)] * 100, []]
)
def test_too_little_says_nothing(trials: list[Bred]) -> None:
    """Few trials, or none with offspring."""
    assert bias(trials) is None


def test_equal_times_have_no_bias() -> None:
    """Nor anything to divide by."""
    found = bias([Bred(1.0, 0.1 * i, i) for i in range(10)])
    assert found is not None
    assert (found.correlation, found.at_equal_fitness) == (0.0, 0.0)
