"""The master: one loop that asks, journals, hands out and takes in, over any transport.

A turn takes in everything that has arrived, lets the strategy learn and propose, commits
all of it in one transaction, and only then sends: nothing is acted on that is not in the
journal, should the master be killed.
"""

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from ribosome.backends.base import Ending
from ribosome.runner.clock import Clock, SystemClock
from ribosome.runner.config import StoppingConfig
from ribosome.runner.dismissal import dismiss
from ribosome.runner.dispatch import Dispatch
from ribosome.runner.gpus import Gpu
from ribosome.runner.heartbeats import Heartbeats
from ribosome.runner.journal import Journal
from ribosome.runner.ledger import Ledger
from ribosome.runner.messages import (
    Checked,
    Forget,
    GivenBack,
    Left,
    Ready,
    Report,
    Result,
    Setup,
    Started,
    Stop,
    encode,
    read_report,
)
from ribosome.runner.observer import Interrupted, Observer
from ribosome.runner.outbox import Outbox
from ribosome.runner.patience import Patience
from ribosome.runner.program import Program
from ribosome.runner.progress import Progress
from ribosome.runner.proposer import Candidate
from ribosome.runner.quarantine import Quarantine, barred
from ribosome.runner.queues import Handed, Queues
from ribosome.runner.signals import StopRequest
from ribosome.runner.tally import Tally
from ribosome.runner.transport import Joined, Lost, Message, Transport
from ribosome.runner.trial_folders import TRIALS, TrialFolders

_TURN_S = 0.2
_UPDATE_S = 0.25
_GRACE_S = 10.0


