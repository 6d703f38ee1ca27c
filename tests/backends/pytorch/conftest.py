"""A small data folder, trials in it, and the trainer run in this process."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ribosome.backends.data import INFO_FILE
from ribosome.backends.pytorch.logfmt import parse_line
from ribosome.genome.solver import LearningRate, Solver
from ribosome.genome.task import Task, Training

CLASSES = 4
SIZE = 8
TRAIN = 90
VAL = 50

NETWORK = """
import torch
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3, padding=1)
        self.out = nn.Linear(6 * 16, 4)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.conv(x).relu(), 2)
        return self.out(x.flatten(1))
"""

SOLVER = Solver("SGD", 0.05, LearningRate(), 16, momentum=0.9, weight_decay=0.001)


@dataclass(frozen=True)
class Run:
    """What became of a run of the trainer."""

    code: int
    text: str
    lines: list[dict[str, str]] = field(default_factory=list)

    def of(self, event: str) -> list[dict[str, str]]:
        """The lines of one event."""
        return [line for line in self.lines if line.get("event") == event]

    @property
    def losses(self) -> list[float]:
        """The training losses, as they were logged."""
        shown = self.of("first_iteration") + self.of("iteration")
        return [float(line["loss"]) for line in shown]

    @property
    def failure(self) -> dict[str, str]:
        """The one line of a failure."""
        (line,) = self.of("failed")
        return line


def images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images (count, 2, 8, 8) of uint8: the class is the quarter that is bright."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    pixels = rng.integers(0, 100, (count, 2, SIZE, SIZE))
    for image, label in zip(pixels, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[:, row : row + 4, column : column + 4] += 100
    return pixels.astype(np.uint8), labels


def write_data(folder: Path, **arrays: np.ndarray) -> None:
    """A data folder of four arrays, given as train_images, train_labels and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    _, channels, height, width = arrays["train_images"].shape
    info = {
        "format": 1,
        "name": folder.name,
        "channels": channels,
        "height": height,
        "width": width,
        "classes": CLASSES,
        "train": len(arrays["train_labels"]),
        "val": len(arrays["val_labels"]),
        "source": "made up",
    }
    (folder / INFO_FILE).write_text(json.dumps(info))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of four classes that a small network learns in a few iterations."""
    folder = tmp_path_factory.mktemp("data") / "quarters"
    train_images, train_labels = images(TRAIN, seed=1)
    val_images, val_labels = images(VAL, seed=2)
    write_data(
        folder,
        train_images=train_images,
        train_labels=train_labels,
        val_images=val_images,
        val_labels=val_labels,
    )
    return folder


Make = Callable[..., Path]


@pytest.fixture
def make_trial(tmp_path: Path, data: Path) -> Make:
    """Writes a trial: ``network`` is its source, keywords change solver and training."""

    def make(
        network: str = NETWORK,
        *,
        solver: dict[str, Any] | None = None,
        data_folder: Path = data,
        classes: int = CLASSES,
        **training: Any,
    ) -> Path:
        folder = tmp_path / "trial"
        folder.mkdir(exist_ok=True)
        task = Task(
            "quarters",
            2,
            SIZE,
            SIZE,
            classes,
            mean=(90.0, 110.0),
            scale=1 / 64,
            data=str(data_folder),
            training=Training(**{"max_iterations": 30, "display": 10, **training}),
        )
        record = {
            "solver": asdict(replace(SOLVER, **(solver or {}))),
            "task": asdict(task),
        }
        (folder / "trial.json").write_text(json.dumps(record))
        (folder / "network.py").write_text(network)
        return folder

    return make


RunTrainer = Callable[..., Run]


@pytest.fixture
def run_trainer(capfd: pytest.CaptureFixture[str]) -> RunTrainer:
    """Runs the trainer on a folder in this process, with seed 1 unless told otherwise."""
    from ribosome.backends.pytorch.train import serve

    def run(folder: Path, *more: str, seed: int = 1) -> Run:
        argv: Sequence[str] = (str(folder), "--seed", str(seed), *more)
        capfd.readouterr()
        code = serve(argv)
        text = capfd.readouterr().out
        return Run(
            code,
            text,
            [values for values in map(parse_line, text.splitlines()) if values],
        )

    return run
