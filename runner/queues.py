"""Who has which trial: at every worker one runs, and some wait."""

from collections import Counter, deque
from collections.abc import Iterator

import msgspec

from ribosome.runner.confirm import CONFIRM
from ribosome.runner.program import Program
from ribosome.runner.proposer import Candidate

_TRIES = 2
"""A trial that takes so many workers along, or is given back and charged so often, is not
handed out again."""


class Handed(msgspec.Struct, frozen=True):
    """A trial for a worker.

    ``new`` says that it has just been proposed; ``bar`` is the best fitness at that moment,
    above which the worker keeps the trial's folder, -1 for a repeat. ``copy`` counts how
    often the trial had been handed out before.
    """

    trial: Candidate
    new: bool
    bar: float
    copy: int = 0


class Queues:
    """Hands out the backlog first, then what the program proposes.

    Close to the end no worker is given more than its share of what is left, and none is
    queued behind a running one: another worker may be free sooner.

    A worker that is gone may be only silent: what it had is *astray*, goes to others as
    well, and the first answer counts.
    """

    def __init__(self, program: Program, backlog: deque[Candidate]) -> None:
        self._program = program
        self._backlog = backlog
        self._queues: dict[int, deque[Handed]] = {}
        self._busy = 0
        self._ready: set[int] = set()
        self._astray: dict[int, dict[int, Handed]] = {}
        self._deaths: Counter[int] = Counter()
        self._returns: Counter[int] = Counter()
        self._charged: dict[int, int] = {}
        self._copies: dict[int, int] = {}
        """How often a trial without a result has been handed out, if it came back."""

    @property
    def workers(self) -> list[int]:
        """The workers that are there."""
        return list(self._queues)

    @property
    def running(self) -> int:
        """The number of workers that have a trial."""
        return self._busy

    @property
    def idle(self) -> bool:
        """Whether any worker that is ready has no trial."""
        return len(self._ready) > self._busy

    @property
    def ready(self) -> bool:
        """Whether any worker is ready for trials."""
        return bool(self._ready)

    def current(self, worker: int) -> Handed | None:
        """The trial that a worker runs, the first of those that it has."""
        queue = self._queues.get(worker)
        return queue[0] if queue else None

    def __contains__(self, worker: int) -> bool:
        return worker in self._queues

    def __len__(self) -> int:
        return len(self._queues)

    def join(self, worker: int) -> None:
        """A new worker is there, not ready yet."""
        self._busy -= bool(self._queues.get(worker))
        self._queues[worker] = deque()
        self._ready.discard(worker)
        self._astray.pop(worker, None)
        self._charged.pop(worker, None)

    def begin(self, worker: int) -> None:
        """A worker is ready for trials."""
        self._ready.add(worker)

    def find(self, worker: int, number: int) -> Handed | None:
        """A trial that is the worker's to run; None for one that is not."""
        for handed in self._queues.get(worker, ()):
            if handed.trial.number == number:
                return handed
        return None

    def claimed(self, worker: int, number: int) -> Candidate | None:
        """A trial that the worker has, or had when it fell silent; None for another."""
        handed = self.find(worker, number)
        handed = handed or self._astray.get(worker, {}).get(number)
        return handed.trial if handed else None

    def fill(self, worker: int, bar: float, *, depth: int) -> Iterator[Handed]:
        """Trials for a worker until it has ``depth``, or until there are no more.

        None for one that is not ready: it may take long, or never be.
        """
        if worker not in self._ready:
            return
        queue = self._queues[worker]
        while left := len(self._backlog) + self._program.left:
            if len(queue) >= min(depth, 1 + left // len(self._queues)):
                return
            new = not self._backlog
            trial = self._program.ask() if new else self._backlog.popleft()
            copy = 0 if new else self._copies.get(trial.number, 0)
            keep_above = -1.0 if trial.phase == CONFIRM else bar
            queue.append(Handed(trial, new, keep_above, copy))
            self._busy += len(queue) == 1
            yield queue[-1]

    def take(self, worker: int, number: int) -> Handed | None:
        """The trial that a worker has ended; None if it was not the worker's to end.

        An answer of a worker that was silent is taken if no other has come before it.
        """
        if handed := self.find(worker, number):
            queue = self._queues[worker]
            queue.remove(handed)
            self._busy -= not queue
            self._settled(number)
            return handed
        handed_before = self._astray.get(worker, {}).get(number)
        if handed_before is None or number not in self._copies:
            return None
        del self._astray[worker][number]
        self._settled(number)
        return handed_before

    def drop(self, worker: int, number: int) -> Handed | None:
        """What a worker has ended in vain, another having answered first; None if nothing."""
        return self._astray.get(worker, {}).pop(number, None)

    def was_copied(self, number: int) -> bool:
        """Whether a trial without a result was handed out more than once, or is to be."""
        return number in self._copies

    def settle(self, number: int) -> tuple[list[int], int]:
        """A trial that was copied has its result.

        Gives the workers that may still be at it, whose answers are in vain, and the
        number of times that it was handed out again.
        """
        copies = self._copies.pop(number)
        self._backlog = deque(
            trial for trial in self._backlog if trial.number != number
        )
        for worker, queue in self._queues.items():
            for handed in queue:
                if handed.trial.number == number:
                    queue.remove(handed)
                    self._busy -= not queue
                    self._astray.setdefault(worker, {})[number] = handed
                    break
        rivals = [worker for worker, lost in self._astray.items() if number in lost]
        return rivals, copies

    def give_back(self, worker: int, number: int, *, charge: bool) -> Handed | None:
        """A worker has ended one of its trials without a result: it is the next to go out.

        Returned instead once it has come back twice, and was charged with it, if ``charge``.
        """
        queue, handed = self._queues[worker], self.find(worker, number)
        assert handed is not None
        queue.remove(handed)
        self._busy -= not queue
        charges = self._returns if charge else None
        return self._put_back(deque([handed]), charges)

    def leave(
        self, worker: int, *, charge: bool = True, astray: bool = False
    ) -> Handed | None:
        """A worker is gone: its trials go back to the front of the backlog.

        The one that ran is charged with it, if ``charge``, and returned instead once it has
        been charged twice. ``astray`` if the worker may be at them still.
        """
        queue = self._queues.pop(worker)
        self._ready.discard(worker)
        self._busy -= bool(queue)
        if astray:
            lost = self._astray.setdefault(worker, {})
            lost |= {handed.trial.number: handed for handed in queue}
            if queue and charge:
                self._charged[worker] = queue[0].trial.number
        else:
            self._astray.pop(worker, None)
        return self._put_back(queue, self._deaths if charge else None)

    def _put_back(
        self, queue: deque[Handed], charges: Counter[int] | None
    ) -> Handed | None:
        """Put trials at the front of the backlog; the first one is charged, if any is.

        It is returned instead where that makes it hopeless.
        """
        hopeless = None
        for handed in queue:
            number = handed.trial.number
            self._copies[number] = self._copies.get(number, 0) + 1
        if queue and charges is not None:
            number = queue[0].trial.number
            charges[number] += 1
            if charges[number] == _TRIES:
                hopeless = queue.popleft()
                self._settled(number)
        self._backlog.extendleft(handed.trial for handed in reversed(queue))
        return hopeless

    def come_back(self, worker: int) -> list[int]:
        """A silent worker speaks again, and goes on with what nobody else has been given.

        It was held up and has not died: what its trial was charged with is taken back.
        Gives the numbers of those of its trials that have had their result meanwhile.
        """
        if (charged := self._charged.pop(worker, 0)) in self._deaths:
            self._deaths[charged] -= 1
        queue = self._queues[worker] = deque()
        self._ready.add(worker)
        astray = self._astray.get(worker, {})
        waiting = {trial.number for trial in self._backlog}
        queue.extend(astray.pop(number) for number in list(astray) if number in waiting)
        self._busy += bool(queue)
        mine = {handed.trial.number for handed in queue}
        self._backlog = deque(
            trial for trial in self._backlog if trial.number not in mine
        )
        return [number for number in astray if number not in self._copies]

    def _settled(self, number: int) -> None:
        self._deaths.pop(number, None)
        self._returns.pop(number, None)
