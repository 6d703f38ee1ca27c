"""The tuning phase: draws, models, and what becomes of them in a run."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from run_kit import Recorder
from tuning_kit import (
    SEARCHED,
    TunedWorkers,
    models_of,
    quick_fits,
    tuned,
    tuned_config,
    tuned_run,
)

from ribosome.genome.codec import from_text
from ribosome.genome.errors import ConfigError, RunError
from ribosome.genome.hyperparameters import hyperparameters, tuning_space
from ribosome.genome.space_file import load_space
from ribosome.runner.drawing import Draws
from ribosome.runner.messages import Model, Report, Result, Work, encode
from ribosome.runner.proposer import trial_seed
from ribosome.runner.records import Record
from ribosome.runner.resume import open_run
from ribosome.runner.transport import Event, Message
from ribosome.search.variation import draw

LENET = load_space("lenet")
pytestmark = pytest.mark.usefixtures(quick_fits.__name__)


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, list[Record], TunedWorkers]:
    """A run with two models, its trials, and its three workers."""
    folder = tmp_path_factory.mktemp("tuned") / "run"
    workers = TunedWorkers(3)
    records, _ = tuned_run(folder, workers, tune={"rounds": 2})
    return folder, records, workers


def test_the_first_share_is_random_the_rest_by_models(
    run: tuple[Path, list[Record], TunedWorkers],
) -> None:
    """Half of them before there is a model; the second model after half of the rest."""
    folder, records, _ = run
    counts = Counter(record.model for record in tuned(records))
    random, first, second = models_of(folder)
    assert sum(counts.values()) == 60
    assert random.fitted is None
    assert first.fitted is not None
    assert second.fitted is not None
    # Some more are at the workers when a model has come.
    assert 30 <= counts[1] <= 30 + 3 * 2
    assert 15 - 3 * 2 <= counts[2] <= 15 + 3 * 2
    assert (first.results, second.results) == (30, 45) or (
        first.results >= 30 and second.results >= 45
    )
    assert [r.generation for r in tuned(records)] == [
        (r.model or 0) - 1 for r in tuned(records)
    ]


def test_every_draw_follows_from_model_and_seed(
    run: tuple[Path, list[Record], TunedWorkers],
) -> None:
    """What the journal has is what anybody draws by the journal's model."""
    folder, records, _ = run
    draws = Draws(LENET)
    for model in models_of(folder):
        draws.learn(model.message(among=16))
    for record in tuned(records):
        assert record.model is not None
        genome = draws.draw(record.model, trial_seed(1, record.trial))
        assert record.genome == draws.text(record.model, genome)


def test_a_random_draw_is_the_space_s_own(
    run: tuple[Path, list[Record], TunedWorkers],
) -> None:
    """By numpy's generator of the trial's seed, as `draw` draws."""
    folder, records, _ = run
    template = models_of(folder)[0].template
    space = tuning_space(LENET, from_text(LENET, template))
    first = tuned(records)[0]
    rng = np.random.default_rng(trial_seed(1, first.trial))
    assert from_text(space, first.genome) == draw(space.groups, rng)


def test_what_a_model_draws_it_calls_good(
    run: tuple[Path, list[Record], TunedWorkers],
) -> None:
    """Its decision is positive for each, and they do better than random ones."""
    folder, records, _ = run
    models = {model.number: model for model in models_of(folder)}
    draws = Draws(LENET)
    for model in models.values():
        draws.learn(model.message(among=16))
    for record in tuned(records):
        assert record.model is not None
        fitted = models[record.model].fitted
        if fitted is not None:
            genome = draws.draw(record.model, trial_seed(1, record.trial))
            assert fitted.svm.decision(draws.vector(record.model, genome)) > 0
    by_model: dict[bool, list[float]] = {True: [], False: []}
    for record in tuned(records):
        assert record.fitness is not None
        by_model[record.model == 1].append(record.fitness)
    assert np.median(by_model[False]) > np.median(by_model[True])


def test_the_template_is_the_winner_of_the_search(
    run: tuple[Path, list[Record], TunedWorkers],
) -> None:
    """All models tune it, and every tuned genome names it."""
    folder, records, _ = run
    best = max(records[:SEARCHED], key=lambda record: record.fitness or 0.0)
    assert {model.template for model in models_of(folder)} == {best.genome}
    for record in tuned(records):
        assert record.genome.startswith(f"{best.genome}~")


