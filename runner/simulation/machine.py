"""A machine of many workers in virtual time: a transport for the real master, and its clock.

Discrete events. Time moves only when the master polls: to the next thing that happens to it,
or to the end of its patience; and while the master computes, if its service time is live.
All messages are really encoded and decoded.
"""

from collections import deque
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING

from ribosome.genome.errors import RunError
from ribosome.runner.noop import noop_fitness
from ribosome.runner.simulation.clock import Service, VirtualClock
from ribosome.runner.simulation.faults import Death, Faults, Pause
from ribosome.runner.simulation.meter import Meter
from ribosome.runner.simulation.worker import Deed, SimulatedWorker
from ribosome.runner.simulation.workload import Fitness, Seconds
from ribosome.runner.transport import Event, Joined

if TYPE_CHECKING:
    from numpy.random import Generator

_ANY_LIFE = -1
"""Of what happens to a worker however often it has died."""

_HALT_S = 1e4
"""The master waits in vain after so many virtual seconds in which nothing was due."""

_NO_FAULTS = Faults()
_NO_SERVICE = Service()


class SimulatedMachine:
    """``workers`` of them, which take ``seconds`` for a genome and find its ``fitness``.

    A message takes ``latency_s``, either way; a worker is ready ``startup_s`` after its
    Setup. ``tells_deaths`` says whether this transport knows of the death of a worker, as
    that of local processes does; else the master must notice. ``rng`` decides which trials
    fail and which reports are repeated.

    Runs with equal arguments and seeds are equal, unless the ``service`` is live. A machine
    is good for one run. Raises ValueError for faults that are to be drawn without ``rng``.
    """

    def __init__(
        self,
        workers: int,
        *,
        seconds: Seconds,
        fitness: Fitness = noop_fitness,
        faults: Faults = _NO_FAULTS,
        service: Service = _NO_SERVICE,
        latency_s: float = 0.0,
        startup_s: float = 0.0,
        tells_deaths: bool = True,
        rng: "Generator | None" = None,
    ) -> None:
        if rng is None and (faults.endings or faults.repeated):
            raise ValueError("faults that are drawn need an rng")
        self.clock = VirtualClock(service)
        self.meter = Meter(workers)
        self.seconds = seconds
        self.fitness = fitness
        self.faults = faults
        self.rng = rng
        self.startup_s = startup_s
        self.tells_deaths = tells_deaths
        self._latency_s = latency_s
        self._sequence = 0
        self._agenda: list[tuple[float, int, SimulatedWorker, int, Deed]] = []
        self._to_workers: deque[tuple[float, SimulatedWorker, int, bytes]] = deque()
        self._to_master: deque[tuple[float, Event]] = deque()
        self._last_event = 0.0
        self._workers = [SimulatedWorker(n + 1, self) for n in range(workers)]
        for worker in self._workers:
            worker.join()
            self._to_master.append((0.0, Joined(worker.number)))
        for death in faults.deaths:
            self._push(death.at, self._worker(death.worker), self._dying(death))
        for pause in faults.pauses:
            self._push(pause.at, self._worker(pause.worker), _pausing(pause))

    @property
    def workers(self) -> int:
        """The number of workers."""
        return len(self._workers)

    def send(self, worker: int, *messages: bytes) -> None:
        """Send without waiting; what goes to a lost worker is dropped."""
        target = self._worker(worker)
        for message in messages:
            self.meter.messages_out += 1
            arrives = self.clock.master_sends() + self._latency_s
            self._to_workers.append((arrives, target, target.life, message))

    def poll(self, timeout: float) -> list[Event]:
        """Everything that has happened; waits up to ``timeout`` seconds for the first.

        Raises RunError if nothing can happen any more.
        """
        arriving = self._to_master
        now = self.clock.master_waits()
        now = self._proceed(now, now + timeout)
        events: list[Event] = []
        while arriving and arriving[0][0] <= now:
            events.append(arriving.popleft()[1])
        if events:
            self._last_event = now
        elif now - self._last_event > _HALT_S and not self._agenda:
            raise RunError(
                "the simulated machine has come to a halt: no worker answers, and the "
                "master waits for one"
            )
        self.meter.messages_in += len(events)
        self.clock.master_goes_on(now, len(events))
        return events

    def retire(self, worker: int) -> None:
        """Let a worker end: from now on it is not replaced."""
        self._worker(worker).retired = True

    def locate(self, worker: int, host: str, pid: int) -> None:
        """Nothing to do: workers are where they are."""

    def abandon(self, worker: int) -> bool:
        """End a worker that is silent, where deaths are told; another takes its place."""
        if self.tells_deaths:
            self._end(self._worker(worker), self.clock.monotonic(), back_after=0.0)
        return self.tells_deaths

    def kill(self, worker: int) -> None:
        """End a worker that does not end by itself, at the end of the run."""
        self._worker(worker).die(self.clock.monotonic())

    def close(self) -> None:
        """Nothing is left behind; the master's time ends here."""
        self.clock.master_waits()

    def schedule(self, at: float, worker: SimulatedWorker, what: Deed) -> None:
        """Have something happen at a worker, unless it dies before."""
        self._sequence += 1
        heappush(self._agenda, (at, self._sequence, worker, worker.life, what))

    def tell(self, at: float, event: Event) -> None:
        """Have the master see an event, once it has travelled."""
        self._to_master.append((at + self._latency_s, event))

    def _worker(self, number: int) -> SimulatedWorker:
        return self._workers[number - 1]

    def _push(self, at: float, worker: SimulatedWorker, what: Deed) -> None:
        """Have something happen at a worker however often it has died."""
        # The sequence keeps what is due at the same time in order, and workers uncompared.
        self._sequence += 1
        heappush(self._agenda, (at, self._sequence, worker, _ANY_LIFE, what))

    def _proceed(self, now: float, patience: float) -> float:
        """Let happen what is due by ``now``, and on from there if that brings no message.

        Returns the time at which the first message arrives, or at which patience ends.
        """
        agenda, letters, arriving = self._agenda, self._to_workers, self._to_master
        while True:
            arrives = arriving[0][0] if arriving else inf
            until = now if arrives <= now else min(arrives, patience)
            due = agenda[0][0] if agenda else inf
            if letters and letters[0][0] <= due:
                if letters[0][0] > until:
                    return until
                at, worker, life, data = letters.popleft()
                if life == worker.life:
                    worker.hear(at, data)
            elif due <= until:
                at, _, worker, life, what = heappop(agenda)
                if life in (worker.life, _ANY_LIFE):
                    what(worker, at)
            else:
                return until

    def _dying(self, death: Death) -> Deed:
        return lambda worker, at: self._end(worker, at, back_after=death.back_after)

    def _end(
        self, worker: SimulatedWorker, at: float, *, back_after: float | None
    ) -> None:
        returns = back_after is not None and self.tells_deaths
        worker.die(at, returns=returns)
        if back_after is not None and returns:
            self._push(at + back_after, worker, self._come_back)

    def _come_back(self, worker: SimulatedWorker, at: float) -> None:
        if not worker.retired:
            worker.join()
            self.tell(at, Joined(worker.number))


def _pausing(pause: Pause) -> Deed:
    return lambda worker, at: worker.pause(at, pause.seconds)
