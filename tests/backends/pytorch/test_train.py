"""The trainer: against a plain torch loop, and its log, its weights, its options."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from ribosome.backends.pytorch.command import train_command
from ribosome.backends.pytorch.trial import load_network
from tests.backends.pytorch.conftest import SOLVER, VAL, Make, RunTrainer

DROPPING = """
import torch
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(128, 4)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        if self.training:
            x = x * (1 + 0.1 * torch.randn_like(x))
        return self.out(self.drop(x.flatten(1)))
"""

MULTIPLIED = (
    DROPPING
    + """
    def multipliers(self):
        return {"out.weight": (0.0, 1.0), "out.bias": (2.0, 0.0)}
"""
)


def arrays(data: Path, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images as the network sees them, and labels, by numpy alone."""
    stored = np.load(data / f"{part}_images.npy").astype(np.float32)
    seen = (stored - np.float32([90, 110]).reshape(1, 2, 1, 1)) * np.float32(1 / 64)
    return torch.from_numpy(seen), torch.from_numpy(
        np.load(data / f"{part}_labels.npy")
    )


def plain_losses(network: nn.Module, data: Path, iterations: int) -> list[float]:
    """A loop as anybody would write it: torch.optim agrees while the rate is fixed."""
    images, labels = arrays(data, "train")
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.05, momentum=0.9, weight_decay=0.001
    )
    losses = []
    for iteration in range(iterations):
        rows = (iteration * SOLVER.batch_size + torch.arange(16)) % len(labels)
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(images[rows]), labels[rows])
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_losses_are_those_of_a_plain_torch_loop(
    make_trial: Make, run_trainer: RunTrainer, data: Path
) -> None:
    """The same weights, the same batches and the same updates, over 50 iterations."""
    folder = make_trial(max_iterations=50, display=1)
    run = run_trainer(folder, seed=5)
    torch.manual_seed(5)
    expected = plain_losses(load_network(folder), data, 50)
    assert run.losses == pytest.approx(expected, abs=1e-6)
    assert expected[-1] < expected[0] / 10


def test_a_run_is_logged_from_its_start_to_its_end(
    make_trial: Make, run_trainer: RunTrainer
) -> None:
    """Every event in its order, with the numbers that a reader needs."""
    run = run_trainer(make_trial())
    assert run.code == 0
    assert [line["event"] for line in run.lines] == [
        "start",
        "first_iteration",
        "iteration",
        "iteration",
        "speed",
        "test",
        "done",
    ]
    (start,) = run.of("start")
    assert start["parameters"] == str(6 * 2 * 9 + 6 + 96 * 4 + 4)
    assert (start["device"], start["precision"]) == ("cpu", "float32")
    assert run.of("iteration")[1]["iteration"] == "20"
    (speed,) = run.of("speed")
    assert speed["iterations"] == "27"
    assert float(speed["batches_per_s"]) == pytest.approx(
        27 / float(speed["seconds"]), rel=1e-6
    )


def test_accuracy_is_that_of_the_saved_weights(
    make_trial: Make, run_trainer: RunTrainer, data: Path, tmp_path: Path
) -> None:
    """Torch alone loads the weights, and they score what the log says."""
    folder = make_trial()
    weights = tmp_path / "w.pt"
    run = run_trainer(folder, "--save", str(weights))
    network = load_network(folder)
    network.load_state_dict(torch.load(weights, weights_only=True))
    images, labels = arrays(data, "val")
    with torch.no_grad():
        right = (network(images).argmax(1) == labels).sum().item()
    assert float(run.of("test")[0]["accuracy"]) == pytest.approx(right / VAL)
    assert right / VAL > 0.9
    assert run.of("saved") == [{"event": "saved", "path": str(weights)}]


def test_weights_are_written_whole_or_not_at_all(
    make_trial: Make, run_trainer: RunTrainer, tmp_path: Path
) -> None:
    """A file that cannot be written leaves none behind, and the run has failed."""
    place = tmp_path / "place"
    (place / "w.pt" / "in the way").mkdir(parents=True)
    run = run_trainer(make_trial(), "--save", str(place / "w.pt"))
    assert run.code == 1
    assert run.failure["ending"] == "crashed"
    assert [path.name for path in place.iterdir()] == ["w.pt"]


