"""The rules that stop a trial: each against the definition, computed anew."""

import math
import random
from statistics import median

import pytest

from ribosome.backends.base import Tested as Validation
from ribosome.runner.config import StoppingConfig
from ribosome.runner.stopping import Checks, Constant, Halving, Median, make_rule


def test_the_median_rule_compares_the_best_so_far_with_the_median_of_the_others() -> (
    None
):
    """As in Golovin et al.: below the median of the running bests at the same check."""
    generator, checks = random.Random(1), Checks(Median(5))
    bests: dict[int, list[float]] = {10: [], 20: []}
    for trial in range(1, 60):
        best = 0.0
        for iteration in (10, 20):
            accuracy = round(generator.random(), 2)
            best, others = max(best, accuracy), bests[iteration]
            below = len(others) >= 5 and best < median(others)
            why = checks.take("search", trial, iteration, accuracy)
            assert bool(why) == below
            others.append(best)
        checks.end(trial)


def test_halving_goes_on_with_the_best_share_of_those_that_came() -> None:
    """Whoever is among the best half, counted with itself, goes on."""
    generator, checks = random.Random(2), Checks(Halving(0.5))
    seen: list[float] = []
    for trial in range(1, 80):
        accuracy = generator.random()
        seen.append(accuracy)
        best = sorted(seen, reverse=True)[: math.ceil(len(seen) / 2)]
        assert bool(checks.take("search", trial, 10, accuracy)) == (
            accuracy not in best
        )


def test_the_best_goes_on_whatever_share_is_kept() -> None:
    """A share of 0 leaves one."""
    rule = Halving(0.0)
    assert rule.why([0.1, 0.2], 0.3) == ""
    assert rule.why([0.1, 0.2], 0.15)


def test_a_share_is_not_rounded_up_by_what_binary_makes_of_it() -> None:
    """0.1 of 30 are 3: three that are better end the fourth."""
    earlier = [0.5] * 26 + [0.9] * 3
    assert Halving(0.1).why(earlier, 0.8)
    assert not Halving(0.1).why([0.5] * 27 + [0.9] * 2, 0.8)


def test_a_trial_that_is_done_again_is_judged_and_not_counted_again() -> None:
    """Its worker was lost; the others' median stays what it was."""
    checks = Checks(Median(3))
    for trial in (1, 2, 3):
        assert not checks.take("search", trial, 10, 0.5)
    assert checks.take("search", 4, 10, 0.1)
    for _ in range(10):
        assert checks.take("search", 4, 10, 0.1)
    assert not checks.take("search", 5, 10, 0.5)


def test_phases_are_judged_apart() -> None:
    """Another phase trains for longer."""
    checks = Checks(Median(1))
    assert not checks.take("search", 1, 10, 0.9)
    assert not checks.take("tune", 2, 10, 0.1)
    assert checks.take("search", 3, 10, 0.1)


@pytest.mark.parametrize(
    ("name", "kind"), [("none", type(None)), ("median", Median), ("halving", Halving)]
)
def test_each_name_is_a_rule(name: str, kind: type) -> None:
    """And none is none."""
    assert isinstance(make_rule(StoppingConfig(rule=name, checks=1)), kind)


@pytest.mark.parametrize(
    ("accuracy", "iteration", "after", "found"),
    [
        (37 / 360, 50, 0.5, True),
        (0.102778, 50, 0.5, True),  # as Caffe prints it
        (38 / 360, 50, 0.5, False),
        (37 / 360, 49, 0.5, False),
        (37 / 360, 100, 0.0, False),
        (0.0, 50, 0.5, True),
    ],
)
def test_one_class_is_known_by_its_share(
    accuracy: float, iteration: int, after: float, found: bool
) -> None:
    """Exactly, to what a log prints, and only after that share of the training."""
    constant = Constant(after, (37 / 360, 323 / 360, 0.0), images=360)
    assert bool(constant.why(Validation(accuracy, 2.3, iteration), 100)) == found
