"""A worker process of the local transport: `python -P -m ribosome.runner.worker_main`.

It ends with its master, in three ways: the master's Stop, the end of the socket's stream,
and SIGTERM, which the kernel sends when the parent dies. Each ends the running trial with
every process of it; a clean-up that hangs is cut short by an alarm.
"""

import argparse
import os
import select
import signal
import socket
from types import FrameType

from ribosome.runner.frames import Frames, frame
from ribosome.runner.processes import die_with_parent
from ribosome.runner.transport import MasterGone
from ribosome.runner.worker import Worker

_CLEAN_UP_S = 10


class SocketEndpoint:
    """A worker's side of a socket pair."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._frames = Frames(connection)
        self._closed = False

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._connection.fileno()

    def receive(self) -> list[bytes]:
        """The messages that are there, without waiting."""
        if self._closed:
            raise MasterGone
        messages, self._closed = self._frames.read()
        if self._closed and not messages:
            raise MasterGone
        return messages

    def send(self, data: bytes) -> None:
        """Send one Report, waiting until the socket takes it."""
        rest = memoryview(frame(data))
        while rest:
            try:
                rest = rest[self._connection.send(rest) :]
            except BlockingIOError:
                select.select([], [self._connection], [])
            except ConnectionError:
                raise MasterGone from None


def main() -> None:
    """Serve the master at the other end of an inherited socket."""
    parser = argparse.ArgumentParser(description="A worker of `ribosome search`.")
    parser.add_argument("--fd", type=int, required=True, help="the inherited socket")
    parser.add_argument("--parent", type=int, required=True, help="the master's pid")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    _end_with(arguments.parent)
    with socket.socket(fileno=arguments.fd) as connection:
        connection.setblocking(False)
        Worker(SocketEndpoint(connection)).run()


def _end_with(parent: int) -> None:
    """Have the kernel send SIGTERM when the master dies, or end if it is dead already."""
    die_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(1)


def _end(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.alarm(_CLEAN_UP_S)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
