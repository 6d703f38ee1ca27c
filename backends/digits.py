"""The built-in data set: scikit-learn's digits, 1,797 images of 8 x 8 in 10 classes.

A fixed split, 1,437 to train and 360 to validate, with the classes in proportion:
figures of different runs can be compared. scikit-learn is needed once, to make the
folder.
"""

from pathlib import Path

import numpy as np

from ribosome.backends.data import INFO_FILE
from ribosome.backends.data_write import (
    ArrayImages,
    Normalisation,
    Part,
    stratified,
    write_data_folder,
)
from ribosome.genome.errors import DataError

VALIDATION = 360
SPLIT_SEED = 1


def make_digits(folder: Path) -> None:
    """Make the data folder of the digits; of two processes that do it, one wins."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise DataError(
            "the built-in digits are made once from scikit-learn, which is not "
            "installed; run `pip install scikit-learn`, or convert data of your own"
        ) from None
    digits = load_digits()
    images = ArrayImages(digits.images[:, None].astype(np.uint8))
    labels = digits.target.astype(np.int64)
    training, validation = stratified(labels, val=VALIDATION, seed=SPLIT_SEED)
    try:
        write_data_folder(
            folder,
            name="digits",
            train=Part(images, labels, training),
            val=Part(images, labels, validation),
            classes=10,
            source="scikit-learn's digits (UCI, Alpaydin and Kaynak 1998)",
            normalisation=Normalisation(scale=0.0625),
            class_names=tuple("0123456789"),
        )
    except OSError as error:
        if (folder / INFO_FILE).is_file():
            return  # another process was faster
        raise DataError(
            f"cannot make the digits in {folder}: {error.strerror}; set RIBOSOME_CACHE "
            "to a folder that you can write to"
        ) from None
