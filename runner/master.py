"""The master: one loop that asks, journals, hands out and takes in, over any transport.

A turn takes in everything that has arrived, lets the strategy learn and propose, commits
all of it in one transaction, and only then sends: nothing is acted on that is not in the
journal, should the master be killed.
"""

import shlex
import shutil
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ribosome.genome.errors import RunError
from ribosome.runner.clock import Clock, SystemClock
from ribosome.runner.journal import Journal
from ribosome.runner.messages import (
    Report,
    Result,
    Setup,
    Started,
    Stop,
    Work,
    decode_report,
    encode,
)
from ribosome.runner.observer import Interrupted, Observer
from ribosome.runner.proposer import Candidate, Proposer
from ribosome.runner.queues import Handed, Queues
from ribosome.runner.signals import StopRequest
from ribosome.runner.tally import Tally
from ribosome.runner.transport import Joined, Lost, Message, Transport

_TURN_S = 0.2
_UPDATE_S = 0.25
_GRACE_S = 10.0


class Master:
    """Runs a search to its end.

    ``setup`` is what every worker is told, but for its number; ``backlog`` are proposals
    without a result. Of the folders of trials that did not fail only the best one's stays,
    if ``keep`` is "best" (config.runner.keep_trials). ``clock`` is the machine's own.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        journal: Journal,
        proposer: Proposer,
        backlog: deque[Candidate],
        tally: Tally,
        observer: Observer,
        setup: Setup,
        keep: str = "best",
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._transport = transport
        self._journal = journal
        self._proposer = proposer
        self._queues = Queues(proposer, backlog)
        self._tally = tally
        self._observer = observer
        self._setup = setup
        self._keep = keep
        self._outbox: list[tuple[int, bytes]] = []
        self._superseded: list[int] = []
        self._returning: set[int] = set()
        self._last_words = ""
        self._dismissing = False
        self._updated = self._clock.monotonic()

    def run(self) -> None:
        """Run until every evaluation has its result, then let the workers go.

        Raises Interrupted after SIGINT or SIGTERM, and RunError if no worker is left. The
        workers have been told to end whatever happens; the transport's `close` makes sure.
        """
        with StopRequest() as request:
            try:
                while not self._done and not request.count:
                    self._turn(_TURN_S)
            except BaseException:
                self._tell_to_stop(now=True)
                raise
            self._tell_to_stop(now=not self._done)
            self._see_off(request)
        self._update()
        if not self._done:
            raise Interrupted(self._farewell())

    @property
    def _done(self) -> bool:
        return self._tally.evaluated >= self._tally.total

    def _turn(self, timeout: float) -> None:
        self._take_in(timeout)
        self._journal.commit(self._proposer.random_state)
        for worker, data in self._outbox:
            self._transport.send(worker, data)
        self._outbox.clear()
        self._remove_superseded()
        if not (self._queues.workers or self._returning):
            raise RunError(f"no worker is left: {self._last_words}")
        if self._clock.monotonic() - self._updated >= _UPDATE_S:
            self._update()

    def _take_in(self, timeout: float) -> None:
        newcomers: list[int] = []
        for event in self._transport.poll(timeout):
            match event:
                case Message(worker, data):
                    self._hear(worker, decode_report(data))
                case Joined(worker):
                    self._welcome(worker)
                    newcomers.append(worker)
                case Lost(worker, reason):
                    self._lose(worker, reason)
        self._deal(newcomers)

    def _welcome(self, worker: int) -> None:
        self._returning.discard(worker)
        self._queues.join(worker)
        if self._dismissing:
            self._transport.retire(worker)
            self._transport.send(worker, encode(Stop(now=True)))
            return
        setup = msgspec.structs.replace(self._setup, worker=worker)
        self._outbox.append((worker, encode(setup)))

    def _hear(self, worker: int, report: Report) -> None:
        if not report.events:
            self._queues.settle(worker)
        for event in report.events:
            if isinstance(event, Started):
                self._journal.start(event.trial, worker, event.at)
            elif isinstance(event, Result):
                handed = self._queues.take(worker, event.trial)
                if handed is not None:
                    self._record(worker, handed, event)
                    self._hand_out(worker)
            elif worker in self._queues:
                self._transport.retire(worker)
                self._give_back(worker, event.reason)

    def _lose(self, worker: int, reason: str) -> None:
        if worker in self._queues:
            if not self._dismissing:
                self._returning.add(worker)
            self._give_back(worker, f"worker {worker} was lost: {reason}")

    def _give_back(self, worker: int, reason: str) -> None:
        """A worker is gone: others get its trials, but for one that took two along."""
        hopeless = self._queues.leave(worker)
        if self._dismissing:
            return
        self._last_words = reason
        self._observer.warn(reason)
        if hopeless is not None:
            lost = Result(
                trial=hopeless.trial.number,
                ending="lost",
                finished_at=self._clock.time(),
                message=reason,
            )
            self._record(worker, hopeless, lost)
        self._deal(self._queues.workers)

    def _record(self, worker: int, handed: Handed, result: Result) -> None:
        trial, fitness = handed.trial, result.fitness
        self._journal.finish(result, worker)
        self._proposer.tell(trial.number, fitness)
        before = self._tally.best
        if self._tally.add(trial.number, result.ending, fitness, trial.text):
            if before is not None:
                self._superseded.append(before.trial)
        elif fitness is not None and fitness > handed.bar:
            self._superseded.append(trial.number)

    def _deal(self, workers: Sequence[int]) -> None:
        """Give each of the workers something to do before any gets one to queue."""
        for depth in (1, 2):
            for worker in workers:
                if worker in self._queues and not self._dismissing:
                    self._hand_out(worker, depth=depth)

    def _hand_out(self, worker: int, *, depth: int = 2) -> None:
        for handed in self._queues.fill(worker, self._tally.bar, depth=depth):
            trial = handed.trial
            if handed.new:
                self._journal.propose(
                    trial.number,
                    trial.text,
                    generation=trial.generation,
                    parents=trial.parents,
                    at=self._clock.time(),
                )
            work = Work(trial.number, trial.genome, trial.seed, handed.bar)
            self._outbox.append((worker, encode(work)))

    def _remove_superseded(self) -> None:
        if self._keep == "best":
            for number in self._superseded:
                folder = Path(self._setup.folder, "trials", str(number))
                shutil.rmtree(folder, ignore_errors=True)
        self._superseded.clear()

    def _update(self) -> None:
        self._updated = self._clock.monotonic()
        self._journal.check_in_place()
        self._observer.update(
            self._tally.status(
                running=self._queues.running, workers=len(self._queues.workers)
            )
        )

    def _tell_to_stop(self, *, now: bool) -> None:
        self._dismissing = True
        for worker in self._queues.workers:
            self._transport.retire(worker)
            self._transport.send(worker, encode(Stop(now=now)))

    def _see_off(self, request: StopRequest) -> None:
        """Take in the last results until all workers have left, or by force.

        What the strategy proposes to them is journalled but not sent, so that a run that
        goes on later asks in the same order as one that was never interrupted.
        """
        deadline = self._clock.monotonic() + _GRACE_S
        asked_before = request.count
        while self._queues.workers and self._clock.monotonic() < deadline:
            self._take_in(_TURN_S)
            self._journal.commit(self._proposer.random_state)
            if request.count > asked_before:
                break
        for worker in self._queues.workers:
            self._transport.kill(worker)
        self._remove_superseded()

    def _farewell(self) -> str:
        folder = self._setup.folder
        config = shlex.quote(f"{folder}/config.toml")
        return (
            f"interrupted after {self._tally.evaluated} of {self._tally.total} evaluations; "
            f"resume with: ribosome search {config} -o {shlex.quote(folder)} --resume"
        )
