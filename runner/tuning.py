"""The stage that tunes the hyperparameters of one network: the paper's second phase (V.B).

At first workers draw at random. Then a support vector machine is fitted to what became of
that; every worker is sent it, and draws until it predicts good. `ribosome.runner.drawing`
has the draws, `ribosome.search.svm` the machine.
"""

from collections.abc import Sequence

from ribosome.genome.codec import from_text, pack
from ribosome.runner.config import TuneConfig
from ribosome.runner.confirmed import Confirmations
from ribosome.runner.drawing import Draws
from ribosome.runner.fitting import Fitting, prepare
from ribosome.runner.goals import Measured
from ribosome.runner.models import ModelRecord
from ribosome.runner.program import Stage
from ribosome.runner.proposer import SEARCH, Candidate, trial_seed
from ribosome.runner.records import Record
from ribosome.search.svm import Fitted, NotEnough

TUNE = "tune"
"""The phase of its trials."""

_MORE = 5
"""The fewest results that are waited for after too few for a model."""


class Tuning:
    """Proposes trials that draw their hyperparameters by the latest model.

    ``template`` is the genome, a text, whose hyperparameters are tuned; it begins when the
    stages ``before`` have no more to propose. An empty one stands for the winner of those,
    and it begins when they have ended. ``seed`` is the run's; ``models`` are those that the
    journal has, ``spent_s`` the seconds that the phase has had in earlier sessions.
    """

    def __init__(
        self,
        before: Sequence[Stage],
        settings: TuneConfig,
        draws: Draws,
        confirmations: Confirmations,
        *,
        template: str,
        seed: int,
        models: Sequence[ModelRecord] = (),
        spent_s: float = 0.0,
    ) -> None:
        self.draws = draws
        """What draws here as the workers do."""
        self._before = before
        self._settings = settings
        self._confirmations = confirmations
        self._template = template
        self._seed = seed
        self._spent_s = spent_s
        self._models: list[ModelRecord] = []
        self._new: list[ModelRecord] = []
        self._best: tuple[float, str] | None = None
        self._results: dict[int, tuple[list[float], float | None]] = {}
        self._asked = self._told = 0
        self._fitting: Fitting | None = None
        self._rounds = self._wait_for = 0
        self._warned = False
        self._now = 0.0
        self._began: float | None = None
        for model in models:
            self._learn(model)
            self._rounds += model.fitted is not None

    @property
    def left(self) -> int:
        """The trials that may be proposed now.

        One, as long as there is time, where that is the limit: none is to wait for a worker
        when it is up.
        """
        if not self._is_open:
            return 0
        if self._settings.time_s:
            return int(self._elapsed < self._settings.time_s)
        return max(0, self._settings.evaluations - self._asked)

    @property
    def total(self) -> int:
        """The trials in all; as many as there were, where time is the limit."""
        if self._settings.time_s or self.closed:
            return self._asked
        return max(self._asked, self._settings.evaluations)

    @property
    def closed(self) -> bool:
        """Whether nothing more is proposed."""
        if not self._is_wanted:
            return True
        if self._is_open:
            return not self.left
        return self._has_no_template

    @property
    def done(self) -> bool:
        """Whether it has come to its end."""
        if not self._settings.time_s and self._told >= self._settings.evaluations:
            return True
        return self.closed and self._told >= self._asked

    def ask(self, number: int) -> Candidate:
        """The next trial, whose worker draws by the latest model."""
        if not self._models:
            template = self._template or self._winner
            assert template is not None
            self._add(ModelRecord(1, template))
        self._asked += 1
        return self._trial(number, self._models[-1].number, "")

    def tell(self, trial: Candidate, result: Measured) -> None:
        """Learn from a trial of its own; know the best of the search."""
        fitness = result.fitness
        if trial.phase == SEARCH:
            if fitness is None or result.stopped:
                return
            if not self._best or fitness > self._best[0]:
                self._best = fitness, trial.text
        elif trial.phase == TUNE:
            self._told += 1
            if trial.genome:
                vector = self.draws.vector(trial.model, trial.genome)
                self._results[trial.number] = vector, fitness

    def restores(self, record: Record) -> bool:
        """Whether a trial of the journal is of this stage, and its model there."""
        models = [model.number for model in self._models]
        return record.phase == TUNE and record.model in models

    def restore(self, record: Record) -> Candidate:
        """Take a trial of the journal as asked."""
        assert record.model is not None
        self._asked += 1
        return self._trial(record.trial, record.model, record.genome)

    def tick(self, now: float) -> str:
        """Go on with the models; ``now`` is in seconds, from anywhere. A warning, or "".

        Workers draw by the model before as long as one is fitted, or none can be.
        """
        self._now = now
        if self._models and self._began is None:
            self._began = now
            prepare()
        if self._fitting is None:
            if self._is_due:
                self._fitting = self._fit()
            return self._says_no_template()
        outcome = self._fitting.poll()
        if outcome is None:
            return ""
        results, self._fitting = self._fitting.results, None
        if isinstance(outcome, Fitted):
            self._rounds += 1
            number, template = len(self._models) + 1, self._models[0].template
            self._add(ModelRecord(number, template, outcome, results))
            return ""
        if isinstance(outcome, NotEnough):
            self._wait_for = results + max(_MORE, results // 10)
            before, self._warned = self._warned, True
            what = f"no model of the hyperparameters yet: {outcome}"
            return "" if before else f"{what}; drawing goes on as before"
        self._rounds += 1
        why = " ".join(f"{type(outcome).__name__}: {outcome}".split())
        return (
            f"no model of the hyperparameters can be fitted: {why}; drawing goes on as "
            "before"
        )

    def new_models(self) -> list[ModelRecord]:
        """The models that were not asked for yet: they belong in the journal."""
        new, self._new = self._new, []
        return new

    def completed(self, trial: Candidate, drawn: bytes) -> Candidate:
        """A trial with what its worker has drawn; without that it is drawn here."""
        if not trial.model or trial.genome:
            return trial
        try:
            genome = drawn or self.draws.draw(trial.model, trial.seed)
        except Exception:  # what draws nothing here has failed its worker too
            return trial
        text = self.draws.text(trial.model, genome)
        return Candidate(
            number=trial.number,
            genome=genome,
            text=text,
            generation=trial.generation,
            parents=trial.parents,
            seed=trial.seed,
            phase=trial.phase,
            model=trial.model,
        )

    @property
    def _is_wanted(self) -> bool:
        return bool(self._settings.evaluations or self._settings.time_s)

    @property
    def _is_open(self) -> bool:
        """Whether it has begun, or may begin."""
        if self._models or not self._is_wanted:
            return self._is_wanted
        if self._template:
            return all([stage.closed for stage in self._before])
        return self._winner is not None and all([stage.done for stage in self._before])

    @property
    def _winner(self) -> str | None:
        """The genome of the winner of the stages before; None where all has failed."""
        if (winner := self._confirmations.winner) is not None:
            return winner.genome
        return self._best[1] if self._best else None

    @property
    def _has_no_template(self) -> bool:
        """Whether the stages before have ended in vain."""
        if self._template or self._models or self._winner is not None:
            return False
        return all([stage.done for stage in self._before])

    @property
    def _elapsed(self) -> float:
        began = self._now if self._began is None else self._began
        return self._spent_s + self._now - began

    @property
    def _is_due(self) -> bool:
        """Whether a model is to be fitted now."""
        settings, told = self._settings, self._told
        if self._rounds >= settings.rounds or not self._models or self.closed:
            return False
        share = self._rounds / settings.rounds
        share = settings.random + (1.0 - settings.random) * share
        if settings.time_s:
            reached = self._elapsed >= share * settings.time_s
        else:
            reached = told >= share * settings.evaluations
        return reached and told >= self._wait_for

    def _fit(self) -> Fitting:
        results = [self._results[trial] for trial in sorted(self._results)]
        return Fitting(
            [vector for vector, _ in results],
            [fitness for _, fitness in results],
            good=self._settings.good,
            seed=(self._seed, len(self._models) + 1),
        )

    def _add(self, model: ModelRecord) -> None:
        self._learn(model)
        self._new.append(model)

    def _learn(self, model: ModelRecord) -> None:
        self._models.append(model)
        self.draws.learn(model.message(among=self._settings.among))

    def _says_no_template(self) -> str:
        if self._warned or not self._is_wanted or not self._has_no_template:
            return ""
        self._warned = True
        return "nothing to tune: no network has an accuracy"

    def _trial(self, number: int, model: int, text: str) -> Candidate:
        space = self.draws.space(model)
        return Candidate(
            number=number,
            genome=pack(space, from_text(space, text)) if text else b"",
            text=text,
            generation=model - 1,
            parents=(),
            seed=trial_seed(self._seed, number),
            phase=TUNE,
            model=model,
        )
