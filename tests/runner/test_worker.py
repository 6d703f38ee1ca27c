"""The worker's loop, with a master that is a list of messages."""

import os
import time
from collections import deque
from collections.abc import Callable
from math import inf, nan

import pytest

from ribosome.genome.errors import DataError
from ribosome.runner.evaluator import Evaluator
from ribosome.runner.messages import (
    Forget,
    Left,
    Ready,
    Report,
    Result,
    Setup,
    Started,
    Stop,
    ToWorker,
    Work,
    decode_report,
    encode,
)
from ribosome.runner.noop import NoopEvaluator
from ribosome.runner.transport import MasterGone
from ribosome.runner.worker import Worker, make_evaluator

SETUP = Setup(b"{}", "/nowhere", 3, "noop")
Event = Ready | Started | Result | Left


class Master:
    """An endpoint whose other side says one thing at a time, then is gone."""

    def __init__(self, *messages: ToWorker) -> None:
        self._messages = deque(messages)
        self.reports: list[Report] = []

    def fileno(self) -> None:
        """Nothing to wait on."""

    def receive(self) -> list[bytes]:
        """The next message."""
        if not self._messages:
            raise MasterGone
        return [encode(self._messages.popleft())]

    def send(self, data: bytes) -> None:
        """Take a report."""
        self.reports.append(decode_report(data))

    @property
    def ready(self) -> Event:
        """The first that was reported."""
        return self._all[0]

    @property
    def events(self) -> list[Event]:
        """Everything else that was reported, in order."""
        return [event for event in self._all if not isinstance(event, Ready)]

    @property
    def _all(self) -> list[Event]:
        return [event for report in self.reports for event in report.events]


class Scripted(NoopEvaluator):
    """An evaluator that does what it is told at a trial; remembers what was asked of it."""

    def __init__(self, what: Callable[[Work], Result | None]) -> None:
        super().__init__()
        self._what = what
        self.cancelled = 0
        self.closed = 0

    def poll(self) -> Result | None:
        """What the script says."""
        assert self._work is not None
        return self._what(self._work)

    def cancel(self) -> None:
        """Count it."""
        super().cancel()
        self.cancelled += 1

    def close(self) -> None:
        """Count it."""
        self.closed += 1


def work(trial: int) -> Work:
    """Some work."""
    return Work(trial, bytes([trial]), 0)


def serve(master: Master, evaluator: Evaluator | None = None) -> None:
    """Run a worker to its end."""
    make = make_evaluator if evaluator is None else lambda _: evaluator
    Worker(master, make=make).run()


def test_the_first_report_says_that_the_worker_is_ready() -> None:
    """It names the machine and the process, before anything else."""
    master = Master(SETUP, Stop())
    serve(master)
    assert master.ready == Ready(os.uname().nodename, os.getpid())


def test_each_trial_is_started_then_ended() -> None:
    """Trials are reported in the order in which they were handed out."""
    master = Master(SETUP, work(1), work(2), Stop())
    serve(master)
    seen = [(type(event), getattr(event, "trial", None)) for event in master.events]
    assert seen == [
        (Started, 1),
        (Result, 1),
        (Started, 2),
        (Result, 2),
        (Left, None),
    ]


def test_a_stop_lets_the_queue_run_out() -> None:
    """Work that was handed out before a Stop is done; the good-bye is the last word."""
    turns = iter(range(100))

    def slow(work: Work) -> Result | None:
        return Result(work.trial, "ok", 0.5) if next(turns) % 5 == 4 else None

    master = Master(SETUP, work(1), work(2), Stop(), *[Stop()] * 20)
    serve(master, Scripted(slow))
    results = [event.trial for event in master.events if isinstance(event, Result)]
    assert results == [1, 2]
    assert master.events[-1] == Left()


def test_a_stop_now_ends_the_running_trial() -> None:
    """What runs is cancelled, what waits is forgotten, and neither is reported."""
    evaluator = Scripted(lambda _: None)
    master = Master(SETUP, work(1), work(2), Stop(now=True))
    serve(master, evaluator)
    assert [type(event) for event in master.events] == [Started, Left]
    assert evaluator.cancelled >= 1
    assert evaluator.closed == 1


def test_a_forgotten_trial_is_not_reported() -> None:
    """What runs of it is cancelled, what waits is never begun, and others go on."""

    def slow(work: Work) -> Result | None:
        return Result(work.trial, "ok", 0.5) if work.trial == 3 else None

    evaluator = Scripted(slow)
    master = Master(SETUP, work(1), work(2), work(3), Forget(2), Forget(1), Stop())
    serve(master, evaluator)
    assert [event.trial for event in master.events if isinstance(event, Result)] == [3]
    assert [e.trial for e in master.events if isinstance(e, Started)] == [1, 3]


