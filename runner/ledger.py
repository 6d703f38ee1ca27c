"""Entering results: in the journal, the program, the tally, and the folders of trials."""

import msgspec

from ribosome.genome.errors import RunError
from ribosome.runner.confirm import CONFIRM
from ribosome.runner.journal import Journal
from ribosome.runner.messages import Result
from ribosome.runner.program import Program
from ribosome.runner.proposer import SEARCH, Candidate
from ribosome.runner.queues import Handed
from ribosome.runner.tally import Tally
from ribosome.runner.trial_folders import TrialFolders

MOST_REJECTED = 1000
"""So many networks in a row that cannot learn are no chance: the run would not end."""


class Ledger:
    """Enters what became of trials.

    Of the folders of trials that did not fail only the best one's stays, if ``keep`` is
    "best", and of each network that is trained again the best repeat's, until the end.
    """

    def __init__(
        self,
        journal: Journal,
        program: Program,
        tally: Tally,
        folders: TrialFolders,
        *,
        keep: str,
    ) -> None:
        self._journal = journal
        self._program = program
        self._tally = tally
        self._folders = folders
        self._keeps_best = keep == "best"
        self._rejected_in_a_row = 0

    def enter(self, worker: int, handed: Handed, result: Result) -> str:
        """Enter a result of a worker; the genome's text, as far as it is known.

        Raises RunError after `MOST_REJECTED` networks in a row that were rejected.
        """
        trial, fitness = handed.trial, result.fitness
        if (tuning := self._program.tuning) is not None:
            trial = tuning.completed(trial, result.genome)
        if result.rejected and trial.phase != SEARCH:
            # The other stages ask for no other in its place.
            result = msgspec.structs.replace(result, rejected=False)
        drawn = trial.text if trial is not handed.trial else None
        self._journal.finish(result, worker, genome=drawn)
        if trial.phase == CONFIRM:
            passed = self._enter_repeat(trial, result)
        else:
            passed = self._enter_first(trial, result, bar=handed.bar)
        self._tally.total = self._program.total
        if passed is not None and fitness is not None and self._keeps_best:
            self._folders.remove(passed)
        return trial.text

    def problem(self, trial: Candidate, result: Result) -> str:
        """Why a result is none of the trial's: what it says to have drawn; else empty."""
        tuning = self._program.tuning
        if trial.model and not trial.genome and tuning is not None:
            if result.genome or result.ending == "ok":
                return tuning.draws.problem(trial.model, result.genome)
            return ""
        return "genome is not to be drawn" if result.genome else ""

    def close(self) -> None:
        """The run has come to its end: of the best networks only the winner's folder stays."""
        winner = self._program.confirmations.winner
        if winner is None:
            return
        self._tally.crown(winner)
        if self._keeps_best:
            for trial in folders_in_want(self._program, self._tally, ended=False):
                if trial != winner.best:
                    self._folders.remove(trial)

    def _enter_first(
        self, trial: Candidate, result: Result, *, bar: float
    ) -> int | None:
        """The trial whose folder is not wanted any more; None if there is none."""
        fitness, before = result.fitness, self._tally.best
        self._program.tell(trial, result)
        if result.rejected:
            self._count_rejected(result)
            return None
        self._rejected_in_a_row = 0
        if result.stopped:
            # There are no weights to show for it, and others have come further.
            self._tally.count(result.ending)
            return trial.number
        if self._tally.add(trial.number, result.ending, fitness, trial.text):
            return before.trial if before is not None else None
        if fitness is not None and fitness > bar:
            return trial.number
        return None

    def _count_rejected(self, result: Result) -> None:
        self._rejected_in_a_row += 1
        if self._rejected_in_a_row >= MOST_REJECTED:
            raise RunError(
                f"the last {MOST_REJECTED:,} networks were all rejected before training; of "
                f"the last one: {result.message}; look at the space and the data, or set "
                "stopping.check = false in another run"
            )

    def _enter_repeat(self, trial: Candidate, result: Result) -> int | None:
        network = trial.parents[0]
        before = self._program.confirmations.best_of(network)
        self._program.tell(trial, result)
        self._tally.count(result.ending)
        after = self._program.confirmations.best_of(network)
        return before if before != after else trial.number


def folders_in_want(program: Program, tally: Tally, *, ended: bool) -> set[int]:
    """The trials whose folders stay although they did not fail, if only the best do.

    Once the run has ``ended`` that is the winner's alone.
    """
    winner = program.confirmations.winner
    if ended and winner is not None:
        return {winner.best} if winner.best is not None else set()
    repeats = {network.best for network in program.confirmations}
    best = {tally.best.trial} if tally.best is not None else set()
    return best | {trial for trial in repeats if trial is not None}
