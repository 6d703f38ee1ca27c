"""IDX, MNIST's format: ``train-images-idx3-ubyte`` and so on, gzipped or not.

Images and labels are found by name; ``t10k``, ``test`` or ``val`` in place of ``train``
is the validation set. The format: http://yann.lecun.com/exdb/mnist/
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from ribosome.genome.errors import DataError
from ribosome.tools.sources.arrays import source_of
from ribosome.tools.sources.room import check_room
from ribosome.tools.sources.source import Reading, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
VALIDATION = ("t10k", "val", "valid", "validation", "test")


def detect(path: Path) -> bool:
    """Whether the path is an IDX file by its first bytes, or a folder of such."""
    if path.is_dir():
        return bool(_image_files(path))
    return path.is_file() and _is_idx(path)


def read(path: Path, reading: Reading) -> Source:
    """The images of a file, or of the one training set in a folder, with labels."""
    training = path if path.is_file() else _training_file(path)
    files = [training]
    validation = next(
        (
            file
            for word in VALIDATION
            if (file := _sibling(training, "train", word)) is not None
        ),
        None,
    )
    if validation is not None:
        files.append(validation)
    parts = [
        (read_idx(file), read_idx(_labels_file(file)), file.name) for file in files
    ]
    return source_of(parts, reading)


def read_idx(path: Path) -> "NDArray[Any]":
    """One IDX file as an array in the machine's byte order."""
    try:
        with _unzipped(path) as file:
            start = file.read(4)
            if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES:
                raise DataError(f"{path}: not an IDX file; get it again")
            axes, dtype = start[3], np.dtype(TYPES[start[2]])
            sizes = file.read(4 * axes)
            whole = len(sizes) == 4 * axes
            shape = struct.unpack(f">{axes}I", sizes) if whole else ()
            wanted = math.prod(shape) * dtype.itemsize
            check_room(path, wanted)
            data = file.read(wanted + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); get it again") from None
    if not shape or len(data) != wanted:
        header = 4 + 4 * axes
        held = "more" if len(data) > wanted else f"{header + len(data)} bytes"
        raise DataError(
            f"{path}: {held}, but its header says {header + wanted}: "
            "truncated or damaged; get it again"
        )
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _unzipped(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path)) if zipped else path.open("rb")


def _training_file(folder: Path) -> Path:
    files = _image_files(folder)
    training = [file for file in files if "train" in file.name]
    if not training and len(files) == 1:
        return files[0]
    if not files:
        raise DataError(
            f"{folder}: no IDX file of images, as train-images-idx3-ubyte, is in it; "
            "give the path of one"
        )
    if len(training) != 1:
        names = ", ".join(file.name for file in training or files)
        raise DataError(
            f"{folder}: {len(training)} files of training images ({names}); "
            "give the path of the one to convert"
        )
    return training[0]


def _image_files(folder: Path) -> list[Path]:
    named = sorted(file for file in folder.iterdir() if "images" in file.name)
    # A set that lies there both gzipped and not is one set.
    return [
        file
        for file in named
        if file.is_file()
        and _is_idx(file)
        and not (file.suffix == ".gz" and file.with_suffix("") in named)
    ]


def _labels_file(images: Path) -> Path:
    if "images" not in images.name:
        raise DataError(
            f"{images}: not named as a file of images, as train-images-idx3-ubyte with "
            "train-labels-idx1-ubyte beside it; give the path of the images"
        )
    labels = _sibling(images, "images", "labels")
    if labels is None:
        wanted = images.name.replace("images", "labels").replace("idx3", "idx1")
        raise DataError(f"{images}: no labels beside it; looked for {wanted}")
    return labels


def _sibling(path: Path, word: str, other: str) -> Path | None:
    """The file that is named alike but for one word (and the number of axes)."""
    if word not in path.name:
        return None
    name = path.name.removesuffix(".gz").replace(word, other)
    for candidate in (name, name.replace("idx3", "idx1").replace("idx4", "idx1")):
        for suffix in ("", ".gz"):
            file = path.with_name(candidate + suffix)
            if file.is_file():
                return file
    return None


def _is_idx(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(4)
            if start[:2] == b"\x1f\x8b":
                file.seek(0)
                with gzip.open(file) as unzipped:
                    start = unzipped.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(start) == 4 and start[:2] == b"\0\0" and start[2] in TYPES