def test_a_worker_with_nothing_to_say_sends_heartbeats() -> None:
    """Four in the time after which it would be missed, also while a trial runs."""
    setup = Setup(b"{}", "/nowhere", 3, "noop", heartbeat_s=0.04)
    until = time.monotonic() + 0.2

    class Patient(Master):
        def receive(self) -> list[bytes]:
            wait = len(self._messages) == 1 and time.monotonic() < until
            return [] if wait else super().receive()

    master = Patient(setup, work(1), Stop(now=True))
    serve(master, Scripted(lambda _: None))
    assert sum(not report.events for report in master.reports) >= 4


def test_without_a_limit_there_are_no_heartbeats() -> None:
    """Every report has something to say."""
    master = Master(SETUP, work(1), *[Forget(9)] * 20, Stop(now=True))
    serve(master, Scripted(lambda _: None))
    assert all(report.events for report in master.reports)


def test_a_stop_without_a_setup_ends_the_worker() -> None:
    """A worker that is dismissed before it knows the run says nothing."""
    master = Master(Stop(now=True))
    serve(master)
    assert master.reports == []


def test_a_master_that_is_gone_ends_the_worker() -> None:
    """The running trial is cancelled and everything given back."""
    evaluator = Scripted(lambda _: None)
    serve(Master(SETUP, work(1)), evaluator)
    assert (evaluator.cancelled, evaluator.closed) == (1, 1)


def test_an_exception_in_a_trial_is_a_result() -> None:
    """The trial has crashed, with worker, host and the traceback's end; others follow."""

    def fail(work: Work) -> Result | None:
        if work.trial == 1:
            raise KeyError("lost my keys")
        return Result(work.trial, "ok", 0.5)

    evaluator = Scripted(fail)
    master = Master(SETUP, work(1), work(2), Stop())
    serve(master, evaluator)
    first, second = (event for event in master.events if isinstance(event, Result))
    assert (first.ending, first.fitness) == ("crashed", None)
    assert f"worker 3 on {os.uname().nodename}" in first.message
    assert "KeyError: 'lost my keys'" in first.message
    assert "\n" not in first.message
    assert second.ending == "ok"


def test_an_evaluator_that_cannot_be_made_is_the_last_word() -> None:
    """A worker that cannot work says why, in the error's own words."""

    def make(_: Setup) -> Evaluator:
        raise DataError("digits: gone")

    master = Master(SETUP)
    Worker(master, make=make).run()
    (left,) = master.events
    assert isinstance(left, Left)
    assert left.reason.startswith("worker 3 on ")
    assert left.reason.endswith(": digits: gone")


def test_numbers_that_are_none_become_none() -> None:
    """NaN and infinity do not travel, and an ok with such a fitness is diverged."""
    strange = Result(
        1, "ok", fitness=nan, loss=inf, batches_per_s=-inf, message="\udcff"
    )
    master = Master(SETUP, work(1), Stop())
    serve(master, Scripted(lambda _: strange))
    (result,) = (event for event in master.events if isinstance(event, Result))
    assert (result.ending, result.fitness) == ("diverged", None)
    assert (result.loss, result.batches_per_s, result.message) == (None, None, "?")


def test_a_failure_has_no_fitness() -> None:
    """A fitness beside another ending than ok is dropped."""
    master = Master(SETUP, work(1), Stop())
    serve(master, Scripted(lambda _: Result(1, "timeout", fitness=0.9)))
    (result,) = (event for event in master.events if isinstance(event, Result))
    assert (result.ending, result.fitness) == ("timeout", None)


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_noop_takes_its_time(seconds: float) -> None:
    """The evaluator that trains nothing answers after the seconds it is given."""
    evaluator = NoopEvaluator(seconds=seconds)
    evaluator.start(work(1))
    result = evaluator.poll()
    assert (result is None) == (seconds > 0)
    while result is None:
        result = evaluator.poll()
    assert result.finished_at - result.started_at >= seconds


def test_noop_depends_on_the_genome_alone() -> None:
    """Equal genomes have equal fitness, whatever the trial."""
    evaluator = NoopEvaluator()
    found = []
    for trial in (1, 2):
        evaluator.start(Work(trial, b"genome", trial))
        result = evaluator.poll()
        assert result is not None
        found.append((result.ending, result.fitness))
    assert found[0] == found[1]


def test_a_clock_that_is_set_back_holds_up_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How long a trial took does not depend on the time of day."""
    evaluator = NoopEvaluator(seconds=0.01)
    evaluator.start(Work(1, b"genome", 1))
    monkeypatch.setattr("time.time", lambda: 1.0)
    time.sleep(0.01)
    result = evaluator.poll()
    assert result is not None
    assert result.seconds >= 0.01
