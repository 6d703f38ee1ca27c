"""The worker: takes genomes from its endpoint, has them evaluated, reports at once.

One genome runs and others wait, so that a worker never waits for the master. A worker that
has nothing to say says so now and then, that it may not be taken for lost. Whatever goes
wrong in one trial is a Result, or the trial is given back; what goes wrong with the worker
itself is its last word.
"""

import select
import socket
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import inf

import msgspec

from ribosome.genome.errors import RibosomeError
from ribosome.genome.space_file import load_space
from ribosome.runner.backoff import Backoff
from ribosome.runner.config import decode_config
from ribosome.runner.drawing import Draws
from ribosome.runner.evaluator import Evaluator, Unfit
from ribosome.runner.messages import (
    Checked,
    Forget,
    FromWorker,
    Halt,
    Left,
    Model,
    Report,
    Result,
    Setup,
    Started,
    Work,
    decode_to_worker,
    encode,
    sanitised,
)
from ribosome.runner.noop import NoopEvaluator
from ribosome.runner.transport import Endpoint, MasterGone

_LOOK_S = 0.25
"""Between looks at a running trial that says nothing: its time limits need them."""

BEATS = 4
"""Heartbeats in the time after which a silent worker is taken for lost."""

_LINES = 3


class _Dismissed(Exception):
    """A Stop has come before the worker was ready."""


def make_evaluator(
    setup: Setup, *, going: Callable[[], object] = lambda: None
) -> Evaluator:
    """The evaluator that a Setup names: trial, noop, or noop:SECONDS.

    ``going`` is called now and then while the data is copied; what it raises ends that.
    """
    name, _, argument = setup.evaluator.partition(":")
    if name == "noop":
        return NoopEvaluator(seconds=float(argument or 0.0))
    from ribosome.runner.trial_evaluator import TrialEvaluator

    return TrialEvaluator(setup, going=going)


