"""Signals as a request to end."""

import os
import signal

import pytest

from ribosome.runner.signals import StopRequest, held_back, hold_back, let_through


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGURG])
def test_a_signal_is_counted_and_raises_nothing(number: signal.Signals) -> None:
    """Ctrl-C, the end of a job, and a batch system's warning of it."""
    with StopRequest() as request:
        os.kill(os.getpid(), number)
        assert request.count == 1


def test_a_warning_is_ignored_by_all_but_the_master() -> None:
    """What was there before is there again; a process that does nothing lives on."""
    before = signal.getsignal(signal.SIGURG)
    with StopRequest():
        assert signal.getsignal(signal.SIGURG) != before
    assert signal.getsignal(signal.SIGURG) == before == signal.SIG_DFL
    os.kill(os.getpid(), signal.SIGURG)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_held_back_counts(number: signal.Signals) -> None:
    """A signal from before the request was made ready is not lost, and does nothing yet."""
    hold_back()
    try:
        assert not held_back()
        # Not to the process: threads that were there before have it not blocked.
        signal.raise_signal(number)
        assert held_back()
        with StopRequest() as request:
            assert request.count == 1
            assert not held_back()
    finally:
        let_through()
