"""What carries messages between the master and its workers: processes or MPI, one face."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Joined(NamedTuple):
    """A worker is there and knows nothing yet: it wants its Setup."""

    worker: int


class Message(NamedTuple):
    """A worker sent a Report, still encoded."""

    worker: int
    data: bytes


class Lost(NamedTuple):
    """A worker is gone, and everything that was sent to it. ``reason`` says how it ended.

    ``returns`` says that another will come in its place, as Joined, if it is not retired.
    """

    worker: int
    reason: str
    returns: bool = True


Event = Joined | Message | Lost


class Transport(Protocol):
    """The master's side. Workers are numbered from 1.

    A worker that is lost may come back under the same number: as Lost, then Joined.
    """

    def send(self, worker: int, *messages: bytes) -> None:
        """Send without waiting; what goes to a lost worker is dropped."""
        ...

    def poll(self, timeout: float) -> Sequence[Event]:
        """Everything that has happened; waits up to ``timeout`` seconds for the first."""
        ...

    def retire(self, worker: int) -> None:
        """Let a worker end: from now on it is not replaced."""
        ...

    def locate(self, worker: int, host: str, pid: int) -> None:
        """Hear where a worker runs, by its own word."""
        ...

    def abandon(self, worker: int) -> bool:
        """End a worker that is silent, so that it is Lost; False where that cannot be done.

        One that cannot be ended may speak again.
        """
        ...

    def kill(self, worker: int) -> None:
        """End a worker that does not end by itself, at the end of the run."""
        ...

    def close(self) -> None:
        """Let all workers end and wait for them; leaves no process behind."""
        ...


class MasterGone(Exception):
    """A worker's other side has closed."""


class Endpoint(Protocol):
    """A worker's side."""

    def fileno(self) -> int | None:
        """What to wait on for messages; None when only `receive` can tell."""
        ...

    def receive(self) -> Sequence[bytes]:
        """The messages that are there, without waiting. Raises MasterGone."""
        ...

    def send(self, data: bytes) -> None:
        """Send one Report. Raises MasterGone."""
        ...
