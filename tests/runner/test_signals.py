"""Signals as a request to end."""

import os
import signal

import pytest

from ribosome.runner.signals import StopRequest


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
