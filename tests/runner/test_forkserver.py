"""The fork server as a process: its protocol, and its end with all that it started."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from trial_kit import MODULE, PATIENCE_S, marked, server_environment, until


class Client:
    """A server and a plain client of it, with nothing of ours in between."""

    def __init__(self, folder: Path, *, warm: bool) -> None:
        self.log = folder / "log"
        self.warm = warm
        self.marker = f"server-of-{folder}"
        self.door, theirs = socket.socketpair()
        preload = MODULE if warm else ""
        with theirs:
            number = str(theirs.fileno())
            program = [sys.executable, "-P", "-m", "ribosome.runner.forkserver"]
            self.process = subprocess.Popen(
                [*program, "--fd", number, "--preload", preload],
                pass_fds=[theirs.fileno()],
                env=server_environment(self.marker),
            )

    def ask(self, *arguments: str) -> socket.socket:
        """Our side of the handle of a trial that does what the arguments name."""
        ours, theirs = socket.socketpair()
        program = [] if self.warm else [sys.executable, "-P", "-m", MODULE]
        request = {
            "argv": [*program, *arguments],
            "environment": server_environment(self.marker),
            "folder": str(self.log.parent),
            "warm": self.warm,
        }
        with theirs, self.log.open("wb") as log:
            text = json.dumps(request).encode() + b"\n"
            # In two pieces, as a large environment comes.
            socket.send_fds(self.door, [text[:10]], [log.fileno(), theirs.fileno()])
            self.door.sendall(text[10:])
        ours.settimeout(PATIENCE_S)
        return ours

    def hang(self, session: str) -> socket.socket:
        """The handle of a trial that hangs, once its child and itself do."""
        handle = self.ask("hangs_with_child", session)
        until(lambda: self.log.read_bytes() == b"alive\n" and len(self.left()) == 2)
        return handle

    def left(self, *, servers: bool = False) -> list[int]:
        """The living processes of this server, itself and its spare if asked for."""
        return marked(self.marker, servers=servers)


def messages(handle: socket.socket) -> list[dict[str, int]]:
    """All that the server says of a trial, to its end."""
    with handle, handle.makefile() as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(params=["warm", "cold"])
def client(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A server; afterwards neither it nor anything of it may run."""
    client = Client(tmp_path, warm=request.param == "warm")
    yield client
    client.door.close()
    client.process.wait(PATIENCE_S)
    until(lambda: not client.left(servers=True))


def test_a_trial_is_told_by_pid_and_exit(client: Client) -> None:
    """The server says who the trainer is, and how it ended with how much memory."""
    first, last = messages(client.ask("exits", "7"))
    assert first.keys() == {"pid"}
    assert last["exit"] == 7
    assert last["peak"] > 1 << 20


def test_a_signal_is_a_negative_exit(client: Client) -> None:
    """A trainer that a signal has ended is reported with minus its number."""
    assert messages(client.ask("signal", "15"))[-1]["exit"] == -15


def test_the_output_goes_to_the_log(client: Client) -> None:
    """Both outputs of the trainer go where the request says."""
    messages(client.ask("raises"))
    assert client.log.read_text().endswith("ValueError: no such luck\n")


def test_shutting_the_handle_kills_the_trial(client: Client) -> None:
    """The trainer and its child end, the end is reported, the server stays."""
    handle = client.hang("new")
    handle.shutdown(socket.SHUT_WR)
    assert messages(handle)[-1]["exit"] == -9
    assert client.left() == []
    assert client.process.poll() is None


def test_a_spare_waits_for_the_next_trial(client: Client) -> None:
    """Between trials one forked process waits, and the next trial runs in it."""
    messages(client.ask("exits", "0"))
    until(lambda: len(client.left(servers=True)) == 2)
    (spare,) = set(client.left(servers=True)) - {client.process.pid}
    assert messages(client.ask("exits", "0"))[0] == {"pid": spare}


def test_a_dead_spare_is_replaced(client: Client) -> None:
    """A trial runs although what waited for it was killed."""
    messages(client.ask("exits", "0"))
    until(lambda: len(client.left(servers=True)) == 2)
    (spare,) = set(client.left(servers=True)) - {client.process.pid}
    os.kill(spare, signal.SIGKILL)
    until(lambda: client.left(servers=True) == [client.process.pid])
    assert messages(client.ask("exits", "5"))[-1]["exit"] == 5


def test_a_request_that_nobody_waits_for_is_not_run(client: Client) -> None:
    """A trial whose handle was closed before its turn never starts."""
    client.ask("ok").close()
    messages(client.ask("exits", "0"))
    assert client.log.read_bytes() == b"leaving\n"


@pytest.mark.parametrize("session", ["same", "new"])
def test_the_server_ends_with_its_worker(client: Client, session: str) -> None:
    """Once the worker's sockets are closed, nothing is left of server and trial."""
    handle = client.hang(session)
    handle.close()
    client.door.close()
    assert client.process.wait(PATIENCE_S) == 0
    assert client.left(servers=True) == []


def test_sigterm_ends_the_server_and_its_trial(client: Client) -> None:
    """SIGTERM, which the kernel sends when the worker dies, takes everything along."""
    with client.hang("new"):
        client.process.send_signal(signal.SIGTERM)
        client.process.wait(PATIENCE_S)
        assert client.left(servers=True) == []


def test_the_trainer_dies_with_a_killed_server(client: Client) -> None:
    """The kernel ends the trainer when the server is killed."""
    with client.hang("same"):
        client.process.kill()
        client.process.wait(PATIENCE_S)
        until(lambda: len(client.left(servers=True)) == 1)  # the trainer's child
    for pid in client.left():
        subprocess.run(["kill", "-9", str(pid)], check=True)
