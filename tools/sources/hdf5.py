"""HDF5 as Caffe's HDF5Data layer reads it: data and label, in one file or in a list.

Also under the other names that people give to images and labels (`npz.py`), and with
training and validation images in one file. Images are read when they are wanted.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ribosome.backends.caffe.data import read_form
from ribosome.backends.data_write import Normalisation
from ribosome.genome.errors import DataError
from ribosome.tools.sources.arrays import (
    CHANNEL_COUNTS,
    labels_of,
    numbered,
    shaped,
)
from ribosome.tools.sources.npz import pairs
from ribosome.tools.sources.parts import training_and_validation, with_sibling
from ribosome.tools.sources.source import Labelled, Reading, Source

SUFFIXES = (".h5", ".hdf5")
SIGNATURE = b"\x89HDF\r\n\x1a\n"
BLOCK_BYTES = 1 << 24
CHUNK_CACHE = 1 << 26
"""Bytes of unpacked chunks that are kept: rows come sorted, so a chunk is read once."""


@dataclass(frozen=True)
class Stretch:
    """The images of one file: ``rows`` of them in the dataset ``name``."""

    file: Path
    name: str
    rows: int


@dataclass(frozen=True)
class Hdf5Images:
    """Images in one file or several, which are opened for each block."""

    stretches: tuple[Stretch, ...]
    reading: Reading
    shape: tuple[int, int, int]
    dtype: "np.dtype[Any]"

    def read(self, rows: Sequence[int]) -> NDArray[Any]:
        """The images of those rows."""
        block = np.empty((len(rows), *self.shape), self.dtype)
        wanted = np.asarray(rows, np.int64)
        first = 0
        for stretch in self.stretches:
            inside = (wanted >= first) & (wanted < first + stretch.rows)
            if inside.any():
                # A dataset is read from front to back, and no row of it twice.
                ascending, back = np.unique(wanted[inside] - first, return_inverse=True)
                held = _rows(stretch, ascending)
                where = f"{stretch.file}: {stretch.name}"
                with np.errstate(over="ignore"):  # the pixel check says where
                    block[inside] = shaped(held, self.reading, where)[back]
            first += stretch.rows
        return block


def detect(path: Path) -> bool:
    """Whether the path is an HDF5 file, a list of such, or a folder with such in it."""
    if path.is_dir():
        return bool(_candidates(path))
    named = path.suffix.lower() in SUFFIXES
    return path.is_file() and (named or _is_hdf5(path) or _is_list(path))


def read(path: Path, reading: Reading) -> Source:
    """The images of a file, a list, or a folder; labels are read here."""
    if path.is_dir():
        candidates = _candidates(path)
        if not candidates:
            raise DataError(f"{path}: no HDF5 file (.h5) in it; give the path of one")
        sets = training_and_validation(candidates, path)
    else:
        sets = with_sibling(path)
    form = read_form(sets[0].parent, "hdf5")
    if form is not None:
        reading = Reading(layout="first")
    parts = []
    for index, files in enumerate(map(_files, sets)):
        named = [_pairs(file) for file in files]
        # Only a file that is alone may hold both parts.
        both = zip(*named, strict=False) if len(sets) == 1 else [[p[0] for p in named]]
        for pair in both:
            where = f"{sets[index]}: {', '.join(pair[0])}"
            parts.append(_part(files, pair, reading, where))
    labels, names = numbered([labels for _, labels in parts])
    made = [
        Labelled(images, numbers)
        for (images, _), numbers in zip(parts, labels, strict=True)
    ]
    val = made[1] if len(made) > 1 else None
    if form is None:
        return Source(made[0], val, names)
    # The form's pixels are what its networks see.
    return Source(made[0], val, form.class_names, Normalisation())


def _part(
    files: Sequence[Path],
    names: Sequence[tuple[str, str]],
    reading: Reading,
    where: str,
) -> tuple[Hdf5Images, NDArray[Any]]:
    """The images and the labels of one part, in the order of its files."""
    stretches, labels, shapes, whole = [], [], [], []
    for file, (images_name, labels_name) in zip(files, names, strict=True):
        with _opened(file) as opened:
            images = opened[images_name]
            place = f"{file}: {images_name}"
            if images.dtype.kind not in "biuf":
                raise DataError(
                    f"{place}: images of {images.dtype}; they must be numbers"
                )
            if images.ndim < 1 or not images.size:
                raise DataError(f"{place}: no images (shape {images.shape}); add some")
            if _as_caffe(images_name, labels_name, images.shape, reading):
                reading = Reading(reading.size, "first")
            like = np.broadcast_to(np.zeros((), images.dtype), images.shape)
            shapes.append(shaped(like, reading, place).shape[1:])
            whole.append(_is_bytes(images))
            held = _labels(opened[labels_name], f"{file}: {labels_name}")
            if len(held) != len(images):
                raise DataError(
                    f"{file}: {len(images)} images but {len(held)} labels; "
                    "give one label for each image"
                )
            labels.append(held)
            stretches.append(Stretch(file, images_name, len(images)))
    if len(set(shapes)) > 1:
        raise DataError(
            f"{where}: images of {shapes[0]} in one file and of "
            f"{next(shape for shape in shapes if shape != shapes[0])} in another "
            "(channels, height, width); they must be of one shape"
        )
    kinds = {held.dtype.kind for held in labels}
    if len(kinds) > 1:
        raise DataError(
            f"{where}: labels that are numbers in one file and names in another; "
            "make them one kind"
        )
    channels, height, width = shapes[0]
    dtype = np.dtype(np.uint8 if all(whole) else np.float32)
    images = Hdf5Images(tuple(stretches), reading, (channels, height, width), dtype)
    return images, np.concatenate(labels)


def _as_caffe(
    images: str, labels: str, shape: tuple[int, ...], reading: Reading
) -> bool:
    """Whether an axis is the channels because Caffe's layer would have it so."""
    return (
        (images, labels) == ("data", "label")
        and reading.layout == "auto"
        and len(shape) == 4
        and shape[1] in CHANNEL_COUNTS
    )


