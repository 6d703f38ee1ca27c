"""Handing trials out: a proposal and its model go to the journal, then Work to its worker."""

from ribosome.runner.clock import Clock
from ribosome.runner.journal import Journal
from ribosome.runner.messages import Work
from ribosome.runner.outbox import Outbox
from ribosome.runner.program import Program
from ribosome.runner.queues import Handed


class Dispatch:
    """Notes what is proposed, and has workers told of it once that is committed."""

    def __init__(
        self, program: Program, journal: Journal, outbox: Outbox, clock: Clock
    ) -> None:
        self._tuning = program.tuning
        self._journal = journal
        self._outbox = outbox
        self._clock = clock

    def hand(self, worker: int, handed: Handed) -> None:
        """Hand a trial to a worker, and before it a model that the worker needs for it."""
        trial = handed.trial
        if handed.new:
            self._propose(handed)
        if trial.model and self._tuning is not None:
            self._outbox.tell_model(worker, self._tuning.draws.model(trial.model))
        work = Work(
            trial=trial.number,
            genome=trial.genome,
            seed=trial.seed,
            keep_above=handed.bar,
            copy=handed.copy,
            model=trial.model,
        )
        self._outbox.tell(worker, work)

    def _propose(self, handed: Handed) -> None:
        trial, now = handed.trial, self._clock.time()
        if trial.model and self._tuning is not None:
            for model in self._tuning.new_models():
                self._journal.model(model, at=now)
        self._journal.propose(
            trial.number,
            trial.text,
            generation=trial.generation,
            parents=trial.parents,
            at=now,
            phase=trial.phase,
            model=trial.model,
        )