class Worker:
    """One worker's loop over an endpoint; `run` returns when the master has no more work."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        make: Callable[[Setup], Evaluator] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._make = make or partial(make_evaluator, going=self._look_up)
        self._backoff = Backoff()
        self._setup: Setup | None = None
        self._queue: deque[Work] = deque()
        self._running: Work | None = None
        self._began = self._clock = 0.0
        self._draws: Draws | None = None
        self._drawn = b""
        self._stopping = False
        self._events: list[FromWorker] = []
        self._beat_s, self._sent = inf, 0.0

    def run(self) -> None:
        """Work until a Stop, or until the master is gone."""
        last = Left()
        try:
            self._work()
        except MasterGone:
            return
        except Exception as error:
            last = Left(self._describe(error), unfit=isinstance(error, Unfit))
        if self._setup is not None:
            with suppress(MasterGone):
                self._endpoint.send(encode(Report((*self._events, last))))

    def _work(self) -> None:
        """Everything but the last word."""
        while self._setup is None and not self._stopping:
            self._take_in(None)
            self._wait(None)
        if self._setup is None:
            return
        try:
            evaluator = self._make(self._setup)
        except _Dismissed:
            return
        try:
            self._beat_s = self._setup.heartbeat_s / BEATS or inf
            self._events.append(evaluator.ready())
            self._serve(evaluator)
        except _Dismissed:
            pass
        finally:
            evaluator.cancel()
            evaluator.close()

    def _look_up(self) -> None:
        """See whether there is still a run, while data is copied for it; say "alive"."""
        self._take_in(None)
        if self._stopping and not (self._queue or self._running):
            raise _Dismissed
        if time.monotonic() - self._sent >= self._beat_s:
            self._report()

    def _serve(self, evaluator: Evaluator) -> None:
        while True:
            self._take_in(evaluator)
            self._advance(evaluator)
            if self._events:
                self._report()
                self._backoff.reset()
            elif time.monotonic() - self._sent >= self._beat_s:
                self._report()
            if self._stopping and self._running is None:
                return
            self._wait(evaluator)

    def _report(self) -> None:
        """Send what has happened; if nothing has, that is a heartbeat."""
        self._endpoint.send(encode(Report(tuple(self._events))))
        self._events.clear()
        self._sent = time.monotonic()

    def _take_in(self, evaluator: Evaluator | None) -> None:
        for data in self._endpoint.receive():
            self._backoff.reset()
            message = decode_to_worker(data)
            if isinstance(message, Model):
                self._learn(message)
            elif isinstance(message, Work):
                if not self._stopping:
                    self._queue.append(message)
            elif isinstance(message, Setup):
                self._setup = message
            elif isinstance(message, Forget):
                self._forget(message.trial, evaluator)
            elif isinstance(message, Halt):
                if evaluator is not None and self._runs(message.trial):
                    evaluator.halt(message.why)
            else:
                self._stopping = True
                if message.now:
                    self._queue.clear()
                    if evaluator is not None and self._running is not None:
                        evaluator.cancel()
                    self._running = None

    def _learn(self, model: Model) -> None:
        if self._draws is None:
            assert self._setup is not None
            config = decode_config(self._setup.config)
            self._draws = Draws(load_space(config.space.name))
        self._draws.learn(model)

    def _forget(self, trial: int, evaluator: Evaluator | None) -> None:
        """End a trial unreported, whether it runs or waits, or has ended already."""
        self._queue = deque(work for work in self._queue if work.trial != trial)
        if evaluator is not None and self._runs(trial):
            evaluator.cancel()
            self._running = None

    def _runs(self, trial: int) -> bool:
        return self._running is not None and self._running.trial == trial

    def _advance(self, evaluator: Evaluator) -> None:
        """Start and end trials until one is running that has not ended yet."""
        while self._running is not None or self._queue:
            begin = self._running is None
            work = self._running = self._running or self._queue.popleft()
            if begin:
                self._began, self._clock = time.time(), time.monotonic()
                self._drawn = b""
                self._events.append(Started(work.trial, self._began))
            try:
                if begin:
                    if work.model:
                        work = self._running = self._prepared(work)
                    evaluator.start(work)
                result = evaluator.poll()
            except (Unfit, MasterGone, _Dismissed):
                raise
            except Exception as error:
                evaluator.cancel()
                result = self._crash(work, error)
            if result is None:
                return
            if isinstance(result, Checked):
                self._events.append(result)
                continue
            self._running = None
            if isinstance(result, Result):
                result = msgspec.structs.replace(result, genome=self._drawn)
                self._events.append(sanitised(result))
                continue
            self._events.append(result)
            if not result.charged:
                # It may read its data elsewhere now, and has that to say.
                self._events.append(evaluator.ready())

    def _prepared(self, work: Work) -> Work:
        """Work of a model with its genome, drawn if it has none."""
        assert self._draws is not None, "no model was sent"
        prepared = self._draws.prepared(work)
        if not work.genome:
            self._drawn = prepared.genome
        return prepared

    def _crash(self, work: Work, error: Exception) -> Result:
        return Result(
            trial=work.trial,
            ending="crashed",
            seconds=time.monotonic() - self._clock,
            started_at=self._began,
            finished_at=time.time(),
            message=self._describe(error),
        )

    def _describe(self, error: Exception) -> str:
        """Where, and what: an error of ours in its own words, else the traceback's end."""
        number = self._setup.worker if self._setup else 0
        where = f"worker {number} on {socket.gethostname()}"
        if isinstance(error, RibosomeError):
            return f"{where}: {error}"
        text = "".join(traceback.format_exception(error)).splitlines()
        return f"{where}: {' / '.join(line.strip() for line in text[-_LINES:])}"

    def _wait(self, evaluator: Evaluator | None) -> None:
        """Wait for a message or for news of the trial, as far as they can be waited on."""
        sources = [self._endpoint.fileno()]
        if evaluator is not None and self._running is not None:
            sources.append(evaluator.fileno())
        blind = None in sources
        select.select(
            [source for source in sources if source is not None],
            [],
            [],
            self._backoff.next() if blind else min(_LOOK_S, self._beat_s),
        )
