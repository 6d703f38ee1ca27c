"""The mutation rate that follows success."""

import pytest

from ribosome.search.pace import FASTEST, SLOWEST, Pace


def test_one_success_in_five_keeps_the_rate() -> None:
    """Rechenberg's rule."""
    pace = Pace()
    pace.tell(1, (), 0.5)
    for trial, fitness in enumerate((0.6, 0.4, 0.5, None, 0.1), start=2):
        pace.tell(trial, (1,), fitness)
    assert pace.factor == pytest.approx(1.0)


def test_success_speeds_up_to_a_limit() -> None:
    """Children that are better make the next ones differ more."""
    pace = Pace()
    pace.tell(1, (), 0.5)
    pace.tell(2, (1,), 0.6)
    assert pace.factor > 1.0
    for trial in range(3, 100):
        pace.tell(trial, (1,), 0.6)
    assert pace.factor == FASTEST


def test_failure_slows_down_to_a_limit() -> None:
    """A child that failed is no better than its parent."""
    pace = Pace()
    pace.tell(1, (), 0.5)
    for trial in range(2, 100):
        pace.tell(trial, (1,), None)
    assert pace.factor == SLOWEST


def test_a_random_trial_changes_nothing() -> None:
    """It has no parent to be compared with."""
    pace = Pace()
    pace.tell(1, (), 0.5)
    assert pace.factor == 1.0
