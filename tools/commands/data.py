"""`ribosome data`: data sets to train on."""

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ribosome.tools import text

if TYPE_CHECKING:
    from ribosome.backends.caffe.data import CaffeData, Layer
    from ribosome.backends.data import DataInfo
    from ribosome.tools.sources.source import Labelled

FOREIGN_ONLY = {
    "name": "--name",
    "val_share": "--val-share",
    "seed": "--seed",
    "keep_order": "--keep-order",
    "format_": "--format",
    "size": "--size",
    "layout": "--layout",
}
"""Options that say nothing where SOURCE is a data folder: it has all of that already."""

PROGRESS_FROM = 5000
"""Images from which on a conversion shows how far it is."""


@click.group("data")
def command() -> None:
    """List, inspect and convert data sets."""


@command.command("list")
def list_command() -> None:
    """The data sets that are built in."""
    from ribosome.backends.data import builtin_names, find_data, read_info

    for name in builtin_names():
        click.echo(f"{name}: {_summary(read_info(find_data(name)))}")
    click.echo("\nData of your own: ribosome data convert SOURCE -o DIR")


@command.command("info")
@click.argument("name")
def info_command(name: str) -> None:
    """What a data set holds; NAME is a built-in, a data folder, LMDB or HDF5.

    Reads all of it, and fails for labels out of range, empty classes, and, in a data
    folder, pixels that are NaN or infinite.
    """
    from ribosome.backends.data import find_data, read_info
    from ribosome.backends.data_check import check_data
    from ribosome.tools.convert import data_folder_of

    path = Path(name)
    if path.exists() and data_folder_of(name) is None and _print_foreign(path):
        return
    folder = find_data(name)
    info = read_info(folder)
    check_data(folder)
    _print_info(info)


@command.command("convert")
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "out",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path),
    help="The folder to make; must be new or empty.",
)
@click.option(
    "--to",
    type=click.Choice(["folder", "lmdb", "hdf5"]),
    default="folder",
    show_default=True,
    help="A data folder, to search on; or what Caffe reads.",
)
@click.option("--name", help="What to call the data; without it as the source.")
@click.option(
    "--val-share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="The share to validate on, where the source has no validation images.",
)
@click.option("--seed", default=1, show_default=True, help="Of shuffling and split.")
@click.option("--keep-order", is_flag=True, help="Do not shuffle.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["auto", "npz", "idx", "lmdb", "hdf5", "folder"]),
    default="auto",
    show_default=True,
    help="What SOURCE is; auto: as it looks.",
)
@click.option("--size", metavar="HxW", help="Resize images; the shape of flat ones.")
@click.option(
    "--layout",
    type=click.Choice(["auto", "first", "last"]),
    default="auto",
    show_default=True,
    help="Where arrays of four axes have their channels.",
)
@click.pass_context
def convert_command(
    context: click.Context,
    source: Path,
    out: Path,
    to: str,
    name: str | None,
    val_share: float,
    seed: int,
    keep_order: bool,
    format_: str,
    size: str | None,
    layout: str,
) -> None:
    """Convert SOURCE into a data folder: shuffled, split, checked.

    \b
    SOURCE is one of
      FILE.npz     x and y; or x_train, y_train, x_val (or x_test), y_val
      IDX          train-images-idx3-ubyte[.gz] or its folder, as of MNIST
      DIR          a folder of images per class: DIR/cat/1.png, or
                   DIR/train/cat/1.png and DIR/val/cat/2.png
      LMDB         of Caffe, or a folder with train_lmdb and val_lmdb
      FILE.h5      data and label, as of Caffe; or their list; or x and y as above
      DATA         a data folder or a built-in name, with --to lmdb or --to hdf5
    """
    from ribosome.tools.convert import convert, convert_for_caffe, data_folder_of
    from ribosome.tools.sources.source import Reading

    if math.isnan(val_share):
        raise click.BadParameter("nan is no share", param_hint="--val-share")
    reading = Reading(size=_size(size), layout=layout)
    if to != "folder" and data_folder_of(str(source)) is not None:
        _refuse_options(context)
    bar = _Bar()

    def to_folder(source: Path, folder: Path) -> "DataInfo":
        return convert(
            source,
            folder,
            reading=reading,
            format=format_,
            name=name or "",
            val_share=val_share,
            seed=seed,
            keep_order=keep_order,
            started=bar.start,
            advance=bar.advance,
        )

    try:
        if to == "folder":
            info = to_folder(source, out)
        else:
            layer: Layer = "lmdb" if to == "lmdb" else "hdf5"
            info, made = convert_for_caffe(
                str(source),
                out,
                layer,
                to_folder=to_folder,
                started=bar.start,
                advance=bar.advance,
            )
    finally:
        bar.stop()
    if to == "folder":
        _print_info(info)
        path = json.dumps(str(out), ensure_ascii=False)  # a string of TOML as well
        click.echo(f"\nIn the config of a search:\n  [task]\n  data = {path}")
    else:
        _print_form(info, made, layer)