def test_a_model_is_sent_once_to_each_worker(
    run: tuple[Path, list[Record], TunedWorkers],
) -> None:
    """Before the first work that names it; the work itself carries no genome."""
    _, _, workers = run
    for messages in workers.sent.values():
        told = [sent.number for sent in messages if isinstance(sent, Model)]
        assert told == sorted(set(told))
        known: set[int] = set()
        for sent in messages:
            if isinstance(sent, Model):
                known.add(sent.number)
            elif isinstance(sent, Work) and sent.model:
                assert sent.model in known
                assert (sent.genome, sent.template) == (b"", "")


class Late(TunedWorkers):
    """Workers of which one takes twenty times as long for the search's last trial."""

    polls = 0

    def poll(self, timeout: float) -> list[Event]:
        """Count it."""
        self.polls += 1
        return super().poll(timeout)

    def _evaluate(self, worker: int, work: Work) -> Event:
        if work.trial == SEARCHED and self.polls < 20:
            self._queues[worker].appendleft(work)
            return Message(worker, encode(Report()))
        return super()._evaluate(worker, work)


def test_all_workers_begin_at_once(tmp_path: Path) -> None:
    """Those that were idle while the search's last trial ran are given work with its end."""

    workers = Late(4)
    tuned_run(tmp_path / "run", workers, tune={"evaluations": 20, "random": 1.0})
    first = [worker for worker, work in workers.works if work.model][:8]
    assert set(first) == {1, 2, 3, 4}


def test_a_worker_that_joins_later_is_told_the_model(tmp_path: Path) -> None:
    """A process that took a lost one's place draws the same as the one before."""
    deadly = {SEARCHED + 10: 1, SEARCHED + 50: 1}
    workers = TunedWorkers(1, deadly=deadly)
    records, _ = tuned_run(tmp_path / "deadly", workers)
    told = [sent.number for sent in workers.sent[1] if isinstance(sent, Model)]
    assert told == [1, 1, 2, 2]
    quiet, _ = tuned_run(tmp_path / "quiet", TunedWorkers(1))
    assert [r.genome for r in records] == [r.genome for r in quiet]


def test_what_a_lost_trial_would_have_drawn_is_known(tmp_path: Path) -> None:
    """The master draws it for the journal, where no worker has said."""
    trial = SEARCHED + 10
    lost, _ = tuned_run(tmp_path / "lost", TunedWorkers(1, deadly={trial: 2}))
    quiet, _ = tuned_run(tmp_path / "quiet", TunedWorkers(1))
    assert lost[trial - 1].ending == "lost"
    assert lost[trial - 1].genome == quiet[trial - 1].genome != ""


NONSENSE: list[Callable[[Work], bytes]] = [
    lambda work: work.genome[:-1],
    lambda work: work.genome + b"\0",
    lambda work: b"\xff" * len(work.genome),
    lambda _: b"",
]


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_a_worker_that_draws_nonsense_is_broken(
    tmp_path: Path, nonsense: Callable[[Work], bytes]
) -> None:
    """Its trial goes to another, and it gets no more work."""
    trial, first = SEARCHED + 4, [0]

    class Broken(TunedWorkers):
        def _result(self, work: Work) -> Result:
            result = super()._result(work)
            if work.trial == trial and not first[0]:
                first[0] = 1
                return msgspec.structs.replace(result, genome=nonsense(work))
            return result

    observer = Recorder()
    workers = Broken(2)
    records, _ = tuned_run(tmp_path / "run", workers, observer=observer)
    assert len(records) == SEARCHED + 60
    assert records[trial - 1].ending == "ok"
    (warning,) = [text for text in observer.warnings if "sends what is no" in text]
    assert f"no result of trial {trial}: genome is" in warning
    (who, other) = [worker for worker, work in workers.works if work.trial == trial]
    assert who != other
    after = [worker for worker, work in workers.works if work.trial > trial + 4]
    assert set(after) == {other}


def test_a_genome_that_was_not_to_be_drawn_is_nonsense(tmp_path: Path) -> None:
    """As a result of the search with a genome of its own is."""
    first = [0]

    class Broken(TunedWorkers):
        def _result(self, work: Work) -> Result:
            result = super()._result(work)
            if work.trial == 2 and not first[0]:
                first[0] = 1
                return msgspec.structs.replace(result, genome=b"\0")
            return result

    observer = Recorder()
    records, _ = tuned_run(tmp_path / "run", Broken(2), observer=observer)
    assert len(records) == SEARCHED + 60
    assert any("genome is not to be drawn" in text for text in observer.warnings)