def _is_bytes(images: Any) -> bool:
    """Whether every pixel is a whole number from 0 to 255, by its type or by its value."""
    if images.dtype.kind == "b" or images.dtype == np.uint8:
        return True
    if images.dtype.kind == "f":
        return False
    block = max(1, BLOCK_BYTES // max(1, images[0].nbytes))
    for first in range(0, len(images), block):
        held = images[first : first + block]
        if held.min() < 0 or held.max() > 255:
            return False
    return True


def _labels(dataset: Any, where: str) -> NDArray[Any]:
    import h5py

    if h5py.check_string_dtype(dataset.dtype) is not None:
        return labels_of(np.array(dataset.asstr()[()], dtype=np.str_), where)
    return labels_of(np.asarray(dataset[()]), where)


def _rows(stretch: Stretch, rows: NDArray[np.int64]) -> NDArray[Any]:
    with _opened(stretch.file) as opened:
        dataset = opened[stretch.name]
        if dataset.chunks is None:
            whole: NDArray[Any] = dataset[rows]
            return whole
        # Of packed chunks h5py reads a selection far more slowly than row by row.
        held = np.empty((len(rows), *dataset.shape[1:]), dataset.dtype)
        for place, row in enumerate(rows.tolist()):
            dataset.read_direct(held, np.s_[row], np.s_[place])
    return held


def _pairs(file: Path) -> list[tuple[str, str]]:
    with _opened(file) as opened:
        datasets = [name for name in opened if _is_dataset(opened, name, file)]
    return pairs({name.lower(): name for name in datasets}, file)


def _is_dataset(opened: Any, name: str, file: Path) -> bool:
    """Whether it is a dataset of this very file: a link could show us any other one."""
    import h5py

    if not isinstance(opened.get(name, getlink=True), h5py.ExternalLink):
        held = opened[name]
        if not isinstance(held, h5py.Dataset):
            return False
        if not (held.is_virtual or held.external):
            return True
    raise DataError(
        f"{file}: {name} lies in another file; copy it into this one (h5repack, h5copy)"
    )


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """An open HDF5 file; its errors, while it is open, become DataErrors."""
    import h5py

    try:
        with h5py.File(
            file, "r", locking=False, rdcc_nbytes=CHUNK_CACHE, rdcc_nslots=10007
        ) as opened:
            yield opened
    except FileNotFoundError:
        raise DataError(f"{file}: no such file; check the path") from None
    except (
        *(OSError, RuntimeError, KeyError, ValueError, TypeError),
        *(MemoryError, OverflowError),
    ) as error:
        said = " ".join(str(error).split())
        raise DataError(
            f"{file}: not an HDF5 file that can be read ({said}); get it again"
        ) from None


def _candidates(folder: Path) -> list[Path]:
    """The lists in a folder, or, if there are none, its HDF5 files."""
    files = sorted(file for file in folder.iterdir() if file.is_file())
    lists = [file for file in files if _is_list(file)]
    return lists or [file for file in files if file.suffix.lower() in SUFFIXES]


def _files(path: Path) -> list[Path]:
    """The files of a list, or the file itself. Raises DataError if one is not there."""
    if not _is_list(path):
        return [path]
    found = []
    for word in path.read_bytes().split():
        name = Path(os.fsdecode(word))
        # Relative ones are relative to where Caffe was started: nobody knows where.
        places = (path.parent / name, name, path.parent / name.name)
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            raise DataError(
                f"{path}: lists {name}, which is not there; correct the list"
            )
        found.append(file)
    return found


def _is_list(path: Path) -> bool:
    """Whether the first word of a .txt file names an HDF5 file."""
    if path.suffix.lower() != ".txt":
        return False
    try:
        with path.open("rb") as file:
            words = file.read(4096).split(maxsplit=1)
    except OSError:
        return False
    return bool(words) and os.fsdecode(words[0]).lower().endswith(SUFFIXES)


def _is_hdf5(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except OSError:
        return False
