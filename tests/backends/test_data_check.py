"""Checks of labels and pixels: the first thing that is wrong, and where."""

import numpy as np
import pytest

from ribosome.backends.data_check import check_classes, check_labels, check_pixels
from ribosome.genome.errors import DataError


def test_labels_in_range_pass() -> None:
    """0 to classes - 1 is allowed, both ends included."""
    check_labels(np.array([0, 1, 2]), 3, "here")


@pytest.mark.parametrize("wrong", [-1, 3])
def test_a_label_out_of_range_is_named_with_its_image(wrong: int) -> None:
    """Below and above the range, the first such image is named, and their number."""
    labels = np.array([0, 1, wrong, 2, wrong])
    with pytest.raises(DataError) as caught:
        check_labels(labels, 3, "labels.npy")
    assert str(caught.value) == (
        f"labels.npy: label {wrong} of image 2 (and 1 more) is out of range: "
        "labels run from 0 to 2; correct the labels"
    )


def test_an_empty_class_is_named() -> None:
    """A class that no image shows is refused by number and name."""
    with pytest.raises(DataError, match=r"here: class 1 \(dog\) has no training image"):
        check_classes(np.array([0, 2]), 3, "here", names=("cat", "dog", "eel"))


def test_one_class_is_not_enough() -> None:
    """A classifier of one class has nothing to learn."""
    with pytest.raises(DataError, match="two or more"):
        check_classes(np.array([0, 0]), 1, "here")


@pytest.mark.parametrize(
    ("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")]
)
def test_a_pixel_that_is_no_number_is_found(value: float, shown: str) -> None:
    """NaN and both infinities are found, with the index of the first in the whole."""
    images = np.zeros((3, 2, 4, 5), dtype=np.float32)
    images[1, 0, 3, 2] = images[2, 1, 1, 1] = value
    with pytest.raises(DataError) as caught:
        check_pixels(images, "images.npy", rows=range(100, 103))
    assert str(caught.value).startswith(f"images.npy: pixel [101, 0, 3, 2] is {shown};")


def test_whole_numbers_are_never_nan() -> None:
    """Integer images pass, extremes included."""
    check_pixels(np.full((2, 1, 2, 2), 255, np.uint8), "here", rows=range(2))
