"""The command that starts the trainer."""

import sys

from ribosome.backends.pytorch.command import TRAINER, train_command


def test_the_command_is_a_module_run_off_the_folder() -> None:
    """On the CPU, with nothing to save."""
    command = train_command("/runs/1", gpu=None, seed=7)
    assert command.argv == (
        sys.executable,
        "-P",
        "-m",
        TRAINER,
        "/runs/1",
        "--seed",
        "7",
    )
    assert command.preload == TRAINER


def test_gpu_and_weights_are_passed_on() -> None:
    """GPU 0 is a GPU, not none."""
    command = train_command("x", gpu=0, seed=7, save="w.pt")
    assert command.argv[4:] == ("x", "--seed", "7", "--gpu", "0", "--save", "w.pt")
