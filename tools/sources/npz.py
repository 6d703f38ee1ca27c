"""NumPy's ``.npz``: arrays under the names that people give to images and labels."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import is_zipfile

from ribosome.genome.errors import DataError
from ribosome.tools.sources.arrays import source_of
from ribosome.tools.sources.room import check_room
from ribosome.tools.sources.source import Reading, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGES = ("x", "images", "data")
LABELS = ("y", "labels", "label", "target", "targets")
VALIDATION = ("val", "valid", "validation", "test")


def detect(path: Path) -> bool:
    """Whether the path looks like an ``.npz``."""
    return path.suffix == ".npz" and path.is_file()


def read(path: Path, reading: Reading) -> Source:
    """The arrays of an ``.npz``; a pickled object in it is never loaded."""
    import numpy as np

    if not is_zipfile(path):
        raise DataError(
            f"{path}: not an .npz, or a damaged one; save it again with numpy.savez"
        )
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            names = {name.lower(): name for name in file.files}
            found = pairs(names, path)
            check_room(path, sum(held.file_size for held in file.zip.infolist()))
            parts = [
                (_load(file, x, path), _load(file, y, path), f"{path.name}: {x}, {y}")
                for x, y in found
            ]
    except DataError:
        raise
    except Exception as error:  # zip archives and headers fail in many ways
        raise DataError(
            f"{path}: not an .npz that can be read ({error}); "
            "save it again with numpy.savez"
        ) from None
    return source_of(parts, reading)


def pairs(names: Mapping[str, str], path: Path) -> list[tuple[str, str]]:
    """The names of images and labels: of training first, then of validation if any."""
    training = _find(names, ("train",)) or _find(names, ("",))
    if training is None:
        held = ", ".join(sorted(names.values())) or "nothing"
        raise DataError(
            f"{path}: holds {held}; name the images {', '.join(IMAGES)} and the labels "
            f"{', '.join(LABELS)}, or x_train, y_train, x_val, y_val"
        )
    validation = _find(names, VALIDATION)
    return [training] if validation is None else [training, validation]


def _find(names: Mapping[str, str], parts: tuple[str, ...]) -> tuple[str, str] | None:
    for part, images, labels in product(parts, IMAGES, LABELS):
        for x, y in (
            (f"{images}_{part}", f"{labels}_{part}"),
            (f"{part}_{images}", f"{part}_{labels}"),
        ):
            if x.strip("_") in names and y.strip("_") in names:
                return names[x.strip("_")], names[y.strip("_")]
    return None


def _load(file: Mapping[str, Any], name: str, path: Path) -> "NDArray[Any]":
    try:
        array: NDArray[Any] = file[name]
    except ValueError:
        raise DataError(
            f"{path}: {name} holds Python objects, which are not loaded; "
            "save it as numbers"
        ) from None
    if isinstance(array, bytes):  # what is no array comes as it is in the zip
        raise DataError(f"{path}: {name} is no array; save it with numpy.savez")
    return array
