"""A scratch disk that is full: trials fail and say why, and go on once there is room."""

import select
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import misbehaving_backend
import msgspec
import numpy as np
import pytest
from staging_kit import make_source
from trial_kit import PATIENCE_S

from ribosome.backends.data import DataInfo
from ribosome.genome.codec import pack
from ribosome.genome.space_file import load_space
from ribosome.runner import trial_evaluator
from ribosome.runner.config import Config, RunnerConfig
from ribosome.runner.messages import Result, Setup, Work
from ribosome.runner.trial_evaluator import TrialEvaluator
from ribosome.search.variation import draw

SPACE = load_space("menndl")
GENOME = pack(SPACE, draw(SPACE.groups, np.random.default_rng(1)))
DATA = DataInfo("", "squares", 1, 12, 12, 3, train=30, val=30)
SIZE = 256 << 10


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A run folder on a disk of its own, of 256 KiB; needs root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can only be mounted by root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def evaluator(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TrialEvaluator]:
    """An evaluator whose trials are on that disk."""
    for name, value in misbehaving_backend.environment(disk, disk, "ok").items():
        monkeypatch.setenv(name, value)
    backend = misbehaving_backend.Misbehaving()
    monkeypatch.setattr(trial_evaluator, "backend", lambda _: backend)
    monkeypatch.setattr(trial_evaluator, "find_data", str)
    data = replace(DATA, folder=str(make_source(tmp_path / "data")))
    monkeypatch.setattr(trial_evaluator, "read_info", lambda _: data)
    config = Config(runner=RunnerConfig(gpus="none"))
    evaluator = TrialEvaluator(Setup(msgspec.json.encode(config), str(disk), 1))
    yield evaluator
    evaluator.close()


def fill(disk: Path) -> Path:
    """A file that leaves no room."""
    stuff = disk / "stuff"
    with pytest.raises(OSError, match="No space left"):
        stuff.write_bytes(bytes(2 * SIZE))
    return stuff


def run(evaluator: TrialEvaluator, trial: int) -> Result:
    """The result of a trial."""
    evaluator.start(Work(trial, GENOME, 1))
    deadline = time.monotonic() + PATIENCE_S
    while (result := evaluator.poll()) is None:
        assert time.monotonic() < deadline, "the trial does not end"
        select.select([evaluator.fileno()], [], [], 0.1)
    return result


def test_a_full_disk_fails_trials_until_there_is_room(
    evaluator: TrialEvaluator, disk: Path
) -> None:
    """Where the files cannot be written a trial has crashed; the next one may be ok."""
    stuff = fill(disk)
    result = run(evaluator, 1)
    assert result.ending == "crashed"
    assert "No space left on device" in result.message
    stuff.unlink()
    assert run(evaluator, 2).ending == "ok"


def test_a_disk_that_fills_up_ends_a_trial(
    evaluator: TrialEvaluator, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that finds no more room ends its trial, and is told of."""
    monkeypatch.setenv(misbehaving_backend.STORM, "runs_away")
    result = run(evaluator, 1)
    assert result.ending == "crashed"
    assert "its log cannot be written: No space left on device" in result.message
    (disk / "trials" / "1" / "log.txt").unlink()
    monkeypatch.setenv(misbehaving_backend.STORM, "ok")
    assert run(evaluator, 2).ending == "ok"


def test_what_a_trainer_wrote_makes_room_again(
    evaluator: TrialEvaluator, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trainer that fills the disk and fails leaves it as it was."""
    monkeypatch.setenv(misbehaving_backend.STORM, "fills_its_folder")
    assert run(evaluator, 1).ending == "crashed"
    monkeypatch.setenv(misbehaving_backend.STORM, "ok")
    assert run(evaluator, 2).ending == "ok"
    assert len(list((disk / "trials" / "1").rglob("*"))) == 3
