"""Checks of what a data folder holds, before anything is trained on it.

Caffe reads labels that are out of range as memory that is not its own and prints a
plausible accuracy; a NaN pixel makes every network diverge. Both must be found here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ribosome.backends.data import open_arrays, read_info
from ribosome.genome.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 4096
"""Images that are looked at together: memory stays small for data of any size."""


def check_data(folder: str) -> None:
    """Read all of a data folder; raises DataError for the first thing that is wrong."""
    info = read_info(folder)
    arrays = open_arrays(folder)
    check_labels(arrays.train_labels, info.classes, f"{folder}/train_labels.npy")
    check_labels(arrays.val_labels, info.classes, f"{folder}/val_labels.npy")
    check_classes(arrays.train_labels, info.classes, f"{folder}/train_labels.npy")
    for part, images in (("train", arrays.train_images), ("val", arrays.val_images)):
        for first in range(0, len(images), BLOCK):
            block = images[first : first + BLOCK]
            check_pixels(
                block,
                f"{folder}/{part}_images.npy",
                rows=range(first, first + len(block)),
            )


def check_labels(labels: "NDArray[np.int64]", classes: int, where: str) -> None:
    """Every label lies in 0 ... classes - 1."""
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        row = int(wrong[0])
        others = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise DataError(
            f"{where}: label {int(labels[row])} of image {row}{others} is out of "
            f"range: labels run from 0 to {classes - 1}; correct the labels"
        )


def check_classes(
    labels: "NDArray[np.int64]",
    classes: int,
    where: str,
    *,
    names: tuple[str, ...] = (),
) -> None:
    """There are two classes or more, and every one of them has an image."""
    if classes < 2:
        raise DataError(f"{where}: {classes} class; a classifier needs two or more")
    empty = np.flatnonzero(np.bincount(labels, minlength=classes) == 0)
    if len(empty):
        first = int(empty[0])
        name = f" ({names[first]})" if names else ""
        others = f" (and {len(empty) - 1} more)" if len(empty) > 1 else ""
        raise DataError(
            f"{where}: class {first}{name}{others} has no training image; "
            "add images, or number the classes from 0 without a gap"
        )


def check_pixels(
    images: "NDArray[np.generic]", where: str, *, rows: Sequence[int]
) -> None:
    """No pixel is NaN or infinite; ``rows`` are the numbers of the images given."""
    if images.dtype.kind != "f":
        return
    finite = np.isfinite(images)
    if not finite.all():
        index = np.unravel_index(int(np.argmin(finite)), images.shape)
        row, *pixel = (int(i) for i in index)
        place = ", ".join(str(i) for i in (rows[row], *pixel))
        raise DataError(
            f"{where}: pixel [{place}] is {images[index]}; "
            "replace NaN and infinite pixels before training"
        )
