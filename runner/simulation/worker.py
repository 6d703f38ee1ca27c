"""A simulated worker: what `ribosome.runner.worker` does, as far as the master can see, but
that it never gives a trial back.

One trial runs, others wait, and whatever happens is reported at once. Every method is told
the virtual time at which it happens.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from ribosome.backends.base import Ending
from ribosome.genome.space_file import load_space
from ribosome.runner.config import decode_config
from ribosome.runner.drawing import Draws
from ribosome.runner.messages import (
    Forget,
    Left,
    Model,
    Ready,
    Report,
    Result,
    Setup,
    Started,
    Stop,
    Work,
    decode_to_worker,
    encode,
    sanitised,
)
from ribosome.runner.simulation.clock import EPOCH
from ribosome.runner.simulation.faults import Faults
from ribosome.runner.simulation.meter import Meter
from ribosome.runner.simulation.workload import Fitness, Seconds
from ribosome.runner.transport import Event, Lost, Message
from ribosome.runner.worker import BEATS

if TYPE_CHECKING:
    from numpy.random import Generator

_HEARTBEAT = encode(Report())

Deed = Callable[["SimulatedWorker", float], None]
"""Something that happens at a worker at a time: a method of it, or a fault."""


class Site(Protocol):
    """What a worker is given by its machine."""

    meter: Meter
    seconds: Seconds
    fitness: Fitness
    faults: Faults
    rng: "Generator | None"
    startup_s: float
    tells_deaths: bool

    def schedule(self, at: float, worker: "SimulatedWorker", what: Deed) -> None:
        """Have something happen at a worker, unless it dies before."""
        ...

    def tell(self, at: float, event: Event) -> None:
        """Have the master see an event, once it has travelled."""
        ...


class SimulatedWorker:
    """One worker; ``life`` counts how often it died, for what it left undone then."""

    __slots__ = (
        "_beat_s",
        "_began",
        "_drawn",
        "_draws",
        "_ends",
        "_idle_since",
        "_outcome",
        "_queue",
        "_resumes",
        "_running",
        "_serving",
        "_site",
        "_spoke",
        "_stopping",
        "_there",
        "_unfed",
        "life",
        "number",
        "retired",
    )

    def __init__(self, number: int, site: Site) -> None:
        self.number = number
        self.life = 0
        self.retired = False
        self._site = site
        self._unfed = True
        self._there = False
        self._forget_everything()

    def _forget_everything(self) -> None:
        self._queue: list[Work] = []
        self._running: Work | None = None
        self._began = self._ends = self._resumes = self._spoke = self._beat_s = 0.0
        self._outcome: tuple[Ending, float | None] = ("ok", None)
        self._idle_since: float | None = None
        self._serving = self._stopping = False
        self._drawn = b""

    def join(self) -> None:
        """It is there, and waits for its Setup."""
        self._forget_everything()
        self._there = True

    def hear(self, at: float, data: bytes) -> None:
        """A message has come."""
        if not self._there:
            return
        if self._resumes > at:
            self._site.schedule(
                self._resumes, self, lambda worker, now: worker.hear(now, data)
            )
            return
        message = decode_to_worker(data)
        match message:
            case Work():
                self._queue.append(message)
                self._site.meter.receive(at, message.trial)
            case Setup():
                self._beat_s = message.heartbeat_s / BEATS
                self._draws = _draws(message.config)
                ready = at + self._site.startup_s
                self._site.schedule(ready, self, SimulatedWorker.ready)
                return
            case Model():
                self._draws.learn(message)
            case Forget(trial):
                self._forget(at, trial)
            case Stop(now):
                self._stopping = True
                if now:
                    self._queue.clear()
                    self._cancel(at)
        if self._serving and self._running is None:
            self._go_on(at, ())

    def ready(self, at: float) -> None:
        """It has what it needs, says so, and begins to work."""
        if self._postponed(at, SimulatedWorker.ready):
            return
        self._serving = True
        if self._beat_s:
            self._site.schedule(at + self._beat_s, self, SimulatedWorker.beat)
        self._go_on(at, (Ready(f"node{self.number}", self.number),))

    def beat(self, at: float) -> None:
        """It says that it is alive, if it has said nothing for a while."""
        if self._postponed(at, SimulatedWorker.beat):
            return
        if at >= self._spoke + self._beat_s:
            self._spoke = at
            self._site.tell(at, Message(self.number, _HEARTBEAT))
        self._site.schedule(self._spoke + self._beat_s, self, SimulatedWorker.beat)

    def end(self, at: float) -> None:
        """Its trial has come to its end."""
        if self._running is None or self._ends != at:
            return  # another one was forgotten, and this was its end
        if self._resumes > at:
            self._ends = self._resumes
            self._site.schedule(self._ends, self, SimulatedWorker.end)
            return
        ending, fitness = self._outcome
        result = Result(
            trial=self._running.trial,
            ending=ending,
            fitness=fitness,
            seconds=at - self._began,
            started_at=EPOCH + self._began,
            finished_at=EPOCH + at,
            message="" if ending == "ok" else "simulated",
            genome=self._drawn,
        )
        self._cancel(at)
        self._go_on(at, (sanitised(result),))

    def die(self, at: float, *, returns: bool = False) -> None:
        """It is gone, with all that was sent to it or is in its hands."""
        if self._there:
            self._cancel(at)
            self._vanish(at, "killed by signal 9", returns=returns)

    def _vanish(self, at: float, how: str, *, returns: bool) -> None:
        self._there = self._serving = False
        self.life += 1
        if self._site.tells_deaths:
            self._site.tell(at, Lost(self.number, how, returns))

    def pause(self, at: float, seconds: float) -> None:
        """From now on it neither hears nor speaks for a while."""
        self._resumes = at + seconds

    def _postponed(self, at: float, what: Deed) -> bool:
        if self._resumes > at:
            self._site.schedule(self._resumes, self, what)
            return True
        return False

    def _forget(self, at: float, trial: int) -> None:
        self._queue = [work for work in self._queue if work.trial != trial]
        if self._running is not None and self._running.trial == trial:
            self._cancel(at)

    def _cancel(self, at: float) -> None:
        if self._running is not None:
            self._running = None
            self._idle_since = at
            self._site.meter.end(at)

    def _go_on(self, at: float, news: tuple[Ready | Result, ...]) -> None:
        """Start what waits, report, and leave if there is nothing left to do."""
        if self._queue:
            trial = self._start(at, self._queue.pop(0))
            self._say(at, *news, Started(trial, EPOCH + at))
        elif news:
            self._say(at, *news)
        if news and self._site.faults.repeated and isinstance(news[0], Result):
            assert self._site.rng is not None
            if self._site.rng.random() < self._site.faults.repeated:
                self._say(at, *news)
        if self._stopping and self._running is None:
            self._say(at, Left())
            self._vanish(at, "exit code 0", returns=False)

    def _start(self, at: float, work: Work) -> int:
        """Start a trial, and decide how and when it will end; its number."""
        site, self._drawn = self._site, b""
        if work.model and not work.genome:
            work = self._draws.prepared(work)
            self._drawn = work.genome
        seconds = site.seconds(work.genome)
        fitness = site.fitness(work.genome)
        self._outcome = ("ok", fitness) if fitness is not None else ("diverged", None)
        if site.faults.endings:
            assert site.rng is not None
            drawn = site.rng.random()
            for ending, share in site.faults.endings.items():
                drawn -= share
                if drawn < 0.0:
                    self._outcome = (ending, None)
                    seconds *= site.rng.random()
                    break
        self._running, self._began, self._ends = work, at, at + seconds
        site.schedule(self._ends, self, SimulatedWorker.end)
        site.meter.start(at, idle_since=self._idle_since, first=self._unfed)
        self._unfed = False
        return work.trial

    def _say(self, at: float, *events: Ready | Started | Result | Left) -> None:
        self._spoke = at
        self._site.tell(at, Message(self.number, encode(Report(events))))


@lru_cache(maxsize=4)
def _draws(config: bytes) -> Draws:
    """What all workers of a run draw by: they are told the same models."""
    return Draws(load_space(decode_config(config).space.name))
