"""Small data folders for the tests of what Caffe reads."""

from pathlib import Path

import numpy as np

from ribosome.backends.data_write import (
    ArrayImages,
    Normalisation,
    Part,
    write_data_folder,
)

MEAN, SCALE = (3.25, 100.5), 0.0123


def make_data(folder: Path, *, dtype: str = "uint8", count: int = 7) -> Path:
    """Write a data folder of two-channel images in three classes, five to validate."""
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count + 5, 2, 3, 4)).astype(dtype)
    if dtype == "float32":
        images -= np.float32(77.7)
    labels = np.arange(count + 5) % 3
    rows = rng.permutation(count).tolist()
    write_data_folder(
        folder,
        name="small",
        train=Part(ArrayImages(images), labels, rows),
        val=Part(ArrayImages(images), labels, range(count, count + 5)),
        classes=3,
        source="here",
        normalisation=Normalisation(MEAN, SCALE),
        class_names=("a", "b", "c"),
    )
    return folder
