"""The program of a run: its stages one after another, in one numbering of trials.

The search comes first; the best of it may be confirmed, the winner's hyperparameters tuned,
and the best of that confirmed again. A stage begins to propose when those before it have
nothing more to propose: their last trials may still run, so that no worker waits for them.
"""

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from ribosome.genome.errors import RunError
from ribosome.runner.confirmed import Confirmations
from ribosome.runner.goals import Measured
from ribosome.runner.proposer import Candidate, Proposer
from ribosome.runner.records import Record

if TYPE_CHECKING:
    from ribosome.runner.tuning import Tuning


class Stage(Protocol):
    """A part of a run that proposes trials and hears of the results of all stages."""

    @property
    def left(self) -> int:
        """How many trials it may propose now."""
        ...

    @property
    def total(self) -> int:
        """The number of its trials in all, as far as that is known now."""
        ...

    @property
    def closed(self) -> bool:
        """Whether it proposes nothing more, unless a trial that runs changes that."""
        ...

    @property
    def done(self) -> bool:
        """Whether it has come to its end: nothing of it runs any more, or would count."""
        ...

    def ask(self, number: int) -> Candidate:
        """Its next trial, of that number; to be called only while some are left."""
        ...

    def tell(self, trial: Candidate, result: Measured) -> None:
        """Hear how a trial of any stage has ended."""
        ...

    def restores(self, record: Record) -> bool:
        """Whether a trial of the journal is of this stage."""
        ...

    def restore(self, record: Record) -> Candidate:
        """Take a trial of the journal as asked."""
        ...


class Program:
    """What a master asks for trials, and tells their results.

    ``confirmations`` are what the stages' repeats say of networks; ``tuning`` is the one of
    the stages that has models.
    """

    def __init__(
        self,
        search: Proposer,
        *later: Stage,
        confirmations: Confirmations | None = None,
        tuning: "Tuning | None" = None,
    ) -> None:
        self._search = search
        self._stages: tuple[Stage, ...] = (search, *later)
        self._last = 0
        self.confirmations = confirmations or Confirmations(1)
        self.tuning = tuning

    @property
    def left(self) -> int:
        """How many trials may be proposed now."""
        return sum([stage.left for stage in self._stages])

    @property
    def total(self) -> int:
        """The number of trials of the whole run, as far as that is known now."""
        return sum([stage.total for stage in self._stages])

    @property
    def done(self) -> bool:
        """Whether the run has come to its end."""
        return all([stage.done for stage in self._stages])

    def ask(self) -> Candidate:
        """The next trial; to be called only while some are left."""
        stage = next(stage for stage in self._stages if stage.left)
        self._last += 1
        return stage.ask(self._last)

    def tell(self, trial: Candidate, result: Measured) -> None:
        """Say how a trial has ended."""
        for stage in self._stages:
            stage.tell(trial, result)

    def random_state(self) -> str:
        """The state of the search's random numbers, as JSON; no other stage has any."""
        return self._search.random_state()

    def replay(
        self, steps: Iterable[tuple[str, Record]], random_state: str | None
    ) -> deque[Candidate]:
        """Repeat a run's asks and tells; returns the trials that have no result yet.

        Raises RunError for a trial of a phase that is not known.
        """
        unfinished: dict[int, Candidate] = {}
        for what, record in steps:
            if what == "told":
                self.tell(unfinished.pop(record.trial), record)
            else:
                unfinished[record.trial] = self._stage_of(record).restore(record)
                self._last = max(self._last, record.trial)
        if random_state is not None:
            self._search.set_random_state(random_state)
        return deque(unfinished.values())

    def _stage_of(self, record: Record) -> Stage:
        for stage in self._stages:
            if stage.restores(record):
                return stage
        raise RunError(
            f"trial {record.trial} is of phase {record.phase!r} and follows from nothing in "
            "the journal: it is damaged, or a newer Ribosome wrote it; put back a copy, or "
            "update Ribosome"
        )
