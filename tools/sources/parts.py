"""Which of several files or folders is the training set, and which validates."""

from collections.abc import Sequence
from pathlib import Path

from ribosome.genome.errors import DataError

VALIDATION = ("val", "valid", "validation", "test")
"""What a validation set may be named, the best one first."""


def training_and_validation(paths: Sequence[Path], where: Path) -> list[Path]:
    """The one with "train" in its name, then the one that validates, if there is one.

    A path that is alone is the training set, whatever its name. Raises DataError where
    ``where`` leaves a choice.
    """
    training = [path for path in paths if "train" in path.name.lower()]
    if len(paths) == 1:
        training = list(paths)
    if len(training) != 1:
        names = ", ".join(path.name for path in training or paths)
        raise DataError(
            f"{where}: {len(training)} training sets among {names}; have one with train "
            "in its name and one with val, or give the path of one"
        )
    others = [path for path in paths if path not in training]
    for word in VALIDATION:
        named = [path for path in others if word in path.name.lower()]
        if len(named) > 1:
            names = ", ".join(path.name for path in named)
            raise DataError(
                f"{where}: more than one validation set: {names}; leave one of them there"
            )
        if named:
            return [*training, *named]
    return training


def with_sibling(path: Path) -> list[Path]:
    """The path, and the one beside it that is named alike but for "train"."""
    if "train" in path.name:
        for word in VALIDATION:
            sibling = path.with_name(path.name.replace("train", word))
            if sibling.exists():
                return [path, sibling]
    return [path]
