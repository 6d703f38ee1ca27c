"""Networks and folders that fail, and what the trainer says of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from ribosome.backends.pytorch.endings import EXIT_CODES, INTERRUPTED, USAGE
from ribosome.backends.pytorch.parser import LogParser
from tests.backends.pytorch.conftest import (
    NETWORK,
    Make,
    Run,
    RunTrainer,
    images,
    write_data,
)

FORWARD = """
import torch
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(128, 4)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        scores = self.out(x.flatten(1))
        {body}
        return scores
"""

WRONG = "scores = scores * 0 + torch.tensor([1e4, 0.0, 0.0, 0.0])"


def forward(body: str) -> str:
    """A network with a line of its own in its forward pass."""
    return FORWARD.format(body=body)


def fails(run: Run, ending: str, *words: str) -> None:
    """Exit code and last line say the same, and the line has these words."""
    assert run.code == EXIT_CODES[ending]  # type: ignore[index]
    assert run.lines[-1] == run.failure
    assert run.failure["ending"] == ending
    for word in words:
        assert word in run.failure["message"]
    assert not run.of("test")
    assert not run.of("done")


@pytest.mark.parametrize(
    ("network", "word"),
    [
        (forward("scores = scores * float('nan')"), "NaN at iteration 0"),
        (
            forward("scores = scores * (float('nan') if self.calls == 8 else 1)"),
            "NaN at iteration 7",
        ),
        (
            forward("scores = scores * (1 if self.training else float('nan'))"),
            "an output is not finite",
        ),
        (
            forward("scores = scores + (0 if self.training else float('inf'))"),
            "an output is not finite",
        ),
        (
            forward("self.register_buffer('seen', torch.tensor(float('inf')))"),
            "a weight is not finite",
        ),
    ],
)
def test_a_network_that_is_not_finite_has_diverged(
    network: str, word: str, make_trial: Make, run_trainer: RunTrainer
) -> None:
    """Whatever its accuracy: Caffe prints 1 for one whose outputs are NaN."""
    fails(run_trainer(make_trial(network)), "diverged", word)


def test_a_rate_that_is_too_large_diverges(
    make_trial: Make, run_trainer: RunTrainer
) -> None:
    """A real network whose weights blow up."""
    folder = make_trial(NETWORK, solver={"base_lr": 1e20})
    fails(run_trainer(folder), "diverged")


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (WRONG, "stays at 87.3365"),
        (f"if not self.training: {WRONG}", "validation loss"),
    ],
)
def test_a_loss_at_caffes_cap_has_diverged(
    body: str, word: str, make_trial: Make, run_trainer: RunTrainer, tmp_path: Path
) -> None:
    """Finite, and as wrong as can be: every image is given to a class without any."""
    pixels, labels = images(40, seed=3)
    labels = np.maximum(labels, 1)
    arrays = {"train_images": pixels, "train_labels": labels}
    write_data(tmp_path / "data", val_images=pixels, val_labels=labels, **arrays)
    folder = make_trial(forward(body), data_folder=tmp_path / "data")
    fails(run_trainer(folder), "diverged", word)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("class Network(:\n", ["network.py", "SyntaxError"]),
        ("import no_such_module\n", ["ModuleNotFoundError", "no_such_module"]),
        ("x = 1\n", ["Network"]),
        ("class Network:\n    pass\n", ["no torch.nn.Module"]),
        (NETWORK.replace("6 * 16", "6 * 15"), ["network.py line 14", "shapes"]),
        (
            NETWORK.replace("nn.Linear(6 * 16, 4)", "nn.Linear(6 * 16, 3)"),
            ["(16, 3)", "one per class"],
        ),
        (forward("scores = None"), ["NoneType"]),
        (forward("scores = scores.detach()"), ["grad"]),
        (forward("raise SystemError('odd')"), ["line 15", "SystemError: odd"]),
        (
            forward("if not self.training: raise ValueError('only in tests')"),
            ["ValueError: only in tests"],
        ),
        (
            NETWORK
            + "\n    def multipliers(self):\n        return {'cow': (1.0, 1.0)}\n",
            ["'cow'", "no parameter"],
        ),
    ],
)
def test_a_network_that_cannot_be_built_or_run_is_invalid(
    network: str, words: list[str], make_trial: Make, run_trainer: RunTrainer
) -> None:
    """The message says where, if a line of network.py is to blame."""
    fails(run_trainer(make_trial(network)), "invalid", *words)


def test_a_network_that_needs_too_much_memory_is_out_of_memory(
    make_trial: Make, run_trainer: RunTrainer
) -> None:
    """An allocation that torch is refused, while it is built or while it runs."""
    body = "scores = scores + torch.empty(1 << 50).sum()"
    fails(run_trainer(make_trial(forward(body))), "out_of_memory")
    network = NETWORK.replace("6 * 16, 4", "1 << 48, 4")
    fails(run_trainer(make_trial(network)), "out_of_memory")


def test_an_error_in_the_middle_is_a_crash(
    make_trial: Make, run_trainer: RunTrainer
) -> None:
    """With the traceback, and the failing line of network.py in it, in the log."""
    body = "if self.calls == 9: raise ValueError('late')"
    run = run_trainer(make_trial(forward(body)))
    fails(run, "crashed", "network.py line 15: ValueError: late")
    assert f"        {body}" not in run.text
    assert body in run.text
    assert "Traceback" in run.text


def test_the_parser_learns_of_a_failure(
    make_trial: Make, run_trainer: RunTrainer
) -> None:
    """From a log with a traceback in it."""
    run = run_trainer(make_trial("raise RuntimeError('a=\"b c\"')\n"))
    parser = LogParser()
    events = [event for line in run.text.splitlines() for event in parser.feed(line)]
    assert [type(event).__name__ for event in events] == ["Failed"]
    assert 'RuntimeError: a="b c"' in run.failure["message"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"solver": {"batch_size": 0}}, "batch_size is 0"),
        ({"solver": {"type": "Lion"}}, "Lion"),
        ({"max_iterations": 0}, "no end"),
        ({"max_iterations": -1, "time_limit_s": 1.0}, "max_iterations is -1"),
        ({"precision": "half"}, "auto, single or mixed"),
        ({"data_folder": Path("no/such/folder")}, "no/such/folder"),
        ({"classes": 3}, "labels from 0 to 3"),
    ],
)
def test_a_trial_that_makes_no_sense_is_invalid(
    changes: dict[str, object], word: str, make_trial: Make, run_trainer: RunTrainer
) -> None:
    """With the field that is wrong."""
    fails(run_trainer(make_trial(**changes)), "invalid", word)


@pytest.mark.parametrize("text", ["", "{}", json.dumps({"solver": 3}), "\x00"])
def test_a_damaged_trial_file_is_invalid(
    text: str, make_trial: Make, run_trainer: RunTrainer
) -> None:
    """With its path, and what to do."""
    folder = make_trial()
    (folder / "trial.json").write_text(text)
    fails(
        run_trainer(folder),
        "invalid",
        str(folder / "trial.json"),
        "emit the trial again",
    )


@pytest.mark.parametrize("name", ["trial.json", "network.py"])
def test_a_missing_file_is_invalid(
    name: str, make_trial: Make, run_trainer: RunTrainer
) -> None:
    """With its name."""
    folder = make_trial()
    (folder / name).unlink()
    fails(run_trainer(folder), "invalid", name)


@pytest.mark.parametrize(
    "more", [["--max-iterations", "0"], ["--gpu", "99"], ["--seed", "x"], ["--what"]]
)
def test_wrong_arguments_are_bad_usage(
    more: list[str], make_trial: Make, run_trainer: RunTrainer
) -> None:
    """They say nothing of the network."""
    run = run_trainer(make_trial(), *more)
    assert run.code == USAGE
    assert not run.of("start")


def test_a_folder_that_is_not_there_is_bad_usage(
    tmp_path: Path, run_trainer: RunTrainer
) -> None:
    """As any argument that makes no sense."""
    assert run_trainer(tmp_path / "nowhere").code == USAGE


def test_an_interrupt_is_no_failure_of_the_network(
    make_trial: Make, run_trainer: RunTrainer
) -> None:
    """Control-C, wherever it strikes, ends the trainer with the shell's code for it."""
    run = run_trainer(make_trial(forward("raise KeyboardInterrupt")))
    assert run.code == INTERRUPTED
    assert not run.of("failed")
