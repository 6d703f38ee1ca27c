"""The clock of pure training."""

from contextlib import suppress

import pytest

from ribosome.backends.pytorch import clock


def test_time_that_the_clock_is_stopped_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even where what is done meanwhile fails."""
    now = [100.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])
    watch = clock.Clock()
    now[0] += 2.0
    with suppress(ValueError), watch.stopped():
        now[0] += 50.0
        raise ValueError("odd")
    now[0] += 1.0
    assert watch.seconds() == 3.0