def test_a_full_disk_is_told_of(
    make_trial: Make, run_trainer: RunTrainer, tmp_path: Path
) -> None:
    """The failure of a run whose weights find no room has the system's word for it."""
    weights = tmp_path / "w.pt"
    # What stands in for the partial file: each write to it finds the disk full.
    (tmp_path / f"w.pt.{os.getpid()}").symlink_to("/dev/full")
    run = run_trainer(make_trial(), "--save", str(weights))
    assert run.failure["ending"] == "crashed"
    assert f"No space left on device: '{weights}'" in run.failure["message"]


def test_a_seed_decides_everything_but_the_times(
    make_trial: Make, run_trainer: RunTrainer
) -> None:
    """Weights, dropout and jitter; another seed gives another run."""
    folder = make_trial(DROPPING, display=1)
    first, second = run_trainer(folder, seed=3), run_trainer(folder, seed=3)
    other = run_trainer(folder, seed=4)

    def timeless(lines: list[dict[str, str]]) -> list[dict[str, str]]:
        return [line for line in lines if line["event"] != "speed"]

    assert timeless(first.lines) == timeless(second.lines)
    assert first.losses != other.losses
    assert len(first.losses) == 30


def test_multipliers_are_the_networks(
    make_trial: Make, run_trainer: RunTrainer, tmp_path: Path
) -> None:
    """What has lr_mult 0 stays as the seed made it, the rest learns."""
    folder = make_trial(MULTIPLIED)
    run_trainer(folder, "--save", str(tmp_path / "w.pt"), seed=6)
    trained = torch.load(tmp_path / "w.pt", weights_only=True)
    torch.manual_seed(6)
    fresh = load_network(folder).state_dict()
    assert torch.equal(trained["out.weight"], fresh["out.weight"])
    assert not torch.equal(trained["out.bias"], fresh["out.bias"])


def test_max_iterations_replaces_the_tasks(
    make_trial: Make, run_trainer: RunTrainer
) -> None:
    """Of the schedule's length too."""
    poly = {"policy": "poly", "gamma": 0.0, "power": 1.0, "fraction": 0.0}
    folder = make_trial(display=3)
    trial = json.loads((folder / "trial.json").read_text())
    trial["solver"]["learning_rate"] = poly
    (folder / "trial.json").write_text(json.dumps(trial))
    run = run_trainer(folder, "--max-iterations", "4")
    assert run.of("test")[0]["iteration"] == "4"
    assert float(run.of("iteration")[0]["lr"]) == pytest.approx(0.05 / 4)


def test_time_ends_training(make_trial: Make, run_trainer: RunTrainer) -> None:
    """A run without a number of iterations is judged once its time is over."""
    folder = make_trial(max_iterations=0, time_limit_s=0.2, display=10**9)
    run = run_trainer(folder)
    assert run.code == 0
    assert int(run.of("test")[0]["iteration"]) > 1


def test_a_cold_trainer_heeds_no_file_beside_it(
    make_trial: Make, tmp_path: Path, run_trainer: RunTrainer
) -> None:
    """As a program of its own it does what it does in this process."""
    folder = make_trial(max_iterations=3, display=1)
    for name in ("random.py", "network.py"):
        (tmp_path / name).write_text("raise SystemExit('wrong file')\n")
    command = train_command(str(folder), gpu=None, seed=1)
    cold = subprocess.run(
        command.argv, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    warm = run_trainer(folder)
    assert cold.stdout.splitlines()[:4] == warm.text.splitlines()[:4]
    assert cold.stderr == ""


FORKING = """
import os, sys, threading
from ribosome.backends.pytorch.train import serve

threads = len(os.listdir("/proc/self/task"))
known = set(sys.modules)
child = os.fork()
if child == 0:
    code = serve(sys.argv[1:])
    new = ",".join(sorted(set(sys.modules) - known))
    print(f"code={code} new={new} threads={threads}", flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def test_a_forked_trainer_imports_nothing_more(make_trial: Make) -> None:
    """All that a trial needs was imported before the fork, by a single thread."""
    folder = make_trial(max_iterations=3)
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", FORKING, str(folder), "--seed", "1"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stdout.splitlines()[-1] == "code=0 new=network threads=1"
