"""The worker process of the local transport: it ends with its master."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ribosome.runner.frames import Frames, frame
from ribosome.runner.messages import Ready, Setup, decode_report, encode

MASTER = """
import os, subprocess, sys
worker = [sys.executable, "-P", "-m", "ribosome.runner.worker_main"]
fd = sys.argv[1]
process = subprocess.Popen(
    [*worker, "--fd=" + fd, "--parent=" + str(os.getpid())],
    pass_fds=[int(fd)],
    start_new_session=True,
)
os.close(int(fd))
sys.exit(process.wait())
"""

Pair = tuple[subprocess.Popen[bytes], socket.socket]


@pytest.fixture
def master() -> Iterator[Pair]:
    """A master that has one worker, whose socket's other end the test holds."""
    ours, theirs = socket.socketpair()
    ours.settimeout(30)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", MASTER, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
        )
    with ours:
        yield process, ours
    process.kill()
    process.wait()


def begin(connection: socket.socket) -> None:
    """Set the worker up and wait for its first word."""
    connection.sendall(frame(encode(Setup(b"{}", "/nowhere", 1, "noop"))))
    messages, closed = Frames(connection).read()
    (ready,) = decode_report(messages[0]).events
    assert isinstance(ready, Ready)
    assert not closed


def test_a_worker_ends_when_its_parent_dies(master: Pair) -> None:
    """The kernel's signal ends a worker whose socket somebody else holds open."""
    process, connection = master
    begin(connection)
    process.kill()
    assert b"left" not in connection.recv(1000)


def test_a_worker_ends_when_its_socket_closes(master: Pair) -> None:
    """A worker without a master to talk to ends by itself, with exit code 0."""
    process, connection = master
    begin(connection)
    connection.shutdown(socket.SHUT_RDWR)
    assert process.wait(30) == 0
