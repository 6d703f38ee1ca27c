"""A worker that is broken, or somebody else's: it ends no run and changes no other's trial."""

import os
import socket
import struct
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "runner"))

from run_kit import Recorder, Workers, tiny_master

from ribosome.genome.errors import RunError
from ribosome.runner.frames import LONGEST, Frames, frame
from ribosome.runner.local import LocalTransport
from ribosome.runner.messages import (
    Left,
    Ready,
    Report,
    Result,
    Started,
    decode_to_worker,
    encode,
    read_report,
    sanitised,
)
from ribosome.runner.records import Record, read_trials
from ribosome.runner.transport import Event, Lost, Message

from .nasty import HARMFUL

NAN, INFINITY = float("nan"), float("inf")


def plain(**fields: object) -> bytes:
    """A report with one event, of any fields."""
    return msgspec.msgpack.encode({"type": "report", "events": [fields]})


def result(**fields: object) -> bytes:
    """A report with one result, of any fields."""
    return plain(
        **{"type": "result", "trial": 1, "ending": "ok", "fitness": 0.5, **fields}
    )


BROKEN = {
    "nothing": b"",
    "no msgpack": b"\xc1",
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "zeros": bytes(1000),
    "cut off": encode(Report((Started(1, 1.0),)))[:-3],
    "two in one": encode(Report()) * 2,
    "a long array that is not there": b"\xdd\xff\xff\xff\xff",
    "a long text that is not there": b"\xdb\xff\xff\xff\xff",
    "nested without end": b"\x91" * 100_000,
    "unknown event": plain(type="exec", code="1"),
    "no event": msgspec.msgpack.encode({"type": "report", "events": 5}),
    "another type": msgspec.msgpack.encode({"type": "work", "trial": 1}),
    "a pickle": b"\x80\x04\x95cposix\nsystem\n(S'id'\ntR.",
    "no text": b"\x82\xa4type\xa6report\xa6events\x91\x82\xa4type\xa4left\xa6reason\xa1\xff",
    "surrogate": b"\x82\xa4type\xa6report\xa6events\x91\x82\xa4type\xa4left\xa6reason"
    b"\xa3\xed\xa0\x80",
    "trial of words": result(trial="../../etc"),
    "trial 0": result(trial=0),
    "trial beyond SQLite": result(trial=2**63),
    "trial of a float": result(trial=1.5),
    "fitness NaN": result(fitness=NAN),
    "fitness infinite": result(fitness=INFINITY),
    "fitness above 1": result(fitness=1.5),
    "fitness of words": result(fitness="1.0"),
    "fitness of a failure": result(ending="crashed"),
    "ok without a fitness": result(fitness=None),
    "another ending": result(ending="rm -rf"),
    "loss NaN": result(loss=NAN),
    "parameters beyond SQLite": result(parameters=2**64 - 1),
    "parameters below 0": result(parameters=-1),
    "seconds infinite": result(seconds=INFINITY),
    "start NaN": plain(type="started", trial=1, at=NAN),
    "start of words": plain(type="started", trial=1, at="now"),
    "ready with a pid below 0": plain(type="ready", host="h", pid=-1),
    "ready with bytes below 0": plain(type="ready", host="h", pid=1, bytes_read=-1),
    "ready without a host": plain(type="ready", pid=1),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_what_no_worker_says_is_refused(data: bytes) -> None:
    """Every such message is the end of that worker's work, for a reason of one line."""
    (left,) = read_report(7, data).events
    assert isinstance(left, Left)
    assert left.broken
    assert left.reason.startswith("worker 7 sends what is no report: ")
    assert "\n" not in left.reason


def test_what_a_worker_says_is_taken() -> None:
    """Guard: honest reports pass, one of a network beyond all sizes as well."""
    huge = sanitised(
        Result(1, "ok", 0.5, loss=NAN, parameters=10**30, message="\ud800")
    )
    report = Report((Ready("host", 1), Started(1, 1.0), huge, Left()))
    assert read_report(1, encode(report)) == report


class Broken(Workers):
    """Workers of which the first also sends something else, behind its third report."""

    def __init__(self, count: int, data: bytes, *, always: bool = False) -> None:
        super().__init__(count)
        self._data, self._always, self._reports = data, always, 0

    def poll(self, timeout: float) -> list[Event]:
        """What the workers say, and what should not be there."""
        events: list[Event] = []
        for event in super().poll(timeout):
            events.append(event)
            if isinstance(event, Message) and event.worker == 1:
                self._reports += 1
                if self._reports == 3 or (self._always and self._reports > 3):
                    events.append(Message(1, self._data))
        return events


def finished(folder: Path, transport: Workers, observer: Recorder) -> list[Record]:
    """A run to its end."""
    master, journal = tiny_master(folder, transport, evaluations=20, observer=observer)
    with closing(journal):
        master.run()
    return read_trials(folder)


@pytest.mark.parametrize("always", [False, True])
@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_broken_worker_ends_no_run(tmp_path: Path, data: bytes, always: bool) -> None:
    """It gets no more work, and is told of; every trial has a result from another."""
    observer = Recorder()
    records = finished(tmp_path, Broken(3, data, always=always), observer)
    assert [record.trial for record in records] == list(range(1, 21))
    assert all(record.ending in ("ok", "diverged") for record in records)
    assert any("no report" in warning for warning in observer.warnings)


def test_a_broken_worker_that_is_alone_is_an_error(tmp_path: Path) -> None:
    """Where no other is left, the run says what the last one sent."""
    with pytest.raises(RunError, match="no report"):
        finished(tmp_path, Broken(1, b"\xc1"), Recorder())


@pytest.mark.parametrize(
    "forged",
    [
        Report((Result(999, "ok", 1.0),)),
        Report((Result(2**63 - 1, "ok", 1.0),)),
        Report((Started(999, 1.0), Started(1, 0.0), Started(2**63 - 1, 1.0))),
        Report((Result(1, "ok", 1.0),) * 50),
    ],
    ids=["a trial to come", "a trial never to come", "starts", "a result again"],
)
def test_a_worker_answers_only_for_its_own_trials(
    tmp_path: Path, forged: Report
) -> None:
    """A result of a trial that it does not have is dropped, as is the start of one."""
    records = finished(tmp_path, Broken(3, encode(forged)), Recorder())
    assert [record.trial for record in records] == list(range(1, 21))
    assert len({record.trial for record in records}) == 20
    assert all(record.fitness != 1.0 or record.trial == 1 for record in records)


def test_the_master_s_messages_are_checked_too() -> None:
    """A worker refuses what is not for it."""
    for data in BROKEN.values():
        with pytest.raises((msgspec.MsgspecError, RecursionError)):
            decode_to_worker(data)
    with pytest.raises(msgspec.MsgspecError):
        decode_to_worker(encode(Report()))


@pytest.fixture
def stream() -> tuple[socket.socket, Frames]:
    """A sender, and what cuts its stream into messages."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield theirs, Frames(ours)  # type: ignore[misc]


def test_a_message_without_end_is_not_waited_for(
    stream: tuple[socket.socket, Frames],
) -> None:
    """A length of four gigabytes ends the stream at once; what came before it stands."""
    sender, frames = stream
    sender.sendall(frame(b"first") + struct.pack("<I", 2**32 - 1) + b"x")
    assert frames.read() == ([b"first"], True)
    assert "4294967295 bytes" in frames.refused


def test_the_longest_message_is_read(stream: tuple[socket.socket, Frames]) -> None:
    """Guard: a message of a megabyte is one, however it is cut on its way."""
    sender, frames = stream
    sender.setblocking(False)
    rest, found = frame(b"y" * (1 << 20)), []
    while not found:
        try:
            rest = rest[sender.send(rest) :]
        except BlockingIOError:
            found, closed = frames.read()
            assert not closed
        else:
            if not rest:
                found, _ = frames.read()
    assert found == [b"y" * (1 << 20)]
    assert LONGEST >= 1 << 20


PROGRAM = """
import socket, sys, time
fd = int(sys.argv[1].partition("=")[2])
with socket.socket(fileno=fd) as master:
    master.setblocking(True)
    {act}
    time.sleep(1000)
"""

ACTS = {
    "a length without end": 'master.sendall(b"\\xff" * 100)',
    "a flood": "master.sendall(bytes(4) * 100_000_000)",
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_a_foreign_process_at_the_socket_does_not_hold_up_the_master(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """The master's poll returns, and the process is ended at the latest on closing."""
    program = tmp_path / "worker.py"
    program.write_text(PROGRAM.format(act=act))
    real = __import__("subprocess").Popen

    def foreign(argv: list[str], **options: object) -> object:
        fd = next(argument for argument in argv if argument.startswith("--fd="))
        return real([sys.executable, str(program), fd], **options)

    monkeypatch.setattr("ribosome.runner.local.subprocess.Popen", foreign)
    with closing(LocalTransport(1, tmp_path)) as transport:
        events: list[Event] = []
        while len(events) < 2:
            events += transport.poll(1.0)
        child = transport._children.get(1)
    assert isinstance(events[1], Lost | Message)
    if child is not None:
        assert child.process.poll() is not None


def test_a_warning_cannot_drive_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What a worker says of itself is written out."""
    from ribosome.tools.progress import Hidden, make_display

    Hidden().warn(f"worker 1 on {HARMFUL}: gone")
    with make_display("plain", HARMFUL) as display:
        display.warn(HARMFUL)
    shown = capsys.readouterr()
    assert not set(HARMFUL) & set(shown.err + shown.out.replace("\n", ""))
    assert "\\x1b" in shown.err
    assert os.linesep == "\n"