class Master:
    """Runs a search to its end.

    ``setup`` is what every worker is told, but for its number and its GPU of ``gpus``;
    ``backlog`` are proposals without a result. ``keep`` is config.runner.keep_trials, see
    `ribosome.runner.ledger`. A worker gets no more work after ``quarantine`` failures in a
    row (`ribosome.runner.quarantine`), and has up to ``depth`` trials at once, of which one
    runs. ``clock`` is the machine's own.

    A worker that was silent for ``setup.heartbeat_s`` is taken for lost. If it could not be
    ended, it is welcome when it speaks again; its answers count where no other was first.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        journal: Journal,
        program: Program,
        backlog: deque[Candidate],
        tally: Tally,
        observer: Observer,
        setup: Setup,
        keep: str = "best",
        stopping: StoppingConfig = StoppingConfig(),  # noqa: B008 (frozen)
        quarantine: int = 0,
        depth: int = 2,
        gpus: Mapping[int, Gpu] = MappingProxyType({}),
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._transport = transport
        self._journal = journal
        self._program = program
        self._queues = Queues(program, backlog)
        self.tally = tally
        self._observer = observer
        self._setup = setup
        self._gpus = gpus
        self._heartbeats = Heartbeats(setup.heartbeat_s)
        self._quarantine = Quarantine(quarantine)
        self._depth = depth
        self._folders = TrialFolders(Path(setup.folder, TRIALS))
        self._ledger = Ledger(journal, program, tally, self._folders, keep=keep)
        self._outbox = Outbox(transport)
        self._dispatch = Dispatch(program, journal, self._outbox, self._clock)
        self._progress = Progress(stopping, journal, self._outbox)
        self._returning: set[int] = set()
        self._silent: set[int] = set()
        self._free: list[int] = []
        self._hosts: dict[int, str] = {}
        self._warned: set[str] = set()
        self.dropped = 0
        """The number of answers that came too late, twice, or without a question."""
        self._dismissing = False
        self._now = self._updated = self._clock.monotonic()
        self._patience = Patience(setup.heartbeat_s, self._now)

    def run(self) -> None:
        """Run until every evaluation has its result, then let the workers go.

        Raises Interrupted after SIGINT or SIGTERM, and RunError if no worker is left. The
        workers have been told to end whatever happens; the transport's `close` makes sure.
        """
        with StopRequest() as request:
            try:
                while not self._program.done and not request.count:
                    self._turn(_TURN_S)
            except BaseException:
                dismiss(self._transport, self._queues.workers, self._clock, _GRACE_S)
                raise
            self._tell_to_stop(now=not self._program.done)
            self._see_off(request)
        self._update()
        if not self._program.done:
            raise Interrupted.after(
                self.tally.evaluated, self.tally.total, self._setup.folder
            )

    def _turn(self, timeout: float) -> None:
        self._take_in(timeout)
        self._journal.commit(self._program.random_state)
        self._outbox.send()
        self._folders.tidy()
        self._patience.check(
            self._now,
            present=bool(self._queues or self._returning),
            silent=bool(self._silent),
            ready=self._queues.ready,
        )
        if self._now - self._updated >= _UPDATE_S:
            self._update()

    def _take_in(self, timeout: float) -> None:
        events = self._transport.poll(timeout)
        self._now = self._clock.monotonic()
        for event in events:
            match event:
                case Message(worker, data):
                    self._hear(worker, read_report(worker, data))
                case Joined(worker):
                    self._welcome(worker)
                case Lost(worker, reason, returns):
                    self._lose(worker, reason, returns=returns)
        for worker in self._heartbeats.silent(self._now):
            self._miss(worker)
        if self._program.tuning is not None:
            self._warn_once(self._program.tuning.tick(self._now))
        if self._queues.idle and self._program.left:
            # A result has made way for the next stage.
            self._free = self._queues.workers
        self._deal()

    def _welcome(self, worker: int) -> None:
        self._returning.discard(worker)
        self._quarantine.forget(worker)
        self._queues.join(worker)
        if self._dismissing:
            self._dismiss(worker)
            return
        gpu = self._gpus.get(worker)
        setup = msgspec.structs.replace(self._setup, worker=worker, gpu=gpu)
        self._outbox.tell(worker, setup)

    def _hear(self, worker: int, report: Report) -> None:
        self._heartbeats.hear(worker, self._now)
        if worker in self._silent:
            self._welcome_back(worker)
        for event in report.events:
            if isinstance(event, Started):
                if self._queues.find(worker, event.trial):
                    self._journal.start(event.trial, worker, event.at)
            elif isinstance(event, Checked):
                if handed := self._queues.find(worker, event.trial):
                    self._progress.hear(worker, handed.trial, event)
            elif isinstance(event, Result):
                self._take_result(worker, event)
            elif isinstance(event, GivenBack):
                self._take_back(worker, event)
            elif isinstance(event, Ready):
                self._begin(worker, event)
            else:
                self._see_leave(worker, event)

    def _see_leave(self, worker: int, left: Left) -> None:
        if worker in self._queues:
            (self._dismiss if left.broken else self._transport.retire)(worker)
            charge, astray = not left.unfit, left.broken
            self._give_back(worker, left.reason, charge=charge, astray=astray)

    def _begin(self, worker: int, ready: Ready) -> None:
        """A worker is ready: its silence counts from now on, and it gets work."""
        if worker not in self._queues:
            return
        self._hosts[worker] = ready.host
        self._transport.locate(worker, ready.host, ready.pid)
        self._journal.worker(worker, ready, at=self._clock.time())
        self._warn_once(ready.warning)
        self._heartbeats.begin(worker, self._now)
        self._queues.begin(worker)
        self._free.append(worker)

    def _take_result(self, worker: int, result: Result) -> None:
        trial = self._queues.claimed(worker, result.trial)
        if trial is not None and (wrong := self._ledger.problem(trial, result)):
            reason = f"worker {worker} sends what is no result of trial {trial.number}"
            self._see_leave(worker, Left(f"{reason}: {wrong}", broken=True))
            return
        handed = self._queues.take(worker, result.trial)
        if handed is None:
            self._drop(worker, result.trial)
            return
        genome = self._record(worker, handed, result)
        blamed = not result.rejected
        if blamed and self._quarantine.bars(worker, result.ending, genome):
            self._bar(worker, result.ending, result.message)
        if worker in self._queues:
            self._hand_out(worker, depth=self._depth)

    def _take_back(self, worker: int, given: GivenBack) -> None:
        number, charged, what = given.trial, given.charged, given.message
        handed = self._queues.find(worker, number)
        if handed is None:
            self._drop(worker, number)
        elif charged and self._quarantine.bars(worker, "crashed", handed.trial.name):
            self._bar(worker, "crashed", what)
        elif not self._dismissing:
            hopeless = self._queues.give_back(worker, number, charge=charged)
            if hopeless is not None:
                self._end(worker, hopeless, "crashed", what)
            else:
                self._observer.warn(f"{what}: trial {number} is done again")
            self._free.append(worker)

    def _drop(self, worker: int, trial: int) -> None:
        """An answer too many: the first has counted."""
        self.dropped += 1
        handed = self._queues.drop(worker, trial)
        if handed is not None:
            self._folders.remove_copy(trial, handed.copy)
        if self.dropped == 1:
            self._observer.warn(
                f"{self._place(worker)} answered trial {trial}, which has its result, is "
                "another's, or was never its own: dropped, as others will be without a word"
            )

    def _bar(self, worker: int, ending: Ending, message: str) -> None:
        if worker in self._queues and not self._dismissing:
            self._dismiss(worker)
            reason = barred(self._place(worker), ending, message)
            self._give_back(worker, reason, charge=False, astray=True)

    def _miss(self, worker: int) -> None:
        """A worker was silent for too long."""
        reason = (
            f"{self._place(worker)} has been silent for {self._setup.heartbeat_s:g} s"
        )
        if self._transport.abandon(worker):
            self._observer.warn(f"{reason}: it is ended, and another takes its place")
        elif worker in self._queues:
            self._silent.add(worker)
            self._give_back(worker, f"{reason}: others get its trials", astray=True)

    def _welcome_back(self, worker: int) -> None:
        """A worker that was given up speaks again: it goes on with what is still wanted."""
        self._silent.discard(worker)
        answered = self._queues.come_back(worker)
        if self._dismissing:
            self._dismiss(worker)
            return
        self._observer.warn(
            f"{self._place(worker)} speaks again: it gets work as before"
        )
        self._heartbeats.begin(worker, self._now)
        for trial in answered:
            self._outbox.tell(worker, Forget(trial))
        self._free.append(worker)

    def _lose(self, worker: int, reason: str, *, returns: bool) -> None:
        self._silent.discard(worker)
        if worker in self._queues:
            died = f"{self._place(worker)} was lost: {reason}"
            handed = self._queues.current(worker)
            if handed and self._quarantine.bars(worker, "lost", handed.trial.name):
                self._transport.retire(worker)
                died += "; others died there before it, so that none takes its place"
            elif returns and not self._dismissing:
                self._returning.add(worker)
            self._give_back(worker, died)

    def _give_back(
        self, worker: int, reason: str, *, charge: bool = True, astray: bool = False
    ) -> None:
        """A worker is gone: others get its trials, but for one that took two along."""
        self._heartbeats.end(worker)
        self._outbox.drop(worker)
        hopeless = self._queues.leave(worker, charge=charge, astray=astray)
        if self._dismissing:
            return
        self._patience.lose(reason, self._now)
        self._observer.warn(reason)
        if hopeless is not None:
            self._end(worker, hopeless, "lost", reason)
        self._free = self._queues.workers

    def _end(self, worker: int, handed: Handed, ending: Ending, message: str) -> None:
        """Record a trial that has no result and is not handed out again."""
        number, now = handed.trial.number, self._clock.time()
        self._record(
            worker, handed, Result(number, ending, finished_at=now, message=message)
        )

    def _record(self, worker: int, handed: Handed, result: Result) -> str:
        if self._queues.was_copied(handed.trial.number):
            self._settle(handed)
        self._progress.end(handed.trial.number)
        return self._ledger.enter(worker, handed, result)

    def _settle(self, handed: Handed) -> None:
        """A trial that several workers had has its result: the others may stop."""
        number = handed.trial.number
        rivals, copies = self._queues.settle(number)
        others = [copy for copy in range(copies + 1) if copy != handed.copy]
        self._folders.settle(number, handed.copy, others=others, contested=bool(rivals))
        here = [rival for rival in rivals if rival in self._queues]
        for rival in here:
            self._outbox.tell(rival, Forget(number))
        self._free += here

    def _deal(self) -> None:
        """Give each free worker something to do before any gets one to queue."""
        for depth in range(1, self._depth + 1):
            for worker in self._free:
                if worker in self._queues and not self._dismissing:
                    self._hand_out(worker, depth=depth)
        self._free = []

    def _hand_out(self, worker: int, *, depth: int) -> None:
        for handed in self._queues.fill(worker, self.tally.bar, depth=depth):
            self._dispatch.hand(worker, handed)

    def _warn_once(self, text: str) -> None:
        if text and text not in self._warned:
            self._warned.add(text)
            self._observer.warn(text)

    def _place(self, worker: int) -> str:
        """A worker by its number, and its machine if that is known."""
        host = self._hosts.get(worker)
        return f"worker {worker} on {host}" if host else f"worker {worker}"

    def _update(self) -> None:
        self._updated = self._clock.monotonic()
        self._journal.check_in_place()
        self._observer.update(
            self.tally.status(running=self._queues.running, workers=len(self._queues))
        )

    def _dismiss(self, worker: int, *, now: bool = True) -> None:
        self._transport.retire(worker)
        self._transport.send(worker, encode(Stop(now=now)))

    def _tell_to_stop(self, *, now: bool) -> None:
        self._dismissing = True
        for worker in self._queues.workers:
            self._dismiss(worker, now=now)

    def _see_off(self, request: StopRequest) -> None:
        """Take in the last results until all workers have left, or by force.

        What the strategy proposes to them is journalled but not sent, so that a run that
        goes on later asks in the same order as one that was never interrupted.
        """
        deadline = self._clock.monotonic() + _GRACE_S
        asked_before = request.count
        while len(self._queues) and self._clock.monotonic() < deadline:
            self._take_in(_TURN_S)
            self._journal.commit(self._program.random_state)
            if request.count > asked_before:
                break
        for worker in self._queues.workers:
            self._transport.kill(worker)
        if self._program.done:
            self._ledger.close()
        self._folders.tidy(end=True)
