"""The images of a data folder in a form that Caffe reads: LMDB or HDF5.

A form is a folder with ``train_lmdb`` and ``val_lmdb``, or with ``train.txt`` and
``val.txt`` that list HDF5 files, and a ``form.json`` that says where they came from. The
rows keep their order, so Caffe trains on what any other trainer sees. A trainer's form is
made once, inside the data folder or, if nobody may write there, in the user's cache.
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from ribosome.backends.data import (
    FILES,
    INFO_FILE,
    DataInfo,
    cache_folder,
    check_info,
    open_arrays,
    read_info,
)
from ribosome.backends.nofollow import open_file
from ribosome.genome.errors import ConfigError, DataError
from ribosome.genome.task import Task

Layer = Literal["lmdb", "hdf5"]
"""Which of Caffe's layers reads the form: Data from LMDB, or HDF5Data."""

FORM_FILE = "form.json"
FORM_FORMAT = 1
ABANDONED_S = 3600.0
"""A form that nobody wrote to for so long is one whose writer was killed."""


def layer_of(task: Task) -> Layer:
    """The layer that a task asks for. Raises ConfigError for one that there is not."""
    match task.training.data_layer:
        case "lmdb" | "hdf5" as layer:
            return layer
        case other:
            raise ConfigError(f"training.data_layer is lmdb or hdf5, not {other!r}")


@dataclass(frozen=True, slots=True)
class CaffeData:
    """The ``source`` of the data layers of the two phases: absolute paths."""

    train: str
    val: str


def paths(data_folder: str, layer: Layer) -> CaffeData:
    """Where `prepared` makes the form of a data folder as it is now; makes nothing.

    Raises DataError where there is no data folder.
    """
    return _sources(_place(data_folder, layer), layer)


def prepared(
    data_folder: str,
    layer: Layer,
    *,
    advance: Callable[[int], object] = lambda _: None,
) -> CaffeData:
    """The form of a data folder, made unless it is there already.

    Any number of processes may ask at once: one writes, the others wait for it, or do
    the same harmlessly where the file system knows no locks. A data folder that was
    changed gets a new form. ``advance`` is told of every block of images written. Raises
    DataError for data that cannot be trained on, or a disk that cannot be written to.
    """
    place = _place(data_folder, layer)
    if not _is_whole(place):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with _alone(place.parent):
                if not _is_whole(place):
                    _remove_others(place, layer)
                    write_form(data_folder, place, layer, advance=advance)
        except OSError as error:
            if not _is_whole(place):  # else another process was faster
                raise DataError(
                    f"{data_folder}: cannot make its {layer} form for Caffe in "
                    f"{place.parent} ({error.strerror}); make room there (a data "
                    "folder that is read-only gets its form in RIBOSOME_CACHE)"
                ) from None
    return _sources(place, layer)


def write_form(
    data_folder: str,
    out: Path,
    layer: Layer,
    *,
    advance: Callable[[int], object] = lambda _: None,
) -> CaffeData:
    """Write the form of a data folder as the folder ``out``, whole or not at all.

    ``out`` must be new or empty. Labels and pixels are checked first: Caffe checks
    neither. Raises DataError for what is wrong with them, OSError for the disk.
    """
    info = read_info(data_folder)
    check_place(out, layer)
    final = out.resolve()
    from ribosome.backends.data_check import check_data

    check_data(data_folder)
    final.parent.mkdir(parents=True, exist_ok=True)
    # In the same parent, so that the rename at the end is atomic.
    unfinished = final.with_name(f".{final.name}-{secrets.token_hex(4)}")
    try:
        unfinished.mkdir()
        _write_parts(info, unfinished, layer, final, advance)
        form = {**asdict(info), "format": FORM_FORMAT, "layer": layer}
        del form["folder"]
        form["written"] = _written(unfinished)
        text = json.dumps(form, indent=1, ensure_ascii=False) + "\n"
        (unfinished / FORM_FILE).write_text(text, encoding="utf-8")
        os.rename(unfinished, final)  # noqa: PTH104 - says that a rename must be atomic
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return _sources(final, layer)


def check_place(out: Path, layer: Layer) -> None:
    """Caffe can read a form from that folder. Raises DataError."""
    if layer == "hdf5" and _has_space(out.resolve()):
        raise DataError(
            f"{out.resolve()}: Caffe reads no path with a space in it from a list of "
            "HDF5 files; choose a folder without one, or LMDB"
        )


