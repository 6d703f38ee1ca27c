"""The worker's loop, with a master that is a list of messages."""

import os
import time
from collections import deque
from collections.abc import Callable
from math import inf, nan

import pytest

from ribosome.genome.errors import DataError
from ribosome.runner.evaluator import Evaluator, Unfit
from ribosome.runner.messages import (
    Checked,
    Forget,
    GivenBack,
    Halt,
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
Event = Ready | Started | Result | GivenBack | Left


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


class Moved(Scripted):
    """An evaluator that gives back its first trial, with its data elsewhere then."""

    def __init__(self, *, charged: bool) -> None:
        given = iter([GivenBack(1, "its data was gone", charged)])
        super().__init__(lambda work: next(given, Result(work.trial, "ok", 0.5)))  # type: ignore[arg-type]

    def ready(self) -> Ready:
        """It counts how often it was asked."""
        self.asked = getattr(self, "asked", 0) + 1
        return Ready("host", self.asked)


def reported(evaluator: Evaluator, *messages: ToWorker) -> list[Event]:
    """All that a worker says, Ready too."""
    master = Master(SETUP, *messages)
    serve(master, evaluator)
    return [event for report in master.reports for event in report.events]


def test_a_trial_is_given_back_without_a_result() -> None:
    """The worker goes on with the next one."""
    events = reported(Moved(charged=True), work(1), work(2), Stop())
    kinds = [type(event) for event in events]
    assert kinds == [Ready, Started, GivenBack, Started, Result, Left]


def test_a_worker_whose_data_is_elsewhere_says_so() -> None:
    """It is ready anew, and what it has read for that is told."""
    events = reported(Moved(charged=False), work(1), Stop())
    assert [type(e) for e in events] == [Ready, Started, GivenBack, Ready, Left]
    assert events[3] == Ready("host", 2)


def test_an_unfit_worker_leaves_and_judges_nobody() -> None:
    """Its last word is the reason, and the trial at hand has no result."""

    def fail(work: Work) -> Result | None:
        raise Unfit(f"no data for trial {work.trial}; put it back")

    evaluator = Scripted(fail)
    events = reported(evaluator, work(1), work(2))
    assert [type(event) for event in events] == [Ready, Started, Left]
    assert "worker 3 on " in events[-1].reason  # type: ignore[union-attr]
    assert "no data for trial 1; put it back" in events[-1].reason  # type: ignore[union-attr]
    assert events[-1].unfit  # type: ignore[union-attr]
    assert (evaluator.cancelled, evaluator.closed) == (1, 1)


class Copying(NoopEvaluator):
    """An evaluator that copies its data anew in its first trial, looking up often."""

    def __init__(self, going: Callable[[], object], looks: int) -> None:
        super().__init__()
        self._going, self._looks = going, looks

    def poll(self) -> Result | None:
        """Copy, then give the result."""
        for _ in range(self._looks):
            self._going()
            time.sleep(0.002)
        self._looks = 0
        return super().poll()


def copying(master: Master, looks: int) -> None:
    """Run such a worker to its end."""
    worker = Worker(master, make=lambda _: Copying(worker._look_up, looks))
    worker.run()


def test_a_worker_that_copies_its_data_anew_is_heard() -> None:
    """Its heartbeats go on, or it would be taken for lost."""
    setup = Setup(b"{}", "/nowhere", 3, "noop", heartbeat_s=0.04)

    class Patient(Master):
        def receive(self) -> list[bytes]:
            if len(self._messages) == 1 and not self.answered:
                return []
            return super().receive()

        @property
        def answered(self) -> bool:
            return any(isinstance(event, Result) for event in self.events)

    master = Patient(setup, work(1), Stop())
    copying(master, looks=50)
    kinds = [[type(event) for event in report.events] for report in master.reports]
    result = next(n for n, report in enumerate(kinds) if Result in report)
    assert kinds[:result].count([]) >= 4


@pytest.mark.parametrize("gone", [False, True])
def test_a_worker_that_is_let_go_copies_no_data_anew(gone: bool) -> None:
    """A Stop ends it, or the master's end; the trial is not reported."""
    last = () if gone else (Stop(now=True),)
    master = Master(SETUP, work(1), *last)
    copying(master, looks=10**6)
    assert not any(isinstance(event, Result) for event in master.events)


def test_checks_are_reported_and_a_halt_reaches_the_running_trial() -> None:
    """All checks come before the result; a Halt of another trial is of no effect."""
    checks = iter([Checked(1, 5, 0.25), Checked(1, 10, 0.5)])
    halted: list[str] = []

    class Checking(Scripted):
        def halt(self, why: str) -> None:
            halted.append(why)

    def script(work: Work) -> Result | Checked | None:
        if (check := next(checks, None)) is not None:
            return check
        return Result(work.trial, "ok", fitness=0.5) if halted else None

    master = Master(SETUP, work(1), Halt(9, "another"), Halt(1, "it is"), Stop())
    serve(master, Checking(script))  # type: ignore[arg-type]
    kinds = [type(event) for event in master.events]
    assert kinds == [Started, Checked, Checked, Result, Left]
    assert halted == ["it is"]
