"""Whole runs that lose their data on the way, with the real PyTorch trainer."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from run_kit import Recorder

from ribosome.backends.digits import make_digits
from ribosome.genome.errors import RunError
from ribosome.runner.config import (
    Config,
    RunnerConfig,
    SearchConfig,
    TaskConfig,
    TrainingConfig,
)
from ribosome.runner.observer import Interrupted, Status
from ribosome.runner.records import read_trials
from ribosome.runner.run import search

MANY = 400
"""Evaluations that are not over before a deed is done: half a minute's work and more."""


class Saboteur(Recorder):
    """An observer that does something once, after so many results.

    It ends the run at a warning with the text ``ends_run``.
    """

    def __init__(self, after: int, deed: Callable[[], object]) -> None:
        super().__init__()
        self._after = after
        self._deed = deed
        self.done = False
        self.ends_run = ""

    def update(self, status: Status) -> None:
        """Look whether it is time."""
        if status.evaluated >= self._after and not self.done:
            self.done = True
            self._deed()

    def warn(self, text: str) -> None:
        """End the run, as by Ctrl-C, once what is waited for was said."""
        super().warn(text)
        if self.ends_run and self.ends_run in text:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Digits, as a data folder of the user's."""
    pytest.importorskip("torch")
    make_digits(tmp_path / "digits")
    return tmp_path / "digits"


def config(source: Path, stage: str, evaluations: int) -> Config:
    """A short run of two workers."""
    return Config(
        task=TaskConfig(data=str(source)),
        training=TrainingConfig(max_iterations=3),
        search=SearchConfig(evaluations=evaluations, population=8),
        runner=RunnerConfig(workers=2, gpus="none", stage=stage),
    )


def test_a_run_without_its_data_stops_and_judges_nobody(
    tmp_path: Path, source: Path
) -> None:
    """The error names the folder; once it is back, the run goes on as if nothing was."""
    away = tmp_path / "away"
    saboteur = Saboteur(2, lambda: source.rename(away))
    run = str(tmp_path / "run")
    with pytest.raises(RunError, match=rf"no worker is left: .*{source}: was removed"):
        search(config(source, "none", MANY), run, resume=False, observer=saboteur)
    before = read_trials(run)
    assert {record.ending for record in before} <= {"ok", "diverged", None}
    away.rename(source)
    total = len(before) + 2
    search(config(source, "none", total), run, resume=True, observer=Recorder())
    records = read_trials(run)
    assert len(records) == total
    assert {record.ending for record in records} <= {"ok", "diverged"}


def test_a_run_whose_nodes_copy_is_cleaned_away_makes_another(
    tmp_path: Path, source: Path
) -> None:
    """No network is charged with it, and nothing is left at the end."""
    room = tmp_path / "room"
    room.mkdir()

    def clean() -> None:
        # A worker that finds its copy damaged removes the rest at the same time.
        for path in room.iterdir():
            shutil.rmtree(path, ignore_errors=True)

    saboteur = Saboteur(2, clean)
    saboteur.ends_run = "is done again"
    run = str(tmp_path / "run")
    with pytest.raises(Interrupted):
        search(config(source, str(room), MANY), run, resume=False, observer=saboteur)
    assert {r.ending for r in read_trials(run)} <= {"ok", "diverged", None}
    assert list(room.iterdir()) == []