def read_form(folder: Path, layer: Layer) -> DataInfo | None:
    """What a form says of its images; None for a folder that `write_form` did not make.

    Raises DataError for a ``form.json`` of ours that is damaged.
    """
    import msgspec

    path = folder / FORM_FILE
    try:
        read = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(read, dict) or read.get("layer") != layer:
        return None
    try:
        info = msgspec.convert({**read, "folder": str(folder)}, DataInfo)
    except msgspec.ValidationError as error:
        raise DataError(f"{path}: {error}; correct it, or remove it") from None
    check_info(info, path)
    return info


def _write_parts(
    info: DataInfo,
    folder: Path,
    layer: Layer,
    final: Path,
    advance: Callable[[int], object],
) -> None:
    arrays = open_arrays(info.folder)
    for part, images, labels in (
        ("train", arrays.train_images, arrays.train_labels),
        ("val", arrays.val_images, arrays.val_labels),
    ):
        if layer == "lmdb":
            from ribosome.backends.caffe.lmdb_data import write_lmdb

            write_lmdb(folder / f"{part}_lmdb", images, labels, advance=advance)
        else:
            from ribosome.backends.caffe.hdf5_data import write_hdf5

            write_hdf5(
                folder,
                part,
                images,
                labels,
                mean=info.mean,
                scale=info.scale,
                final=final,
                advance=advance,
            )


def _sources(form: Path, layer: Layer) -> CaffeData:
    suffix = "_lmdb" if layer == "lmdb" else ".txt"
    return CaffeData(f"{form}/train{suffix}", f"{form}/val{suffix}")


def _place(data_folder: str, layer: Layer) -> Path:
    """Where the form of a data folder stands: another place once the data is changed."""
    held = []
    for name in FILES:
        try:
            found = Path(data_folder, name).stat()
        except OSError as error:
            raise DataError(
                f"{error.filename}: {error.strerror}; make a data folder with "
                "`ribosome data convert`"
            ) from None
        held.append((found.st_size, found.st_mtime_ns))
    return _place_of(data_folder, layer, tuple(held))


@lru_cache(maxsize=64)
def _place_of(
    data_folder: str, layer: Layer, held: tuple[tuple[int, int], ...]
) -> Path:
    folder = Path(data_folder).resolve()
    own = folder / "caffe"
    writable = os.access(own if own.is_dir() else folder, os.W_OK | os.X_OK)
    if own.is_symlink():  # somebody else's folder, where old forms would be removed
        writable = False
    if layer == "hdf5" and _has_space(folder):
        writable = False  # see `check_place`
    if not writable:
        name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        own = cache_folder().resolve() / "caffe-data" / name
    state = hashlib.sha256((folder / INFO_FILE).read_bytes())
    state.update(repr(held).encode())
    if layer == "hdf5":  # its lists name it: a copy elsewhere is of no use
        state.update(os.fsencode(own))
    return own / f"{layer}-{state.hexdigest()[:12]}"


def _is_whole(form: Path) -> bool:
    """Whether a form has all its files, as they were written: a disk is cleaned, or fails."""
    try:
        read = json.loads((form / FORM_FILE).read_bytes())
        written = dict(read["written"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    found = _written(form)
    return all(found.get(name) == state for name, state in written.items())


def _written(form: Path) -> dict[str, list[int]]:
    """Size and time of every file of a form, but for what readers of an LMDB write."""
    found = {}
    for path in form.rglob("*"):
        if path.is_file() and path.name not in ("lock.mdb", FORM_FILE):
            held = path.stat()
            found[str(path.relative_to(form))] = [held.st_size, held.st_mtime_ns]
    return found


def _has_space(path: Path) -> bool:
    return any(letter.isspace() for letter in str(path))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time; all at once where the file system has no locks."""
    with os.fdopen(open_file(folder / ".lock", os.O_WRONLY | os.O_CREAT), "w") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove_others(place: Path, layer: Layer) -> None:
    """Remove forms of what the data once was, damaged ones, what killed writers left."""
    for other in place.parent.iterdir():
        if other == place and _is_whole(place):
            continue  # another node has just made it
        stale = other.name.startswith(f"{layer}-")
        unfinished = other.name.startswith(f".{layer}-")
        if unfinished and time.time() - _last_write(other) > ABANDONED_S:
            stale = True
        if stale:
            doomed = other.with_name(f".{layer}-{secrets.token_hex(4)}")
            with suppress(OSError):
                other.rename(doomed)  # what is half removed must not look whole
                shutil.rmtree(doomed, ignore_errors=True)


def _last_write(folder: Path) -> float:
    with suppress(OSError):
        return max(file.stat().st_mtime for file in (folder, *folder.rglob("*")))
    return time.time()
