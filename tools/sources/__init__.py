"""Readers of foreign data, one file per format, imported when they are asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ribosome.genome.errors import DataError

if TYPE_CHECKING:
    from ribosome.tools.sources.source import Reading, Source

FORMATS = {
    "npz": "NumPy .npz with x and y, or x_train, y_train, x_val, y_val",
    "idx": "IDX files as of MNIST, gzipped or not, or their folder",
    "lmdb": "LMDB of Caffe's Datums, or a folder with one to train and one to validate",
    "hdf5": "HDF5 with data and label, a list of such files, or their folder",
    "folder": "a folder of images per class: DIR/cat/1.png, or DIR/train/cat/1.png",
}
"""Formats by name, in the order in which they are tried."""


@dataclass(frozen=True)
class _Format:
    detect: Callable[[Path], bool]
    read: "Callable[[Path, Reading], Source]"


def read_source(path: Path, reading: "Reading", *, format: str = "auto") -> "Source":
    """What a source holds. Raises DataError for a format that is not read."""
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; check the path")
    if format == "auto":
        format = detect(path)
    if format:
        return _load(format).read(path, reading)
    known = "; ".join(f"{name} ({text})" for name, text in FORMATS.items())
    raise DataError(f"{path}: not a source that is read. These are: {known}")


def detect(path: Path) -> str:
    """The name of the format that a path looks like; empty for none."""
    return next((name for name in FORMATS if _load(name).detect(path)), "")


def _load(name: str) -> _Format:
    module = import_module(f"{__name__}.{name}")
    return _Format(module.detect, module.read)
