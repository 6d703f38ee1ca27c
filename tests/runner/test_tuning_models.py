"""Fitting models while a run tunes: when, from what, and what if there is none."""

import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from run_kit import Recorder
from tuning_kit import (
    SEARCHED,
    TunedWorkers,
    models_of,
    quick_fits,
    smooth,
    tuned,
    tuned_run,
)

from ribosome.genome.codec import from_text, unpack
from ribosome.genome.space_file import load_space
from ribosome.runner.drawing import Draws
from ribosome.runner.messages import Result, Work
from ribosome.runner.proposer import trial_seed
from ribosome.search import svm

LENET = load_space("lenet")
pytestmark = pytest.mark.usefixtures(quick_fits.__name__)


def failing(work: Work, result: Result) -> Result:
    """No hyperparameters do anything."""
    return Result(result.trial, "diverged") if work.template else result


def test_without_good_results_drawing_goes_on_at_random(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said once, and tried now and then; the phase ends with its evaluations."""
    fits: list[int] = []
    fit = svm.fit

    def counted(points: Any, fitness: Any, **how: Any) -> Any:
        fits.append(len(points))
        return fit(points, fitness, **how)

    monkeypatch.setattr(svm, "fit", counted)
    observer = Recorder()
    records, _ = tuned_run(
        tmp_path / "run", TunedWorkers(2, on_result=failing), observer=observer
    )
    assert {record.model for record in tuned(records)} == {1}
    assert len(tuned(records)) == 60
    (said,) = [text for text in observer.warnings if "no model" in text]
    assert "0 good and 3" in said
    assert 3 <= len(fits) <= 6
    assert all(later - sooner >= 5 for sooner, later in pairwise(fits))


def test_with_more_results_a_model_is_tried_again(tmp_path: Path) -> None:
    """As soon as there are some more, without waiting for the next round."""

    def at_first(work: Work, result: Result) -> Result:
        early = work.trial <= SEARCHED + 34
        return (failing if early else smooth)(work, result)

    records, _ = tuned_run(tmp_path / "run", TunedWorkers(2, on_result=at_first))
    assert max(record.model or 0 for record in tuned(records)) == 2


def test_a_fit_that_raises_does_not_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning in one line says what it was."""

    def fit(*_: object, **__: object) -> None:
        raise ValueError("of its\nown")

    monkeypatch.setattr(svm, "fit", fit)
    observer = Recorder()
    records, _ = tuned_run(tmp_path / "run", observer=observer)
    assert {record.model for record in tuned(records)} == {1}
    assert [text for text in observer.warnings if "fitted" in text] == [
        "no model of the hyperparameters can be fitted: ValueError: of its own; "
        "drawing goes on as before"
    ]


def test_workers_stay_busy_while_a_fit_takes_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The phase ends with its evaluations all the same."""
    forever = threading.Event()
    begun = threading.Event()

    def fit(*_: object, **__: object) -> None:
        begun.set()
        forever.wait()

    monkeypatch.setattr(svm, "fit", fit)
    try:
        records, _ = tuned_run(tmp_path / "run", TunedWorkers(2, patient=False))
    finally:
        forever.set()
    assert len(tuned(records)) == 60
    assert {record.model for record in tuned(records)} == {1}
    assert begun.wait(30)


def test_the_model_learns_from_every_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is fitted to the vectors of the tuned trials, and None for those that failed."""
    seen: list[tuple[Any, Any]] = []
    fit = svm.fit

    def spy(points: Any, fitness: Any, **how: Any) -> Any:
        seen.append((points, fitness))
        return fit(points, fitness, **how)

    def some(work: Work, result: Result) -> Result:
        bad = work.template and work.trial % 4 == 0
        return (failing if bad else smooth)(work, result)

    monkeypatch.setattr(svm, "fit", spy)
    records, _ = tuned_run(
        tmp_path / "run", TunedWorkers(1, on_result=some), tune={"random": 0.9}
    )
    ((points, fitness),) = seen
    told = tuned(records)[: len(points)]
    draws = Draws(LENET)
    draws.learn(models_of(tmp_path / "run")[0].message(among=1))
    space = draws.space(1)
    assert fitness == [record.fitness for record in told]
    assert None in fitness
    for point, record in zip(points, told, strict=True):
        genome = draws.draw(1, trial_seed(1, record.trial))
        assert point == draws.vector(1, genome)
        assert unpack(space, genome) == from_text(space, record.genome)
