"""Events from the trainer's log."""

import pytest

from ribosome.backends import base
from ribosome.backends.base import Event, Failed, Finished, Iteration, Speed
from ribosome.backends.pytorch.logfmt import format_line
from ribosome.backends.pytorch.parser import LogParser

LINES: list[tuple[str, Event]] = [
    (
        format_line("first_iteration", iteration=0, loss=2.5, lr=0.01),
        Iteration(0, 2.5, 0.01),
    ),
    (
        format_line("iteration", iteration=50, loss=0.5, lr=0.005),
        Iteration(50, 0.5, 0.005),
    ),
    (
        format_line("speed", batches_per_s=312.5, iterations=290, seconds=0.928),
        Speed(312.5),
    ),
    (
        format_line("test", iteration=300, accuracy=0.975, loss=0.125),
        base.Tested(0.975, 0.125, 300),
    ),
    (
        format_line(
            "failed", ending="diverged", message="the loss is NaN at iteration 7"
        ),
        Failed("diverged", "the loss is NaN at iteration 7"),
    ),
    (format_line("failed", ending="strange", message=""), Failed("crashed", "")),
    (format_line("done"), Finished()),
]


@pytest.mark.parametrize(("line", "event"), LINES)
def test_a_line_of_the_trainer_is_an_event(line: str, event: Event) -> None:
    """What the trainer writes is what the runner learns."""
    assert list(LogParser().feed(line + "\n")) == [event]


@pytest.mark.parametrize(
    "line",
    [
        "event=start torch=2.13.0 device=cpu parameters=12345",
        "event=iteration iteration=50 lr=0.1",
        "event=iteration iteration=5o loss=0.5 lr=0.1",
        "event=test iteration=300 accuracy= loss=0.1",
        "event=speed batches_per_s=inf",
        "event=speed batches_per_s=0",
        "event=unheard_of",
        "UserWarning: event=done",
        "\x00\ufffd",
    ],
)
def test_a_line_that_is_damaged_or_of_no_interest_is_no_event(line: str) -> None:
    """Garbage is passed over, never raised."""
    assert not LogParser().feed(line)
