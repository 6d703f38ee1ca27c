"""Data folders: what networks are trained and validated on, memory-mapped.

A data folder holds ``data.json`` and four arrays, already shuffled, so that a trainer
reads them from front to back as Caffe's Data layer does (batch i of size B is the rows
``(i * B + arange(B)) % n``)::

    train_images.npy, val_images.npy   (n, channels, height, width), uint8 or float32
    train_labels.npy, val_labels.npy   (n,), int64, from 0 to classes - 1

Reading ``data.json`` imports no numpy: the command line asks for shapes and classes
only.
"""

import difflib
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ribosome.genome.errors import DataError
from ribosome.genome.harmless import is_harmless
from ribosome.genome.task import Task, Training

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = 1
INFO_FILE = "data.json"
PARTS = ("train", "val")
FILES = (
    INFO_FILE,
    *(f"{part}_{kind}.npy" for part in PARTS for kind in ("images", "labels")),
)
"""All that a data folder must hold."""


@dataclass(frozen=True, slots=True)
class DataInfo:
    """What ``data.json`` says, and the folder that it stands in.

    A trainer sees ``(pixel - mean) * scale``, with one mean per channel, or none for
    zero. ``train`` and ``val`` are numbers of images; ``source`` says where they came
    from.
    """

    folder: str
    name: str
    channels: int
    height: int
    width: int
    classes: int
    train: int
    val: int
    mean: tuple[float, ...] = ()
    scale: float = 1.0
    source: str = ""
    class_names: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        return (self.channels, self.height, self.width)

    def task(self, training: Training) -> Task:
        """The task of classifying these images."""
        return Task(
            name=self.name,
            channels=self.channels,
            height=self.height,
            width=self.width,
            classes=self.classes,
            mean=self.mean,
            scale=self.scale,
            data=self.folder,
            train=self.train,
            val=self.val,
            training=training,
        )


class Arrays(NamedTuple):
    """The arrays of a data folder, memory-mapped and read-only."""

    train_images: "NDArray[np.generic]"
    train_labels: "NDArray[np.int64]"
    val_images: "NDArray[np.generic]"
    val_labels: "NDArray[np.int64]"


def builtin_names() -> tuple[str, ...]:
    """The data sets that need no conversion."""
    return tuple(_BUILT_IN)


def cache_folder() -> Path:
    """Where built-in data sets are kept: `RIBOSOME_CACHE`, or the user's cache."""
    own = os.environ.get("RIBOSOME_CACHE")
    if own:
        return Path(own)
    users = os.environ.get("XDG_CACHE_HOME")
    return (Path(users) if users else Path.home() / ".cache") / "ribosome"


def find_data(name_or_path: str) -> str:
    """The absolute path of a data folder, by the name of a built-in or by its path.

    A built-in data set is made at its first use. Raises DataError when there is none.
    """
    make = _BUILT_IN.get(name_or_path)
    if make is not None:
        return make()
    path = Path(name_or_path)
    if (path / INFO_FILE).is_file():
        return str(path.resolve())
    if path.is_dir():
        raise DataError(
            f"{name_or_path}: no {INFO_FILE} in this folder, so it is no data folder; "
            f"make one with `ribosome data convert {name_or_path} -o DIR`"
        )
    known = ", ".join(_BUILT_IN)
    near = difflib.get_close_matches(name_or_path, list(_BUILT_IN), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"built in: {known}"
    raise DataError(
        f"no data set or data folder {name_or_path!r}: {hint} "
        "(or give the path of a folder made by `ribosome data convert`)"
    )


def read_info(folder: str) -> DataInfo:
    """What ``data.json`` of a data folder says. Raises DataError if it is damaged."""
    import msgspec

    path = Path(folder) / INFO_FILE
    try:
        read = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror}; make a data folder with `ribosome data convert`"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}); {_REMAKE}") from None
    if not isinstance(read, dict) or read.get("format") != FORMAT:
        raise DataError(
            f'{path}: not of format {FORMAT} (no "format": {FORMAT} in it); {_REMAKE}'
        )
    try:
        info = msgspec.convert(
            {**read, "folder": str(Path(folder).resolve())}, DataInfo
        )
    except msgspec.ValidationError as error:
        raise DataError(f"{path}: {error}; {_REMAKE}") from None
    check_info(info, path)
    return info


def open_arrays(folder: str) -> Arrays:
    """The four arrays of a data folder, memory-mapped, checked against ``data.json``.

    Only the arrays' headers are read: `ribosome.backends.data_check` reads what is in
    them.
    """
    info = read_info(folder)
    found: dict[str, Any] = {}
    for part, count in zip(PARTS, (info.train, info.val), strict=True):
        for kind, shape in (("images", (count, *info.shape)), ("labels", (count,))):
            found[f"{part}_{kind}"] = _open(Path(folder), part, kind, shape)
    return Arrays(**found)


def shares_of_classes(folder: str) -> tuple[float, ...]:
    """The share of each class among the validation images. Raises DataError."""
    import numpy as np

    labels = open_arrays(folder).val_labels
    classes = read_info(folder).classes
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"{folder}: a label is outside 0 to {classes - 1}; {_REMAKE}")
    return tuple((np.bincount(labels, minlength=classes) / len(labels)).tolist())


def _open(folder: Path, part: str, kind: str, shape: tuple[int, ...]) -> Any:
    import numpy as np

    path = folder / f"{part}_{kind}.npy"
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy fails in many ways on a header
        raise DataError(f"{path}: cannot be read ({_line(error)}); {_REMAKE}") from None
    if array.shape != shape:
        raise DataError(
            f"{path}: shape {array.shape}, but {INFO_FILE} says {shape}; {_REMAKE}"
        )
    wanted = ("uint8", "float32") if kind == "images" else ("int64",)
    if array.dtype.name not in wanted or not array.flags.c_contiguous:
        raise DataError(
            f"{path}: holds {array.dtype}, but {kind} must be {' or '.join(wanted)} "
            f"in C order; {_REMAKE}"
        )
    return array


def check_info(info: DataInfo, path: Path) -> None:
    """What a ``data.json`` says fits together. Raises DataError, which names ``path``."""
    for name in (info.name, info.source, *info.class_names):
        if not is_harmless(name):
            raise DataError(
                f"{path}: {name[:80]!r} has a letter that cannot be written; {_REMAKE}"
            )
    for field in ("channels", "height", "width", "classes", "train", "val"):
        if not 1 <= getattr(info, field) < 2**31:
            raise DataError(
                f"{path}: {field} is {getattr(info, field)}, but must be 1 or more, and "
                f"less than 2^31; {_REMAKE}"
            )
    if len(info.mean) not in (0, info.channels):
        raise DataError(
            f"{path}: {len(info.mean)} means for {info.channels} channels; "
            "give one per channel, or none"
        )
    if not all(map(math.isfinite, (info.scale, *info.mean))) or info.scale == 0.0:
        raise DataError(
            f"{path}: mean and scale must be finite, and scale not 0; {_REMAKE}"
        )
    if len(info.class_names) not in (0, info.classes):
        raise DataError(
            f"{path}: {len(info.class_names)} class_names for {info.classes} classes; "
            "give one per class, or none"
        )


def _digits() -> str:
    folder = cache_folder() / "data" / "digits-1"
    if not (folder / INFO_FILE).is_file():
        from ribosome.backends.digits import make_digits

        make_digits(folder)
    return str(folder.resolve())


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())


_REMAKE = "correct it, or make the folder again with `ribosome data convert`"
_BUILT_IN: dict[str, Callable[[], str]] = {"digits": _digits}
