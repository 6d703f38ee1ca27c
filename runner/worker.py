"""The worker: takes genomes from its endpoint, has them evaluated, reports at once.

One genome runs and one waits, so that a worker never waits for the master. Whatever goes
wrong in one trial is a Result; what goes wrong with the worker itself is its last word.
"""

import select
import socket
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from ribosome.genome.errors import RibosomeError
from ribosome.runner.backoff import Backoff
from ribosome.runner.evaluator import Evaluator
from ribosome.runner.messages import (
    Left,
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

_LINES = 3


def make_evaluator(setup: Setup) -> Evaluator:
    """The evaluator that a Setup names: trial, noop, or noop:SECONDS."""
    name, _, argument = setup.evaluator.partition(":")
    if name == "noop":
        return NoopEvaluator(seconds=float(argument or 0.0))
    from ribosome.runner.trial_evaluator import TrialEvaluator

    return TrialEvaluator(setup)


class Worker:
    """One worker's loop over an endpoint; `run` returns when the master has no more work."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        make: Callable[[Setup], Evaluator] = make_evaluator,
    ) -> None:
        self._endpoint = endpoint
        self._make = make
        self._backoff = Backoff()
        self._setup: Setup | None = None
        self._queue: deque[Work] = deque()
        self._running: Work | None = None
        self._began = self._clock = 0.0
        self._stopping = False
        self._events: list[Started | Result | Left] = []

    def run(self) -> None:
        """Work until a Stop, or until the master is gone."""
        try:
            self._work()
            reason = ""
        except MasterGone:
            return
        except Exception as error:
            reason = self._describe(error)
        if self._setup is not None:
            with suppress(MasterGone):
                self._endpoint.send(encode(Report((*self._events, Left(reason)))))

    def _work(self) -> None:
        """Everything but the last word."""
        while self._setup is None and not self._stopping:
            self._take_in(None)
            self._wait(None)
        if self._setup is None:
            return
        evaluator = self._make(self._setup)
        try:
            self._endpoint.send(encode(Report()))
            self._serve(evaluator)
        finally:
            evaluator.cancel()
            evaluator.close()

    def _serve(self, evaluator: Evaluator) -> None:
        while True:
            self._take_in(evaluator)
            self._advance(evaluator)
            if self._events:
                self._endpoint.send(encode(Report(tuple(self._events))))
                self._events.clear()
                self._backoff.reset()
            if self._stopping and self._running is None:
                return
            self._wait(evaluator)

    def _take_in(self, evaluator: Evaluator | None) -> None:
        for data in self._endpoint.receive():
            self._backoff.reset()
            message = decode_to_worker(data)
            if isinstance(message, Work):
                self._queue.append(message)
            elif isinstance(message, Setup):
                self._setup = message
            else:
                self._stopping = True
                if message.now:
                    self._queue.clear()
                    if evaluator is not None and self._running is not None:
                        evaluator.cancel()
                    self._running = None

    def _advance(self, evaluator: Evaluator) -> None:
        """Start and end trials until one is running that has not ended yet."""
        while self._running is not None or self._queue:
            begin = self._running is None
            work = self._running = self._running or self._queue.popleft()
            if begin:
                self._began, self._clock = time.time(), time.monotonic()
                self._events.append(Started(work.trial, self._began))
            try:
                if begin:
                    evaluator.start(work)
                result = evaluator.poll()
            except Exception as error:
                evaluator.cancel()
                result = self._crash(work, error)
            if result is None:
                return
            self._events.append(sanitised(result))
            self._running = None

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
            self._backoff.next() if blind else _LOOK_S,
        )
