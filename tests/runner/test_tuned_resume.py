"""A run that is killed while it tunes goes on: nothing is drawn otherwise, or lost."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
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

from ribosome.genome.errors import RibosomeError
from ribosome.runner.records import Record, read_trials
from ribosome.runner.resume import open_run
from ribosome.runner.run import lead
from ribosome.runner.stages import busy_s
from ribosome.search import svm

TUNE = {"evaluations": 30, "random": 0.7}
pytestmark = pytest.mark.usefixtures(quick_fits.__name__)


class Killed(BaseException):
    """Stands for SIGKILL: the master ends where it is raised."""


def session(
    folder: Path, kill: Callable[[int], str | None], *, patient: bool = True
) -> bool:
    """Run until the end, or until killed at a commit; whether it came to its end."""
    config = tuned_config(tune=TUNE)
    run = open_run(config, folder, resume=True, observer=Recorder(), trains=False)
    workers = TunedWorkers(1, patient=patient)
    workers.run = run
    commit, count = run.journal.commit, 0

    def killing(state: Callable[[], str]) -> None:
        nonlocal count
        count += 1
        when = kill(count)
        if when == "before":
            raise Killed
        commit(state)
        if when == "after":
            raise Killed

    run.journal.commit = killing  # type: ignore[method-assign]
    try:
        with closing(run.journal):
            lead(run, workers, folder, observer=Recorder(), evaluator="noop")
    except Killed:
        return False
    return True


def story(folder: Path) -> list[object]:
    """What every trial was and became."""
    return [
        (r.trial, r.genome, r.phase, r.model, r.ending, r.fitness)
        for r in read_trials(folder)
    ]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_any_commit_leaves_no_trace(tmp_path: Path, when: str) -> None:
    """With one worker that waits for models the journal is that of a run never killed."""
    assert session(tmp_path / "whole", lambda _: None)
    expected = story(tmp_path / "whole")
    assert len(expected) == SEARCHED + 30
    for place in range(SEARCHED, SEARCHED + 34, 2):
        folder = tmp_path / f"{when}-{place}"
        session(folder, {place: when}.get)
        session(folder, lambda _: None)
        assert story(folder) == expected
        assert models_of(folder) == models_of(tmp_path / "whole")


def test_a_model_is_not_fitted_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that has it from the journal draws by it at once."""
    run = tmp_path / "run"
    assert session(run, lambda _: None)

    def fit(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(svm, "fit", fit)
    observer = Recorder()
    records, _ = tuned_run(
        run, resume=True, observer=observer, tune={**TUNE, "evaluations": 36}
    )
    assert [record.model for record in tuned(records)[-6:]] == [2] * 6
    assert observer.warnings == []


def test_a_run_killed_while_it_fits_fits_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the same results, to the same model."""
    assert session(tmp_path / "whole", lambda _: None)
    run, fit, end = tmp_path / "run", svm.fit, threading.Event()
    monkeypatch.setattr(svm, "fit", lambda *_, **__: end.wait())
    try:
        assert not session(run, {SEARCHED + 25: "after"}.get, patient=False)
    finally:
        end.set()
    assert len(models_of(run)) == 1
    monkeypatch.setattr(svm, "fit", fit)
    assert session(run, lambda _: None)
    first, second = models_of(run)
    assert first.template == models_of(tmp_path / "whole")[0].template
    assert second.fitted is not None
    assert second.results >= 21


def test_the_time_of_earlier_sessions_counts(tmp_path: Path) -> None:
    """The seconds in which trials ran, each counted once, pauses not at all."""
    records, _ = tuned_run(tmp_path / "run", tune={"evaluations": 3, "random": 1.0})
    first, second, third = tuned(records)

    def at(record: Record, begin: float, end: float | None) -> Record:
        return msgspec.structs.replace(
            record,
            proposed_at=begin,
            started_at=begin if end else None,
            finished_at=end,
        )

    spans = [at(first, 10, 14), at(second, 12, 15), at(third, 100, 103)]
    assert busy_s(spans) == 8.0
    assert busy_s([at(first, 10, None)]) == 0.0
    assert busy_s([]) == 0.0


def test_a_search_may_go_on_after_tuning(tmp_path: Path) -> None:
    """Its trials come next, the template stays, and what is new and good is confirmed."""
    run = tmp_path / "run"
    tuned_run(run, tune=TUNE, search={"confirm": 2})
    before, models = story(run), models_of(run)
    records, _ = tuned_run(
        run,
        resume=True,
        tune={**TUNE, "evaluations": 34},
        search={"confirm": 2, "evaluations": SEARCHED + 20},
    )
    assert story(run)[: len(before)] == before
    assert models_of(run) == models
    later = [record.phase for record in records[len(before) :]]
    assert later[:20] == ["search"] * 20
    assert later.count("tune") == 4
    first = {r.trial for r in records if r.phase == "search" and r.fitness is not None}
    best = sorted(first, key=lambda trial: -(records[trial - 1].fitness or 0.0))[:2]
    again = [r.parents[0] for r in records if r.phase == "confirm"]
    assert [again.count(trial) for trial in best] == [2, 2]


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE models SET fitted = 'x' WHERE number = 2",
        "UPDATE models SET fitted = '[]' WHERE number = 2",
        """UPDATE models SET fitted = replace(fitted, '"centre":[', '"centre":[1,')""",
        f"UPDATE models SET fitted = '{'[' * 100_000}' WHERE number = 2",
        "UPDATE models SET fitted = x'00' WHERE number = 2",
        "UPDATE models SET results = 'many'",
        "UPDATE models SET number = 9 WHERE number = 2",
        "UPDATE models SET template = 'nonsense'",
        "UPDATE models SET template = x'00'",
        "DELETE FROM models",
        "DROP TABLE models",
        "UPDATE trials SET model = 7 WHERE model = 2",
        "UPDATE trials SET model = NULL WHERE model = 2",
        "UPDATE trials SET model = -1 WHERE model = 2",
        "UPDATE trials SET genome = 'lenet' WHERE model = 2",
        "UPDATE trials SET phase = 'other' WHERE model = 2",
        "UPDATE trials SET phase = 'confirm' WHERE model = 2",
        "UPDATE trials SET phase = 'confirm', parents = '[5000]' WHERE model = 2",
        "UPDATE trials SET phase = 'confirm', parents = '{}' WHERE model = 2",
    ],
)
def test_a_damaged_journal_is_one_line(tmp_path: Path, harm: str) -> None:
    """Whatever is wrong with models and stages, the run does not go on, and says why."""
    run = tmp_path / "run"
    assert session(run, lambda _: None)
    with closing(sqlite3.connect(run / "journal.sqlite")) as database:
        database.execute(harm)
        database.commit()
    with pytest.raises(RibosomeError) as raised:
        session(run, lambda _: None)
    assert "\n" not in str(raised.value)
