"""The stage that trains the best networks of another again, with seeds of their own."""

from bisect import insort
from collections import Counter
from collections.abc import Collection

from ribosome.runner.confirmed import Confirmations
from ribosome.runner.goals import Measured
from ribosome.runner.program import Stage
from ribosome.runner.proposer import Candidate, trial_seed
from ribosome.runner.records import Record

CONFIRM = "confirm"
"""The phase of such trials; each has the trial that it repeats as its parent."""


class Confirm:
    """Repeats the ``count`` best trials of ``phase``, each ``repeats`` times.

    It begins when the stage ``of`` that phase has nothing more to propose; a trial of it that
    ends among the best after that is repeated as well. The best comes first, because it is the
    least likely to be pushed out. ``seed`` is the run's, ``known`` are the trials that the
    journal has repeats of.
    """

    def __init__(
        self,
        of: Stage,
        phase: str,
        confirmations: Confirmations,
        *,
        count: int,
        repeats: int,
        seed: int,
        known: Collection[int] = (),
    ) -> None:
        self._of = of
        self._phase = phase
        self._confirmations = confirmations
        self._count = count
        self._repeats = repeats
        self._seed = seed
        self._known = known
        self._best: list[tuple[float, int]] = []
        """Fitness, negative, and number of the best trials, the best first."""
        self._first: dict[int, tuple[Candidate, float]] = {}
        self._asked: Counter[int] = Counter()
        self._pending = 0

    @property
    def left(self) -> int:
        """The repeats that are wanted of the trials that are the best now."""
        return self._wanted if self._count and self._of.closed else 0

    @property
    def total(self) -> int:
        """The repeats that were proposed, and those that will be as things stand."""
        if not self._count:
            return self._asked.total()
        wanted = self._wanted
        if not self._of.done:
            wanted += (self._count - len(self._best)) * self._repeats
        return self._asked.total() + wanted

    @property
    def closed(self) -> bool:
        """Whether no more are wanted."""
        return self._of.closed and not self.left

    @property
    def done(self) -> bool:
        """Whether all have ended."""
        return self.closed and not self._pending

    @property
    def _wanted(self) -> int:
        return sum(
            max(0, self._repeats - self._asked[trial]) for _, trial in self._best
        )

    def ask(self, number: int) -> Candidate:
        """A repeat of the best trial that still needs one."""
        again = next(t for _, t in self._best if self._asked[t] < self._repeats)
        first, _ = self._first[again]
        return self._repeat(first, number)

    def tell(self, trial: Candidate, result: Measured) -> None:
        """Take a result among the best, or count a repeat's."""
        fitness = result.fitness
        if trial.phase == self._phase:
            if result.stopped:
                return  # it could not be named the best: it has no weights
            if fitness is not None and (self._count or trial.number in self._known):
                self._rank(trial, fitness)
        elif trial.phase == CONFIRM and trial.parents[0] in self._asked:
            self._pending -= 1
            self._confirmations.add(trial.parents[0], trial.number, fitness)

    def restores(self, record: Record) -> bool:
        """Whether a trial of the journal is a repeat of one of its phase."""
        if record.phase != CONFIRM or not record.parents:
            return False
        return record.parents[0] in self._first

    def restore(self, record: Record) -> Candidate:
        """Take a repeat as asked."""
        first, _ = self._first[record.parents[0]]
        return self._repeat(first, record.trial)

    def _rank(self, trial: Candidate, fitness: float) -> None:
        number = trial.number
        insort(self._best, (-fitness, number))
        self._first[number] = (trial, fitness)
        for _, out in self._best[self._count :]:
            if out not in self._known and not self._asked[out]:
                del self._first[out]
        del self._best[self._count :]

    def _repeat(self, first: Candidate, number: int) -> Candidate:
        _, fitness = self._first[first.number]
        self._confirmations.enter(first.number, fitness, first.text)
        self._asked[first.number] += 1
        self._pending += 1
        return Candidate(
            number=number,
            genome=first.genome,
            text=first.text,
            generation=first.generation,
            parents=(first.number,),
            seed=trial_seed(self._seed, number),
            phase=CONFIRM,
            model=first.model,
        )
