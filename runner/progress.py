"""What becomes of checks, the validations during training: journalled, judged, answered."""

from ribosome.runner.config import StoppingConfig
from ribosome.runner.journal import Journal
from ribosome.runner.messages import Checked, Halt
from ribosome.runner.outbox import Outbox
from ribosome.runner.proposer import SEARCH, Candidate
from ribosome.runner.stopping import Checks, make_rule
from ribosome.runner.tuning import TUNE

_JUDGED = (SEARCH, TUNE)
"""The phases whose trials may be stopped; one that confirms another trains to its end."""


class Progress:
    """Notes the checks of a run, and has trials stopped that are not worth going on with.

    Knows what the journal knows, so that a run that goes on judges as it did before.
    """

    def __init__(
        self, settings: StoppingConfig, journal: Journal, outbox: Outbox
    ) -> None:
        self._journal = journal
        self._outbox = outbox
        rule = make_rule(settings)
        self._checks = None if rule is None else Checks(rule)
        if self._checks is not None:
            for phase, has_ended, check in journal.checks():
                if phase in _JUDGED:
                    self._checks.take(
                        phase, check.trial, check.iteration, check.accuracy
                    )
                if has_ended:
                    self._checks.end(check.trial)

    def hear(self, worker: int, trial: Candidate, check: Checked) -> None:
        """Take in a check of a trial that a worker has."""
        self._journal.check(check)
        if self._checks is None or trial.phase not in _JUDGED:
            return
        why = self._checks.take(
            trial.phase, check.trial, check.iteration, check.accuracy
        )
        if why:
            self._outbox.tell(worker, Halt(check.trial, why))

    def end(self, trial: int) -> None:
        """The trial has its result."""
        if self._checks is not None:
            self._checks.end(trial)