def _refuse_options(context: click.Context) -> None:
    """A data folder is written as it is: an option that would change it is a mistake."""
    given = click.core.ParameterSource.COMMANDLINE
    for parameter, option in FOREIGN_ONLY.items():
        if context.get_parameter_source(parameter) == given:
            raise click.UsageError(
                f"SOURCE is a data folder, shuffled and split already; leave {option} out"
            )


class _Bar:
    """A progress bar on stderr, for conversions that take a while."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self._progress = Progress(console=console, transient=True)
        self._is_wanted = console.is_terminal
        self._shown = False

    def start(self, images: int) -> None:
        """The number of images is known."""
        if self._is_wanted and images >= PROGRESS_FROM:
            for done in self._progress.task_ids:
                self._progress.remove_task(done)
            self._progress.add_task("images", total=images)
            self._progress.start()
            self._shown = True

    def advance(self, images: int) -> None:
        """So many more images are written."""
        if self._shown:
            self._progress.advance(self._progress.task_ids[0], images)

    def stop(self) -> None:
        """Remove the bar."""
        if self._shown:
            self._progress.stop()


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", text.strip().lower())
    if match is None:
        raise click.BadParameter(
            f"{text!r} is not HEIGHTxWIDTH, as in 28x28, of at most 9999",
            param_hint="--size",
        )
    return int(match[1]), int(match[2])


def _summary(info: "DataInfo") -> str:
    channels, height, width = info.shape
    return (
        f"{info.train:,} images to train and {info.val:,} to validate, "
        f"{channels}x{height}x{width}, {info.classes} classes"
    )


def _print_info(info: "DataInfo") -> None:
    import numpy as np

    from ribosome.backends.data import open_arrays

    arrays = open_arrays(info.folder)
    click.echo(f"{info.name}: {_summary(info)}")
    click.echo(f"  folder    {info.folder}")
    click.echo(f"  source    {info.source}")
    click.echo(f"  pixels    {arrays.train_images.dtype}; {_normalisation(info)}")
    counts = np.bincount(arrays.train_labels, minlength=info.classes)
    checked = np.bincount(arrays.val_labels, minlength=info.classes)
    largest = int(checked.argmax())
    share = checked[largest] / info.val
    fewest, most = int(counts.min()), int(counts.max())
    each = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
    click.echo(f"  classes   {each} training images each")
    click.echo(
        f"  majority  always guessing {_class(info, largest)!r} is right in "
        f"{text.percent(float(share))} of the validation images"
    )
    if info.class_names and info.class_names != tuple(map(str, range(info.classes))):
        shown = text.listed(info.class_names)
        click.echo(f"  names     {shown}")


def _print_form(info: "DataInfo", made: "CaffeData", layer: "Layer") -> None:
    click.echo(f"{info.name}: {_summary(info)}")
    click.echo(f"  train     {made.train}")
    click.echo(f"  val       {made.val}")
    if layer == "hdf5":
        click.echo(
            "  pixels    float32, as networks see them; HDF5Data needs no transform_param"
        )
        return
    lines = [f"mean_value: {mean!r}" for mean in info.mean]
    lines.append(f"scale: {info.scale!r}")
    click.echo(f"  pixels    as stored; transform_param {{ {' '.join(lines)} }}")


def _print_foreign(path: Path) -> bool:
    """What an LMDB or HDF5 holds; whether the path is such."""
    from ribosome.tools.convert import check_source
    from ribosome.tools.sources import detect, read_source
    from ribosome.tools.sources.source import Reading

    name = detect(path)
    if name not in ("lmdb", "hdf5"):
        return False
    held = read_source(path, Reading(), format=name)
    check_source(held, str(path))
    click.echo(f"{path}: {name.upper()} of {_shape(held.train)}")
    classes = len(held.class_names) or int(held.train.labels.max()) + 1
    click.echo(f"  train     {len(held.train.labels):,} images")
    if held.val is not None:
        click.echo(f"  val       {len(held.val.labels):,} images")
    click.echo(f"  classes   {classes}")
    click.echo(f"\nTo search on it: ribosome data convert {path} -o DIR")
    return True


def _shape(held: "Labelled") -> str:
    channels, height, width = held.images.shape
    return f"{channels}x{height}x{width} {held.images.dtype} images"


def _normalisation(info: "DataInfo") -> str:
    scale = text.number(info.scale)
    if not info.mean:
        return f"networks see pixel * {scale}"
    means = ", ".join(text.number(mean) for mean in info.mean)
    return f"networks see (pixel - [{means}]) * {scale}"


def _class(info: "DataInfo", label: int) -> str:
    return info.class_names[label] if info.class_names else str(label)
