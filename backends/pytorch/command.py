"""How to start the trainer of a PyTorch trial."""

import sys

from ribosome.backends.base import Command

TRAINER = "ribosome.backends.pytorch.train"


def train_command(
    folder: str, *, gpu: int | None, seed: int, save: str = ""
) -> Command:
    """The trainer's command for a folder with ``network.py`` and ``trial.json`` in it.

    ``-P`` keeps the folder that it is started in off the import path, where a generated
    ``network.py`` or a user's ``random.py`` would be found first.
    """
    arguments = [folder, "--seed", str(seed)]
    if gpu is not None:
        arguments += ["--gpu", str(gpu)]
    if save:
        arguments += ["--save", save]
    return Command(
        argv=(sys.executable, "-P", "-m", TRAINER, *arguments), preload=TRAINER
    )
