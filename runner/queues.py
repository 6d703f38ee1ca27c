"""Who has which trial: one that runs and one that waits at every worker."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from ribosome.runner.proposer import Candidate, Proposer

_TRIES = 2
"""A trial that takes this many workers along is not handed out again."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A trial for a worker.

    ``new`` says that the strategy has just proposed it; ``bar`` is the best fitness at
    that moment, above which the worker keeps the trial's folder.
    """

    trial: Candidate
    new: bool
    bar: float


class Queues:
    """Hands out the backlog first, then what the strategy proposes.

    Close to the end, when fewer trials are left than there are workers, none is queued
    behind a running one: another worker may be free sooner.
    """

    def __init__(self, proposer: Proposer, backlog: deque[Candidate]) -> None:
        self._proposer = proposer
        self._backlog = backlog
        self._queues: dict[int, deque[Handed]] = {}
        self._tries: dict[int, int] = {}
        self._settled: set[int] = set()

    @property
    def workers(self) -> list[int]:
        """The workers that are there."""
        return list(self._queues)

    @property
    def running(self) -> int:
        """The number of workers that have a trial."""
        return sum(1 for queue in self._queues.values() if queue)

    def __contains__(self, worker: int) -> bool:
        return worker in self._queues

    def join(self, worker: int) -> None:
        """A worker is there, with nothing to do."""
        self._queues[worker] = deque()

    def settle(self, worker: int) -> None:
        """A worker has said that it is ready: it runs what it was given."""
        self._settled.add(worker)

    def fill(self, worker: int, bar: float, *, depth: int) -> Iterator[Handed]:
        """Trials for a worker until it has ``depth``, or until there are no more."""
        queue = self._queues[worker]
        while left := len(self._backlog) + self._proposer.left:
            if len(queue) >= (depth if left >= len(self._queues) else 1):
                return
            new = not self._backlog
            trial = self._proposer.ask() if new else self._backlog.popleft()
            queue.append(Handed(trial, new, bar))
            yield queue[-1]

    def take(self, worker: int, number: int) -> Handed | None:
        """The trial that a worker has ended; None if it was not the worker's."""
        for handed in self._queues.get(worker, ()):
            if handed.trial.number == number:
                self._queues[worker].remove(handed)
                self._tries.pop(number, None)
                return handed
        return None

    def leave(self, worker: int) -> Handed | None:
        """A worker is gone: its trials go back to the front of the backlog.

        The one that ran is charged with it, and returned instead once it has been charged
        twice. A worker that never was ready ran none.
        """
        queue = self._queues.pop(worker)
        hopeless = None
        if queue and worker in self._settled:
            number = queue[0].trial.number
            self._tries[number] = self._tries.get(number, 0) + 1
            if self._tries[number] == _TRIES:
                hopeless = queue.popleft()
        self._settled.discard(worker)
        self._backlog.extendleft(handed.trial for handed in reversed(queue))
        return hopeless
