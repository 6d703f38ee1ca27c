"""What the tests of runs share: a small language, workers in memory, and real runs."""

import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ribosome.genome.space import Case, Gene, Genes, Group
from ribosome.runner.clock import Clock
from ribosome.runner.config import SearchConfig, StoppingConfig
from ribosome.runner.confirm import CONFIRM, Confirm
from ribosome.runner.confirmed import Confirmations
from ribosome.runner.journal import Journal
from ribosome.runner.master import Master
from ribosome.runner.messages import (
    Left,
    Ready,
    Report,
    Result,
    Setup,
    Started,
    Stop,
    ToWorker,
    Work,
    decode_to_worker,
    encode,
    sanitised,
)
from ribosome.runner.noop import NoopEvaluator
from ribosome.runner.observer import Silent, Status
from ribosome.runner.program import Program
from ribosome.runner.proposer import SEARCH, Codec, Proposer
from ribosome.runner.tally import Tally
from ribosome.runner.transport import Event, Joined, Lost, Message
from ribosome.search.registry import make_strategy

PROGRAM = str(Path(__file__).with_name("run_program.py"))
PATIENCE_S = 90.0
"""Longer than anything here takes on a busy machine."""

TIMES = ("proposed_at", "started_at", "finished_at", "seconds")


class TinyLanguage:
    """Eight genes of four alleles; every genome is canonical."""

    groups = tuple(
        Group(name, (Case(name, (Gene(name, (0, 1, 2, 3), (1.0,) * 4),)),))
        for name in "abcdefgh"
    )

    def canonical(self, genes: Genes) -> Genes:
        """The same genes."""
        return genes

    def admits(self, genes: Genes) -> bool:  # noqa: ARG002
        """Always."""
        return True


def tiny_codec() -> Codec:
    """A byte and a digit per gene."""
    return Codec(
        pack=lambda genes: bytes(values[1] for values in genes),
        as_text=lambda data: "".join(map(str, data)),
        from_text=lambda text: tuple((0, int(letter)) for letter in text),
    )


class Recorder(Silent):
    """An observer that remembers."""

    def __init__(self) -> None:
        self.statuses: list[Status] = []
        self.warnings: list[str] = []

    def update(self, status: Status) -> None:
        """Remember a status."""
        self.statuses.append(status)

    def warn(self, text: str) -> None:
        """Remember a warning."""
        self.warnings.append(text)


class Workers:
    """A transport whose workers live in memory: one trial per worker and poll.

    ``deadly`` says how many workers a trial takes along; ``broken`` workers leave at once,
    each with its reason; ``on_send`` sees everything that is sent; ``on_result`` may
    change a report before it arrives.
    """

    def __init__(
        self,
        count: int,
        *,
        deadly: dict[int, int] | None = None,
        broken: dict[int, str] | None = None,
        on_send: Callable[[int, ToWorker], None] = lambda *_: None,
        on_report: Callable[[Report], Report] = lambda report: report,
        on_result: Callable[[Work, Result], Result] = lambda _, result: result,
    ) -> None:
        self.sent: dict[int, list[ToWorker]] = {}
        self.killed: list[int] = []
        self._joining = deque(range(1, count + 1))
        self._queues: dict[int, deque[Work]] = {}
        self._deadly = dict(deadly or {})
        self._broken = dict(broken or {})
        self._stopped: list[int] = []
        self._on_send = on_send
        self._on_report = on_report
        self._on_result = on_result

    def send(self, worker: int, *messages: bytes) -> None:
        """Take messages to a worker."""
        for data in messages:
            self._take(worker, data)

    def _take(self, worker: int, data: bytes) -> None:
        message = decode_to_worker(data)
        self._on_send(worker, message)
        self.sent.setdefault(worker, []).append(message)
        if isinstance(message, Work):
            self._queues[worker].append(message)
        elif isinstance(message, Stop):
            self._stopped.append(worker)

    def poll(self, timeout: float) -> list[Event]:  # noqa: ARG002 - never waits
        """Let every worker do one trial."""
        events: list[Event] = []
        while self._joining:
            worker = self._joining.popleft()
            self._queues[worker] = deque()
            self.join(worker)
            events.append(Joined(worker))
            if worker in self._broken:
                events.append(self._say(worker, Left(self._broken[worker])))
                self._queues.pop(worker)
            else:
                events.append(self._say(worker, Ready(f"node{worker}", worker)))
        for worker, queue in list(self._queues.items()):
            if worker in self._stopped:
                del self._queues[worker]
                events.append(self._say(worker, Left()))
            elif queue:
                events.append(self._evaluate(worker, queue.popleft()))
        return events

    def retire(self, worker: int) -> None:
        """Nothing to do: nobody is replaced but by `_evaluate`."""

    def locate(self, worker: int, host: str, pid: int) -> None:
        """Nothing to do."""

    def abandon(self, worker: int) -> bool:  # noqa: ARG002 - as over MPI
        """Nobody can be ended."""
        return False

    def kill(self, worker: int) -> None:
        """Remember who had to be killed."""
        self.killed.append(worker)

    def close(self) -> None:
        """Nothing to do."""

    def _evaluate(self, worker: int, work: Work) -> Event:
        if self._deadly.get(work.trial, 0):
            self._deadly[work.trial] -= 1
            self._queues.pop(worker)
            self._joining.append(worker)
            return Lost(worker, "killed by signal 9")
        result = self._result(work)
        return self._say(worker, Started(work.trial, 1.0), sanitised(result))

    def _result(self, work: Work) -> Result:
        evaluator = NoopEvaluator()
        evaluator.start(work)
        result = evaluator.poll()
        assert result is not None
        return self._on_result(work, result)

    def join(self, worker: int) -> None:
        """A worker has joined, in a process of its own."""

    def _say(self, worker: int, *events: object) -> Message:
        report = self._on_report(Report(events))  # type: ignore[arg-type]
        return Message(worker, encode(report))