def test_a_genome_of_another_space_can_be_tuned(tmp_path: Path) -> None:
    """LeNet in a run of another space: eleven hyperparameters in eight bytes."""
    workers = TunedWorkers(2)
    records, _ = tuned_run(
        tmp_path / "run",
        workers,
        space={"name": "menndl"},
        tune={"evaluations": 10, "genome": "lenet"},
    )
    assert len(tuned(records)) == 10
    template = models_of(tmp_path / "run")[0].template
    space = tuning_space(LENET, from_text(LENET, template))
    assert len(hyperparameters(space)) == 11
    for record in tuned(records):
        from_text(space, record.genome)


def test_a_genome_by_its_text_begins_while_the_search_ends(tmp_path: Path) -> None:
    """Nothing needs to be waited for: no worker is idle."""
    plain, _ = tuned_run(tmp_path / "plain", tune={"evaluations": 0})
    given = plain[2].genome
    tune = {"evaluations": 10, "random": 1.0, "genome": given}
    for name, search in (("run", {}), ("confirmed", {"confirm": 2})):
        records, _ = tuned_run(tmp_path / name, Late(3), tune=tune, search=search)
        assert models_of(tmp_path / name)[0].template == given
        assert len(tuned(records)) == 10
        ended = [record.finished_at or 0.0 for record in tuned(records)]
        assert min(ended) < (records[SEARCHED - 1].finished_at or 0.0)


@pytest.mark.parametrize(
    ("genome", "says"),
    [
        ("nonsense", "'nonsense' is no genome"),
        ("other-1-000-0000", "which is neither the run's own nor shipped"),
        ("lenet-1-0h3k000000000-7m2q", "genome is padded"),
    ],
)
def test_a_genome_that_is_none_is_refused(
    tmp_path: Path, genome: str, says: str
) -> None:
    """Before anything is trained."""
    config = tuned_config(tune={"genome": genome})
    with pytest.raises(ConfigError, match=rf"\[tune\] genome: .*{says}"):
        open_run(
            config, tmp_path / "run", resume=False, observer=Recorder(), trains=False
        )
    assert not (tmp_path / "run").exists()


def test_without_a_network_there_is_nothing_to_tune(tmp_path: Path) -> None:
    """The run ends, and says why."""
    observer = Recorder()
    records, _ = tuned_run(
        tmp_path / "run",
        TunedWorkers(2, on_result=lambda _, r: Result(r.trial, "crashed")),
        observer=observer,
    )
    assert len(records) == SEARCHED
    assert "nothing to tune: no network has an accuracy" in observer.warnings


def test_the_best_of_both_phases_are_confirmed(tmp_path: Path) -> None:
    """Those of the search before tuning, whose winner is tuned, and those of tuning after."""
    workers = TunedWorkers(2)
    records, summary = tuned_run(
        tmp_path / "run", workers, search={"confirm": 3}, tune={"evaluations": 20}
    )
    by_number = {record.trial: record for record in records}
    again = [record for record in records if record.phase == "confirm"]
    of = [by_number[record.parents[0]] for record in again]
    phases = [record.phase for record in records]
    assert [record.phase for record in of].count("tune") == 6
    assert phases.index("confirm") < phases.index("tune") < len(phases) - 6
    for record, first in zip(again, of, strict=True):
        assert (record.genome, record.model) == (first.genome, first.model)
    for _, work in workers.works:
        if by_number[work.trial].phase == "confirm":
            assert work.genome
    assert summary.best is not None
    assert summary.best.confirmed is not None
    assert by_number[summary.best.trial].phase in ("search", "tune")
    assert summary.evaluated == len(records)


def test_other_settings_are_refused_once_it_has_begun(tmp_path: Path) -> None:
    """Before that they may change, and after that its length."""
    run = tmp_path / "run"
    tuned_run(run, tune={"evaluations": 0})
    records, _ = tuned_run(
        run, resume=True, tune={"evaluations": 8, "good": 0.6, "random": 1.0}
    )
    assert len(tuned(records)) == 8
    with pytest.raises(RunError, match=r"tune\.good was 0\.6 .* is now 0\.7"):
        tuned_run(run, resume=True, tune={"evaluations": 8, "good": 0.7, "random": 1.0})
    records, _ = tuned_run(
        run, resume=True, tune={"evaluations": 12, "good": 0.6, "random": 1.0}
    )
    assert len(tuned(records)) == 12


def test_more_evaluations_go_on_by_the_model_that_there_is(tmp_path: Path) -> None:
    """And another round fits to all results."""
    run = tmp_path / "run"
    tuned_run(run, tune={"evaluations": 40})
    records, _ = tuned_run(run, resume=True, tune={"evaluations": 46})
    assert [r.model for r in tuned(records)[-6:]] == [2] * 6
    tuned_run(run, resume=True, tune={"evaluations": 52, "rounds": 2})
    _, _, third = models_of(run)
    assert third.results >= 46
