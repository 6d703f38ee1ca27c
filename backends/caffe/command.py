"""How to start the trainer of a Caffe trial: the supervisor, which starts caffe."""

import sys

from ribosome.backends.base import Command

TRAINER = "ribosome.backends.caffe.train"


def train_command(
    folder: str, *, gpu: int | None, seed: int, save: str = ""
) -> Command:
    """The trainer's command for a folder with the files that `train` names.

    ``-P`` keeps the folder that it is started in off the import path.
    """
    arguments = [folder, "--seed", str(seed)]
    if gpu is not None:
        arguments += ["--gpu", str(gpu)]
    if save:
        arguments += ["--save", save]
    return Command(
        argv=(sys.executable, "-P", "-m", TRAINER, *arguments), preload=TRAINER
    )
