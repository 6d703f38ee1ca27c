"""Learning rate policies against their closed forms, at the ends of a run."""

import math

import pytest

from ribosome.genome.solver import LearningRate, Solver


def _rate(policy: LearningRate, iteration: int, length: int = 400) -> float:
    solver = Solver("SGD", base_lr=0.5, learning_rate=policy, batch_size=8)
    return solver.schedule(length).rate(iteration)


def test_fixed_stays() -> None:
    """The rate is base_lr throughout."""
    assert _rate(LearningRate("fixed"), 399) == 0.5


def test_step_drops_after_each_fraction_of_the_run() -> None:
    """A quarter of 400: 100 iterations at each level."""
    policy = LearningRate("step", gamma=0.1, fraction=0.25)
    rates = [_rate(policy, i) for i in (0, 99, 100, 399)]
    assert rates == pytest.approx([0.5, 0.5, 0.05, 0.0005])


def test_exp_reaches_gamma_at_the_end() -> None:
    """Half way it has fallen by the root of gamma."""
    policy = LearningRate("exp", gamma=0.01)
    assert _rate(policy, 200) == pytest.approx(0.5 * 0.1)
    assert _rate(policy, 400) == pytest.approx(0.5 * 0.01)


def test_inv_is_relative_to_the_run() -> None:
    """With gamma 3 and power 0.5 the end is half the start, however long the run."""
    policy = LearningRate("inv", gamma=3.0, power=0.5)
    assert _rate(policy, 400) == pytest.approx(0.25)
    assert _rate(policy, 4000, 4000) == pytest.approx(0.25)


def test_poly_ends_at_zero() -> None:
    """Half way with power 2 it is a quarter."""
    policy = LearningRate("poly", power=2.0)
    assert _rate(policy, 200) == pytest.approx(0.125)
    assert _rate(policy, 400) == 0.0


def test_sigmoid_is_half_at_its_fraction() -> None:
    """It falls for a negative gamma, through half of base_lr."""
    policy = LearningRate("sigmoid", gamma=-10.0, fraction=0.5)
    assert _rate(policy, 200) == pytest.approx(0.25)
    assert _rate(policy, 0) == pytest.approx(0.5 / (1 + math.exp(-5)))
    assert _rate(policy, 400) < 0.01


@pytest.mark.parametrize(("gamma", "ends"), [(-1e6, [0.5, 0.0]), (1e6, [0.0, 0.5])])
def test_the_steepest_sigmoid_is_a_step(gamma: float, ends: list[float]) -> None:
    """Where its exponential is beyond a float, the rate is 0, as in Caffe."""
    policy = LearningRate("sigmoid", gamma=gamma, fraction=0.5)
    assert [_rate(policy, i) for i in (0, 399)] == pytest.approx(ends)


def test_a_very_short_run_has_steps_of_one_iteration() -> None:
    """A stepsize is never 0."""
    assert _rate(LearningRate("step", gamma=0.5, fraction=0.25), 0, length=1) == 0.5