def tiny_master(
    folder: Path,
    transport: Workers,
    *,
    evaluations: int = 30,
    observer: Silent | None = None,
    keep: str = "best",
    heartbeat_s: float = 0.0,
    quarantine: int = 0,
    depth: int = 2,
    confirm: int = 0,
    repeats: int = 2,
    stopping: StoppingConfig = StoppingConfig(),  # noqa: B008 (frozen)
    clock: Clock | None = None,
) -> tuple[Master, Journal]:
    """A master over a new or an old journal in a folder, for the tiny language."""
    journal = Journal(folder)
    if not journal.meta:
        journal.create()
    rng = np.random.default_rng(1)
    settings = SearchConfig(evaluations=evaluations, population=8, seed=1, guided=0)
    proposer = Proposer(
        make_strategy(settings, TinyLanguage(), rng),
        tiny_codec(),
        rng,
        seed=1,
        total=evaluations,
    )
    confirmations = Confirmations(repeats)
    again = Confirm(
        proposer,
        SEARCH,
        confirmations,
        count=confirm,
        repeats=repeats,
        seed=1,
        known=journal.repeated(),
    )
    tally = Tally(evaluations)

    def counted() -> Iterator[tuple[str, object]]:
        for what, record in journal.replay():
            if what == "told" and (record.phase == CONFIRM or record.stopped):
                tally.count(record.ending)
            elif what == "told" and not record.rejected:
                tally.add(record.trial, record.ending, record.fitness, record.genome)
            yield what, record

    program = Program(proposer, again, confirmations=confirmations)
    backlog = program.replay(counted(), journal.random_state())
    tally.total = program.total
    master = Master(
        transport=transport,
        journal=journal,
        program=program,
        backlog=backlog,
        tally=tally,
        observer=observer or Silent(),
        setup=Setup(b"{}", str(folder), 0, "noop", heartbeat_s=heartbeat_s),
        keep=keep,
        quarantine=quarantine,
        depth=depth,
        stopping=stopping,
        clock=clock,
    )
    return master, journal


class RealRun:
    """A search in a process of its own, with a marker in the environment of all of it."""

    def __init__(self, folder: Path, marker: str) -> None:
        self.folder = folder
        self.marker = marker

    def start(
        self,
        *options: str,
        launcher: tuple[str, ...] = (),
        evaluator: str = "noop:0.003",
        python: str = sys.executable,
    ) -> subprocess.Popen[str]:
        """Start it; options are KEY=VALUE settings and --resume."""
        return subprocess.Popen(
            [
                *launcher,
                python,
                "-P",
                PROGRAM,
                str(self.folder),
                evaluator,
                *options,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "RUN_MARKER": self.marker},
        )

    def finish(self, *options: str, **how: object) -> dict[str, object]:
        """Run it to its end; its summary."""
        process = self.start(*options, **how)  # type: ignore[arg-type]
        output, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, errors
        summary: dict[str, object] = json.loads(output.splitlines()[-1])
        return summary

    def left_behind(self) -> list[int]:
        """The processes of this run that are there after a moment to end in."""
        deadline = time.monotonic() + PATIENCE_S
        while (left := processes_with(self.marker)) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left


def processes_with(marker: str) -> list[int]:
    """The processes, zombies excepted, that have a marker in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                if marker.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def wait_until(condition: Callable[[], object], *, every: float = 0.005) -> None:
    """Wait for a condition; fails if it does not come true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(every)


@contextmanager
def killed_at_the_end(process: subprocess.Popen[str]) -> Iterator[None]:
    """Whatever the test finds, the process ends with it, pipes closed."""
    try:
        yield
    finally:
        process.kill()
        process.communicate()
