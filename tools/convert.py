"""Converts foreign data into a data folder, and a data folder into what Caffe reads."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ribosome.backends.data import (
    INFO_FILE,
    DataInfo,
    builtin_names,
    find_data,
    read_info,
)
from ribosome.genome.errors import DataError
from ribosome.genome.harmless import is_harmless

if TYPE_CHECKING:
    from ribosome.backends.caffe.data import CaffeData, Layer
    from ribosome.tools.sources.source import Reading, Source


def convert(
    source: Path,
    out: Path,
    *,
    reading: "Reading",
    format: str = "auto",
    name: str = "",
    val_share: float = 0.2,
    seed: int = 1,
    keep_order: bool = False,
    started: Callable[[int], object] = lambda _: None,
    advance: Callable[[int], object] = lambda _: None,
) -> DataInfo:
    """Write the images of ``source`` into the new data folder ``out``.

    A share ``val_share`` of them becomes the validation set, the classes in proportion,
    unless the source has a validation set of its own. They are shuffled, unless
    ``keep_order``. ``started`` is told the number of images, ``advance`` how many more are
    written. Raises DataError.
    """
    from ribosome.backends.data_write import (
        Part,
        shuffled,
        stratified,
        write_data_folder,
    )
    from ribosome.tools.sources import read_source

    check_out(out)
    if (source / INFO_FILE).is_file():
        raise DataError(
            f"{source}: a data folder already; use it as it is, or write it for Caffe "
            "with --to lmdb or --to hdf5"
        )
    held = read_source(source, reading, format=format)
    check_source(held, str(source))
    for text in (name, source.name, *held.class_names):
        check_name(text, str(source))
    train, val = held.train, held.val
    classes = len(held.class_names) or int(train.labels.max()) + 1
    if val is None:
        wanted = max(1, round(val_share * len(train.labels)))
        rows, val_rows = stratified(
            train.labels, val=wanted, seed=seed, where=str(source)
        )
        val = train
    else:
        rows = shuffled(len(train.labels), seed=seed)
        val_rows = shuffled(len(val.labels), seed=seed)
    if keep_order:
        rows, val_rows = sorted(rows), sorted(val_rows)
    started(len(rows) + len(val_rows))
    write_data_folder(
        out,
        name=name or source.resolve().name.split(".")[0],
        train=Part(train.images, train.labels, rows),
        val=Part(val.images, val.labels, val_rows),
        classes=classes,
        source=source.name,
        normalisation=held.normalisation,
        class_names=held.class_names,
        advance=advance,
    )
    return read_info(str(out))


def convert_for_caffe(
    source: str,
    out: Path,
    layer: "Layer",
    *,
    to_folder: Callable[[Path, Path], object],
    started: Callable[[int], object] = lambda _: None,
    advance: Callable[[int], object] = lambda _: None,
) -> "tuple[DataInfo, CaffeData]":
    """Write the images of ``source`` into the new folder ``out``, as LMDB or HDF5.

    ``source`` is a data folder, the name of a built-in data set, or any foreign source:
    that becomes a data folder first, by ``to_folder(source, folder)``, which is removed
    again. ``started`` and ``advance`` are told of the images as in `convert`. Raises
    DataError.
    """
    from ribosome.backends.caffe.data import check_place, write_form

    def write(folder: str) -> "tuple[DataInfo, CaffeData]":
        info = read_info(folder)
        started(info.train + info.val)
        return info, write_form(folder, out, layer, advance=advance)

    check_out(out)
    check_place(out, layer)
    folder = data_folder_of(source)
    if folder is not None:
        return write(folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{out.name}-", dir=out.parent, ignore_cleanup_errors=True
    ) as made:
        to_folder(Path(source), Path(made) / "data")
        return write(str(Path(made) / "data"))


def data_folder_of(source: str) -> str | None:
    """The data folder that a source is, made if it is built in; None for foreign data."""
    path = Path(source)
    if (path / INFO_FILE).is_file():
        return str(path.resolve())
    if source in builtin_names() and not path.exists():
        return find_data(source)
    return None


def check_out(out: Path) -> None:
    """A folder to be made is new or empty. Raises DataError."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: exists and is not empty; choose another folder")


def check_source(held: "Source", where: str) -> None:
    """There are images, no class is empty, no label is out of range."""
    from ribosome.backends.data_check import check_classes, check_labels

    labels = held.train.labels
    if not len(labels):
        raise DataError(f"{where}: no training images; add some")
    classes = len(held.class_names) or max(1, int(labels.max()) + 1)
    if classes > len(labels):  # and no table of that many classes is made to say so
        row = int(labels.argmax())
        raise DataError(
            f"{where}: label {classes - 1} of image {row} would make {classes} classes "
            f"of {len(labels)} images; number the classes from 0 without a gap"
        )
    check_labels(labels, classes, where)
    check_classes(labels, classes, where, names=held.class_names)
    if held.val is not None:
        check_labels(held.val.labels, classes, f"{where}: validation")


def check_name(name: str, where: str) -> None:
    """No line breaks and the like, and nothing that was no UTF-8 on the disk."""
    if not is_harmless(name):
        raise DataError(
            f"{where}: the name {name!r} has a letter that cannot be written; rename it"
        )
