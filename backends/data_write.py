"""Writes data folders: shuffled, checked, and all at once or not at all."""

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ribosome.backends.data import FORMAT, INFO_FILE
from ribosome.backends.data_check import (
    BLOCK,
    check_classes,
    check_labels,
    check_pixels,
)
from ribosome.genome.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Images(Protocol):
    """Images that can be read in any order, a block at a time."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        ...

    @property
    def dtype(self) -> "np.dtype[Any]":
        """uint8 or float32."""
        ...

    def read(self, rows: Sequence[int]) -> "NDArray[Any]":
        """The images of those rows, shape (len(rows), channels, height, width)."""
        ...


@dataclass(frozen=True)
class ArrayImages:
    """Images that are in memory: (n, channels, height, width), uint8 or float32."""

    array: "NDArray[Any]"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        _, channels, height, width = self.array.shape
        return (channels, height, width)

    @property
    def dtype(self) -> "np.dtype[Any]":
        """uint8 or float32."""
        return self.array.dtype

    def read(self, rows: Sequence[int]) -> "NDArray[Any]":
        """The images of those rows."""
        return self.array[np.asarray(rows, dtype=np.int64)]


@dataclass(frozen=True)
class Part:
    """One part of a data set: images, a label for each, and the rows in order."""

    images: Images
    labels: "NDArray[np.int64]"
    rows: Sequence[int]


@dataclass(frozen=True)
class Normalisation:
    """The trainer's ``(pixel - mean) * scale``: a mean per channel, or none."""

    mean: tuple[float, ...] = ()
    scale: float = 1.0


def shuffled(count: int, *, seed: int = 1) -> list[int]:
    """The numbers below ``count``, in an order that is the same for ever.

    Sorted by a hash, because the generators of numpy and Python may change with a
    version.
    """

    def key(index: int) -> bytes:
        return hashlib.sha256(f"{seed} {index}".encode()).digest()

    return sorted(range(count), key=key)


def stratified(
    labels: "NDArray[np.int64]", *, val: int, seed: int = 1, where: str = "data"
) -> tuple[list[int], list[int]]:
    """Shuffled rows: to train on, and about ``val`` to validate on.

    The classes are in proportion. Every class gets at least one image in
    each part. Raises DataError, which names ``where``, if that cannot be.
    """
    counts = np.bincount(labels)
    few = np.flatnonzero((counts > 0) & (counts < 2))
    if len(few):
        raise DataError(
            f"{where}: class {int(few[0])} has 1 image: too few to train and validate; "
            "add images, or give validation images of their own"
        )
    shares = counts * (val / len(labels))
    quota = np.floor(shares).astype(np.int64)
    by_remainder = np.argsort(quota - shares, kind="stable")
    quota[by_remainder[: max(0, val - int(quota.sum()))]] += 1
    quota = np.clip(quota, 1, np.maximum(counts - 1, 1))

    training: list[int] = []
    validation: list[int] = []
    for row in shuffled(len(labels), seed=seed):
        label = labels[row]
        if quota[label] > 0:
            quota[label] -= 1
            validation.append(row)
        else:
            training.append(row)
    return training, validation


def write_data_folder(
    folder: Path,
    *,
    name: str,
    train: Part,
    val: Part,
    classes: int,
    source: str,
    normalisation: Normalisation | None = None,
    class_names: tuple[str, ...] = (),
    advance: Callable[[int], object] = lambda _: None,
) -> None:
    """Write a data folder, which appears at once and whole, or not at all.

    Without a ``normalisation`` the training images get mean 0 per channel and a
    standard deviation of 1. ``advance`` is told of every block of images written.
    Raises DataError for images or labels that cannot be trained on; the folder must be
    new or empty.
    """
    for part, what in ((train, "training"), (val, "validation")):
        if not len(part.rows):
            raise DataError(f"{source}: no {what} images; add some")
        check_labels(part.labels, classes, f"{source}: {what} labels")
    check_classes(
        train.labels[np.asarray(train.rows)], classes, source, names=class_names
    )
    if train.images.shape != val.images.shape:
        raise DataError(
            f"{source}: training images are {train.images.shape}, validation images "
            f"{val.images.shape} (channels, height, width); they must be of one shape"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    # In the same parent, so that the rename at the end is atomic.
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        moments = _write_part(unfinished, "train", train, source, advance)
        _write_part(unfinished, "val", val, source, advance)
        if normalisation is None:
            normalisation = moments.normalisation(source)
        channels, height, width = train.images.shape
        info = {
            "format": FORMAT,
            "name": name,
            "channels": channels,
            "height": height,
            "width": width,
            "classes": classes,
            "mean": list(normalisation.mean),
            "scale": normalisation.scale,
            "train": len(train.rows),
            "val": len(val.rows),
            "source": source,
            "class_names": list(class_names),
        }
        text = json.dumps(info, indent=1, ensure_ascii=False) + "\n"
        (unfinished / INFO_FILE).write_text(text, encoding="utf-8")
        unfinished.chmod(0o777 & ~_umask())
        os.rename(unfinished, folder)  # noqa: PTH104 - says that a rename must be atomic
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


class _Moments:
    """Sums over the training images, for their mean and standard deviation.

    They are of the distances to the first pixel: those of equal pixels are exactly 0, and
    an offset of all pixels costs no digits.
    """

    def __init__(self, channels: int) -> None:
        self._count = 0
        self._first = np.zeros(channels)
        self._sum = np.zeros(channels)
        self._squares = np.zeros(channels)

    def add(self, block: "NDArray[Any]") -> None:
        values = block.astype(np.float64)
        if not self._count:
            self._first = values[0, :, 0, 0]
        values = values - self._first[:, None, None]
        self._count += values[:, 0].size
        self._sum += values.sum(axis=(0, 2, 3))
        self._squares += np.square(values).sum(axis=(0, 2, 3))

    def normalisation(self, source: str) -> Normalisation:
        mean = self._sum / self._count
        variance = float(np.mean(self._squares / self._count - np.square(mean)))
        if variance <= 0.0:
            raise DataError(
                f"{source}: every pixel has the same value; nothing to learn"
            )
        return Normalisation(
            mean=tuple(float(f"{value:.6g}") for value in self._first + mean),
            scale=float(f"{1.0 / math.sqrt(variance):.6g}"),
        )


def _write_part(
    folder: Path,
    part: str,
    data: Part,
    source: str,
    advance: Callable[[int], object],
) -> _Moments:
    rows = np.asarray(data.rows, dtype=np.int64)
    np.save(folder / f"{part}_labels.npy", data.labels[rows].astype(np.int64))
    out = np.lib.format.open_memmap(
        folder / f"{part}_images.npy",
        mode="w+",
        dtype=data.images.dtype,
        shape=(len(rows), *data.images.shape),
    )
    moments = _Moments(data.images.shape[0])
    block_rows = max(1, min(BLOCK, (1 << 24) // math.prod(data.images.shape)))
    for first in range(0, len(rows), block_rows):
        wanted = [int(row) for row in rows[first : first + block_rows]]
        block = data.images.read(wanted)
        check_pixels(block, f"{source} ({part})", rows=wanted)
        out[first : first + len(block)] = block
        moments.add(block)
        advance(len(block))
    out.flush()
    return moments


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
