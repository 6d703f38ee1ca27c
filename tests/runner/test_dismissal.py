"""Letting workers go where a run cannot go on."""

from run_kit import Workers

from ribosome.runner.dismissal import dismiss
from ribosome.runner.messages import Left, Report, Started, encode
from ribosome.runner.transport import Event, Lost, Message


class Dying(Workers):
    """A transport of which the polls are given, and a clock that ticks with each."""

    def __init__(self, *polls: list[Event]) -> None:
        super().__init__(0)
        self._polls = list(polls)
        self.stopped: list[int] = []
        self.retired: list[int] = []
        self.now = 0.0

    def monotonic(self) -> float:
        """Seconds: one for each poll."""
        return self.now

    def time(self) -> float:
        """The same."""
        return self.now

    def send(self, worker: int, *messages: bytes) -> None:
        """Remember who is told to stop."""
        assert b"stop" in messages[0]
        self.stopped.append(worker)

    def poll(self, timeout: float) -> list[Event]:  # noqa: ARG002 - never waits
        """The next of the polls."""
        self.now += 1.0
        return self._polls.pop(0) if self._polls else []

    def retire(self, worker: int) -> None:
        """Remember who is not to be replaced."""
        self.retired.append(worker)


def test_who_does_not_leave_is_killed() -> None:
    """One says that it leaves, one dies, one only goes on with its trial."""
    transport = Dying(
        [Message(3, encode(Report((Started(7, 0.0),))))],
        [Message(1, encode(Report((Left(),)))), Lost(2, "exit code 0")],
    )
    dismiss(transport, [1, 2, 3], transport, 5.0)
    assert transport.stopped == transport.retired == [1, 2, 3]
    assert transport.killed == [3]
    assert transport.now == 5.0


def test_nobody_is_waited_for_that_has_left() -> None:
    """It ends with the last one's word."""
    transport = Dying([Message(1, encode(Report((Left(),))))])
    dismiss(transport, [1], transport, 5.0)
    assert (transport.now, transport.killed) == (1.0, [])
