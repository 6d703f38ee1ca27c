"""Training speed, from the time stamps of logs that are laid out to the microsecond."""

from collections.abc import Iterable
from datetime import datetime

import pytest

from ribosome.backends.base import Speed
from tests.backends.caffe.logs import FLAVOURS, training
from tests.backends.caffe.test_log_parser import events, seen


def speed(lines: Iterable[str]) -> float | None:
    """The last figure."""
    return seen(lines).batches_per_s


each_flavour = pytest.mark.parametrize("flavour", FLAVOURS)


@each_flavour
def test_speed_is_that_of_the_time_stamps(flavour: str) -> None:
    """Not Caffe's figure; the new year that begins meanwhile does no harm."""
    log = training(
        flavour, iterations=400, batch_s=0.05, test_every=45, snapshot_every=70
    )
    assert speed(log) == pytest.approx(20.0, rel=1e-4)


@each_flavour
def test_speed_counts_no_validation(flavour: str) -> None:
    """With a validation in every window its time is taken off."""
    log = training(flavour, iterations=40, display=10, test_every=5, test_s=7.0)
    assert speed(log) == pytest.approx(20.0, rel=1e-3)


@each_flavour
def test_speed_counts_no_snapshot(flavour: str) -> None:
    """What is left of each window is too slow by less than one iteration in four."""
    log = training(flavour, iterations=40, display=10, snapshot_every=5, snapshot_s=7.0)
    found = speed(log)
    assert found is not None
    assert 20.0 * 0.75 < found <= 20.0


def test_a_run_of_one_window_has_a_speed() -> None:
    """From the only displayed iteration to the last snapshot, one update too many."""
    found = speed(training("bvlc", iterations=8, display=100, batch_s=0.05))
    assert found == pytest.approx(7 / (7.25 * 0.05), rel=1e-4)


def test_a_run_of_one_iteration_has_no_speed() -> None:
    """Nothing was timed."""
    assert speed(training("bvlc", iterations=1)) is None


def test_a_step_of_the_clock_is_noticed() -> None:
    """A window that Caffe's own seconds contradict gives way to those that agree."""
    log = training("bvlc", iterations=40, display=10, begin=datetime(2026, 5, 1, 12))
    first = next(i for i, line in enumerate(log) if "Iteration 20 (" in line)
    late = [line.replace(" 12:00:", " 12:30:") for line in log[first:]]
    assert speed(log[:first] + late) == pytest.approx(20.0, rel=1e-4)


def test_a_clock_that_is_set_back_is_noticed() -> None:
    """A window of nearly a day is none, also where Caffe names no seconds."""
    log = training(
        "bvlc rc5", iterations=40, display=10, begin=datetime(2026, 5, 1, 12, 5)
    )
    first = next(i for i, line in enumerate(log) if "Iteration 20, loss" in line)
    early = [line.replace(" 12:05:", " 12:01:") for line in log[first:]]
    assert speed(log[:first] + early) == pytest.approx(20.0, rel=1e-4)


def test_time_stamps_are_trusted_over_the_figure() -> None:
    """Where all of Caffe's seconds are wrong, the stamps count."""
    log = [line.replace("0.500s/10", "9.999s/10") for line in training("bvlc")]
    assert speed(log) == pytest.approx(20.0, rel=1e-4)


def test_the_last_line_of_nvcaffe_counts_only_without_another() -> None:
    """It is told where there is nothing else, and not where there is."""
    log = training("nvcaffe 0.17.1", batch_s=0.05)
    last = [line for line in log if "img/sec" in line]
    assert events(last) == [Speed(18.0)]
    assert speed(log) == pytest.approx(20.0, rel=1e-4)
    notation = last[0].replace("18 * 64 = 1152", "498.3 * 64 = 3.189e+04")
    assert events([notation]) == [Speed(498.3)]


def test_the_speed_is_told_while_training_goes_on() -> None:
    """A trial that is ended at a limit has a speed."""
    log = training("bvlc")
    cut = next(i for i, line in enumerate(log) if "Iteration 10 (" in line)
    assert speed(log[: cut + 1]) == pytest.approx(20.0, rel=1e-4)
