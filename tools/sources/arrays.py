"""Arrays of any type and layout, brought into the form of a data folder."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ribosome.backends.data_write import ArrayImages
from ribosome.genome.errors import DataError
from ribosome.tools.sources.source import Labelled, Reading, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHANNEL_COUNTS = (1, 2, 3, 4)
"""What an axis may have to be taken for the channels of its own accord."""


def source_of(
    parts: Sequence[tuple["NDArray[Any]", "NDArray[Any]", str]], reading: Reading
) -> Source:
    """A source from (images, labels, where) of training and, perhaps, of validation."""
    images = [images_of(array, reading, where) for array, _, where in parts]
    labels, names = numbered([labels_of(array, where) for _, array, where in parts])
    for read, numbers, (_, _, where) in zip(images, labels, parts, strict=True):
        if len(read.array) != len(numbers):
            raise DataError(
                f"{where}: {len(read.array)} images but {len(numbers)} labels; "
                "give one label for each image"
            )
    made = [Labelled(*pair) for pair in zip(images, labels, strict=True)]
    return Source(made[0], made[1] if len(made) > 1 else None, names)


def images_of(array: "NDArray[Any]", reading: Reading, where: str) -> ArrayImages:
    """Images as (n, channels, height, width), uint8 if their values allow, or float32.

    Takes (n, h, w), (n, h, w, c), (n, c, h, w), and (n, h * w) where the size is given.
    """
    if array.dtype.kind not in "biuf":
        raise DataError(f"{where}: images of {array.dtype}; they must be numbers")
    if not array.size:
        raise DataError(f"{where}: no images (shape {array.shape}); add some")
    return ArrayImages(np.ascontiguousarray(_typed(shaped(array, reading, where))))


def labels_of(array: "NDArray[Any]", where: str) -> "NDArray[Any]":
    """Labels as one axis of integers or of strings; (n, 1) is taken for (n,)."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(
            f"{where}: labels of shape {array.shape}; "
            "they must be one class number for each image"
        )
    if array.dtype.kind in "fu":
        # Beyond 2^63 a cast would make another number of it.
        wrong = np.flatnonzero(
            (array != np.floor(array)) | (abs(array) >= np.float64(2**63))
        )
        if len(wrong):
            raise DataError(
                f"{where}: label {array[wrong[0]]} of image {int(wrong[0])} is no "
                "class number; labels must be whole numbers from 0"
            )
    if array.dtype.kind in "biuf":
        return array.astype(np.int64)
    if array.dtype.kind == "U":
        return array
    raise DataError(f"{where}: labels of {array.dtype}; they must be numbers or names")


def numbered(
    labels: Sequence["NDArray[Any]"],
) -> tuple[list["NDArray[np.int64]"], tuple[str, ...]]:
    """Labels of all parts as class numbers, and the classes' names if labels are names."""
    if all(part.dtype.kind == "i" for part in labels):
        return list(labels), ()
    names = sorted({str(name) for part in labels for name in part})
    number = {name: index for index, name in enumerate(names)}
    return [
        np.array([number[str(name)] for name in part], dtype=np.int64)
        for part in labels
    ], tuple(names)


def shaped(array: "NDArray[Any]", reading: Reading, where: str) -> "NDArray[Any]":
    """Images as (n, channels, height, width), of the type that they are of."""
    if array.ndim == 2:
        return _unflattened(array, reading, where)
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4:
        if _channels_last(array.shape, reading, where):
            array = array.transpose(0, 3, 1, 2)
    else:
        raise DataError(
            f"{where}: images of shape {array.shape}; they must be (n, height, width), "
            "(n, height, width, channels) or (n, channels, height, width)"
        )
    if reading.size is not None and array.shape[2:] != reading.size:
        height, width = array.shape[2:]
        raise DataError(
            f"{where}: images of {height}x{width}; arrays are not resized, "
            f"so leave --size out or make it {height}x{width}"
        )
    return array


def _unflattened(array: "NDArray[Any]", reading: Reading, where: str) -> "NDArray[Any]":
    pixels = array.shape[1]
    if reading.size is None:
        raise DataError(
            f"{where}: {len(array)} flat images of {pixels} pixels; "
            "say their shape with --size HEIGHTxWIDTH"
        )
    height, width = reading.size
    if pixels % (height * width):
        raise DataError(
            f"{where}: {pixels} pixels do not make images of {height}x{width}; "
            "correct --size"
        )
    return array.reshape(len(array), pixels // (height * width), height, width)


def _channels_last(shape: tuple[int, ...], reading: Reading, where: str) -> bool:
    if reading.layout != "auto":
        return reading.layout == "last"
    first, last = shape[1] in CHANNEL_COUNTS, shape[3] in CHANNEL_COUNTS
    if first == last:
        raise DataError(
            f"{where}: images of shape {shape}: which axis has the channels? "
            "Say it with --layout first or --layout last"
        )
    return last


def _typed(array: "NDArray[Any]") -> "NDArray[Any]":
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind in "iu" and array.min() >= 0 and array.max() <= 255:
        return array.astype(np.uint8, copy=False)
    with np.errstate(over="ignore"):  # infinite after it: the pixel check says where
        return array.astype(np.float32, copy=False)
