"""Workers as real processes of this machine."""

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest
from run_kit import processes_with, wait_until

from ribosome.genome.errors import RunError
from ribosome.runner.local import LocalTransport
from ribosome.runner.messages import (
    Left,
    Ready,
    Report,
    Result,
    Setup,
    Stop,
    Work,
    decode_report,
    encode,
)
from ribosome.runner.transport import Event, Joined, Lost, Message

SETUP = Setup(b"{}", "/nowhere", 1, "noop")


@pytest.fixture
def marker(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A mark on every process that the test starts."""
    mark = f"{request.node.name}-{os.getpid()}"
    monkeypatch.setenv("RUN_MARKER", mark)
    return f"RUN_MARKER={mark}"


@pytest.fixture
def transport(tmp_path: Path, marker: str) -> Iterator[LocalTransport]:
    """One local worker, that has been set up and has said that it is there."""
    with closing(LocalTransport(1, tmp_path)) as made:
        assert made.poll(0.0) == [Joined(1)]
        made.send(1, encode(SETUP))
        ((ready,),) = [report.events for report in reports(made, 1)]
        assert isinstance(ready, Ready)
        yield made
    assert processes_with(marker) == []


def reports(transport: LocalTransport, count: int) -> list[Report]:
    """The next reports of the worker."""
    found: list[Report] = []

    def enough() -> bool:
        for event in transport.poll(0.1):
            assert isinstance(event, Message)
            found.append(decode_report(event.data))
        return len(found) >= count

    wait_until(enough)
    return found


def results(transport: LocalTransport, count: int) -> list[int]:
    """The trials of the worker's next results, however they are spread over reports."""
    found: list[int] = []
    while len(found) < count:
        for report in reports(transport, 1):
            found += [
                event.trial for event in report.events if isinstance(event, Result)
            ]
    return found


def next_events(transport: LocalTransport, count: int) -> list[Event]:
    """The next things that happen."""
    found: list[Event] = []
    wait_until(lambda: found.extend(transport.poll(0.1)) or len(found) >= count)
    return found


def test_a_worker_evaluates(transport: LocalTransport) -> None:
    """Work goes out and a result comes back."""
    transport.send(1, encode(Work(7, b"genome", 0)))
    assert results(transport, 1) == [7]


def test_a_large_message_arrives_whole(transport: LocalTransport) -> None:
    """A message that no socket buffer holds is cut and put together again."""
    transport.send(1, encode(Work(7, bytes(5_000_000), 0)))
    transport.send(1, encode(Work(8, b"genome", 0)))
    assert results(transport, 2) == [7, 8]


def test_a_retired_worker_is_not_replaced(transport: LocalTransport) -> None:
    """After a Stop the worker says good-bye, ends with code 0, and stays away."""
    transport.retire(1)
    transport.send(1, encode(Stop()))
    message, lost = next_events(transport, 2)
    assert isinstance(message, Message)
    assert decode_report(message.data).events == (Left(),)
    assert lost == Lost(1, "exit code 0")
    assert transport.poll(0.0) == []


def test_a_killed_worker_is_replaced(transport: LocalTransport, marker: str) -> None:
    """A worker that dies is reported with its signal, then joins anew, and works."""
    (pid,) = processes_with(marker)
    os.kill(pid, signal.SIGKILL)
    assert next_events(transport, 1) == [Lost(1, "killed by signal 9")]
    assert next_events(transport, 1) == [Joined(1)]
    transport.send(1, encode(SETUP))
    transport.send(1, encode(Work(7, b"genome", 0)))
    assert results(transport, 1) == [7]


def test_what_goes_to_a_dead_worker_is_dropped(
    transport: LocalTransport, marker: str
) -> None:
    """Sending to a worker that has just died raises nothing; its loss is reported."""
    (pid,) = processes_with(marker)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: processes_with(marker) == [])
    transport.send(1, encode(Work(7, b"genome", 0)))
    assert next_events(transport, 1) == [Lost(1, "killed by signal 9")]


@pytest.mark.usefixtures("transport")
def test_a_worker_has_its_own_session(marker: str) -> None:
    """Ctrl-C in the master's terminal does not reach a worker."""
    (pid,) = processes_with(marker)
    assert os.getsid(pid) == pid


def test_close_ends_a_worker_that_was_not_told(transport: LocalTransport) -> None:
    """A worker whose socket closes ends, also in the middle of a trial."""
    transport.send(1, encode(Work(7, b"genome", 0)))


@pytest.mark.usefixtures("transport")
def test_a_stopped_worker_is_killed(
    marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that hangs when the transport closes is ended by force."""
    monkeypatch.setattr("ribosome.runner.local._GRACE_S", 0.1)
    (pid,) = processes_with(marker)
    os.kill(pid, signal.SIGSTOP)


def test_workers_that_never_speak_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that die before their first word end the run, and the log has their words."""
    monkeypatch.setattr("sys.executable", "/bin/false")
    with (
        closing(LocalTransport(1, tmp_path)) as transport,
        pytest.raises(RunError, match=r"workers end before they begin.*workers\.log"),
    ):
        next_events(transport, 100)


def test_a_worker_that_cannot_be_started_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a free descriptor the error says which worker, and what to do."""

    def full() -> NoReturn:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("socket.socketpair", full)
    with (
        closing(LocalTransport(1, tmp_path)) as transport,
        pytest.raises(
            RunError, match=r"worker 1 .*Too many open files.*runner\.workers"
        ),
    ):
        transport.poll(0.0)


def test_what_a_worker_prints_is_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The traceback of a worker that cannot start is kept."""
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with closing(LocalTransport(1, tmp_path)) as transport, pytest.raises(RunError):
        next_events(transport, 100)
    assert "Fatal Python error" in (tmp_path / "workers.log").read_text()


def test_a_worker_that_was_given_up_is_lost_for_its_silence(
    transport: LocalTransport,
) -> None:
    """Not for the signal that ended it."""
    assert transport.abandon(1)
    lost, joined = next_events(transport, 2)
    assert lost == Lost(1, "it was silent for too long, and was ended")
    assert joined == Joined(1)
