"""What is done to a network on the side: it changes nothing, and finds what cannot learn."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from ribosome.backends.pytorch.parser import LogParser
from tests.backends.pytorch.conftest import Make, RunTrainer

RESTLESS = """
import torch
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.5)
        self.frozen = nn.Dropout(0.5).eval()
        self.out = nn.Linear(6 * 64, 4)

    def forward(self, x):
        x = x + 0.01 * torch.randn_like(x)  # in evaluation as well
        x = self.drop(self.norm(self.conv(x)).relu())
        return self.out(self.frozen(x).flatten(1))
"""

FORWARD = """
import torch
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3, padding=1)
        self.out = nn.Linear(6 * 64, 4)

    def forward(self, x):
        {forward}
"""


def outcome(run_trainer: RunTrainer, folder: Path, save: Path) -> tuple[Any, ...]:
    """The losses, the last validation and the weights of a run."""
    run = run_trainer(folder, "--save", str(save), seed=7)
    assert run.code == 0, run.text
    return run, run.losses, run.of("test")[-1], torch.load(save, weights_only=True)


@pytest.mark.parametrize("extra", [{"checks": 4}, {"check_first": True}])
def test_training_is_what_it_would_be_without(
    make_trial: Make, run_trainer: RunTrainer, tmp_path: Path, extra: dict[str, Any]
) -> None:
    """Dropout, batch normalisation and noise go on as if nothing had been looked at."""
    runs = []
    for training in ({}, extra):
        folder = make_trial(RESTLESS, max_iterations=30, display=1, **training)
        runs.append(outcome(run_trainer, folder, tmp_path / f"{len(runs)}.pt"))
    (_, losses, test, weights), (_, other_losses, other_test, other_weights) = runs
    assert losses == other_losses
    assert test == other_test
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)


def test_checks_are_spaced_evenly_before_the_last(
    make_trial: Make, run_trainer: RunTrainer
) -> None:
    """Three checks in 30 iterations: every 8, and the last validation at the end."""
    run = run_trainer(make_trial(max_iterations=30, checks=3))
    assert [line["iteration"] for line in run.of("test")] == ["8", "16", "24", "30"]
    assert len(run.of("speed")) == 4


@pytest.mark.parametrize(
    ("forward", "why"),
    [
        (
            "return self.out((self.conv(x) * 0).relu().flatten(1))",
            "scores are the same",
        ),
        ("return self.out(self.conv(x).flatten(1).detach())", "no gradient"),
        ("return self.out(self.conv(x).flatten(1)) * float('nan')", "loss .* is nan"),
        (
            "x = self.out(self.conv(x).flatten(1)); return (x - x.detach()).abs().sqrt() + x",
            "gradient .* not finite",
        ),
    ],
)
def test_what_cannot_learn_is_rejected(
    make_trial: Make, run_trainer: RunTrainer, forward: str, why: str
) -> None:
    """Before the first iteration, with what is wrong, and told apart from other failures."""
    network = FORWARD.format(forward=forward)
    run = run_trainer(make_trial(network, max_iterations=5, check_first=True))
    assert run.code == 4
    assert not run.of("first_iteration")
    events = [
        event for line in run.text.splitlines() for event in LogParser().feed(line)
    ]
    assert events[-1].ending == "invalid"
    assert events[-1].rejected
    assert re.match(f"rejected before training: .*{why}", events[-1].message)
    assert run_trainer(make_trial(network, max_iterations=5)).of("first_iteration")
