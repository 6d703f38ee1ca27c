"""Writes HDF5 as Caffe's HDF5Data layer reads it: ready for the network, in float32.

The layer takes no transform_param, so the files hold (pixel - mean) * scale already. Its
``source`` is a text file that lists them; it holds one of them in memory at a time. What
it asks for: datasets named as its tops, float or integer, of fewer than 2^31 numbers each.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from ribosome.backends.data_check import BLOCK

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE_BYTES = 1 << 30
"""The most that one file holds: a trainer's memory, and well below 2^31 numbers."""

BLOCK_BYTES = 1 << 24


def write_hdf5(
    folder: Path,
    part: str,
    images: "NDArray[Any]",
    labels: "NDArray[np.int64]",
    *,
    mean: tuple[float, ...],
    scale: float,
    final: Path,
    advance: Callable[[int], object] = lambda _: None,
) -> None:
    """Write ``part.h5`` (or ``part_0.h5`` and so on) and their list ``part.txt``.

    ``images`` are (n, channels, height, width), of uint8 or float32, ``labels`` (n,).
    In the files stand ``data`` (n, channels, height, width) and ``label`` (n,), both
    float32. ``final`` is where the folder will stand: Caffe takes a relative path for one
    of its own working directory, so the list has absolute ones. Raises OSError.
    """
    rows = max(1, FILE_BYTES // (4 * (images[0].size + 1)))
    starts = range(0, len(images), rows)
    digits = len(str(len(starts) - 1))
    names = [f"{part}_{number:0{digits}}.h5" for number in range(len(starts))]
    if len(names) == 1:
        names = [f"{part}.h5"]
    for name, start in zip(names, starts, strict=True):
        held = slice(start, start + rows)
        _write_file(folder / name, images[held], labels[held], mean, scale, advance)
    listed = "".join(f"{final / name}\n" for name in names)
    (folder / f"{part}.txt").write_bytes(os.fsencode(listed))


def _write_file(
    path: Path,
    images: "NDArray[Any]",
    labels: "NDArray[np.int64]",
    mean: tuple[float, ...],
    scale: float,
    advance: Callable[[int], object],
) -> None:
    # Caffe's own arithmetic: all of it in float32, the mean first.
    means = np.array(mean, np.float32)[:, None, None]
    factor = np.float32(scale)
    block = max(1, min(BLOCK, BLOCK_BYTES // (4 * images[0].size)))
    with h5py.File(path, "w", libver="earliest") as file:
        data = file.create_dataset("data", images.shape, np.float32)
        file.create_dataset("label", data=labels.astype(np.float32))
        for first in range(0, len(images), block):
            pixels = images[first : first + block].astype(np.float32)
            if mean:
                pixels -= means
            pixels *= factor
            data[first : first + len(pixels)] = pixels
            advance(len(pixels))
    with path.open("rb") as written:
        os.fsync(written.fileno())
