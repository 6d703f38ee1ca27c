"""Converts foreign data into a data folder: read, split, shuffle, check, write."""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ribosome.backends.data import DataInfo, read_info
from ribosome.genome.errors import DataError

if TYPE_CHECKING:
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
    started: Callable[[int], object] = lambda _: None,
    advance: Callable[[int], object] = lambda _: None,
) -> DataInfo:
    """Write the images of ``source`` into the new data folder ``out``.

    A share ``val_share`` of them becomes the validation set, the classes in proportion,
    unless the source has a validation set of its own. ``started`` is told the number of
    images, ``advance`` how many more are written. Raises DataError.
    """
    from ribosome.backends.data_write import (
        Part,
        shuffled,
        stratified,
        write_data_folder,
    )
    from ribosome.tools.sources import read_source

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: exists and is not empty; choose another folder")
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
    started(len(rows) + len(val_rows))
    write_data_folder(
        out,
        name=name or source.resolve().name.split(".")[0],
        train=Part(train.images, train.labels, rows),
        val=Part(val.images, val.labels, val_rows),
        classes=classes,
        source=source.name,
        class_names=held.class_names,
        advance=advance,
    )
    return read_info(str(out))


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
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise DataError(
            f"{where}: the name {name!r} has a letter that cannot be written; rename it"
        )
