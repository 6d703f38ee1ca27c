"""Networks from files, as commands take them: a prototxt, its weights, its solver."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ribosome.genome.errors import ReadError
from ribosome.genome.task import Task

if TYPE_CHECKING:
    from ribosome.backends.caffe.phases import Phase
    from ribosome.backends.caffe.read_model import ReadModel

LARGEST = 256 << 20
"""Bytes of a text that is read; a network of a million layers has fewer."""


class ImageShape(click.ParamType[tuple[int, int, int]]):
    """CHANNELSxHEIGHTxWIDTH, as in 3x224x224."""

    name = "CxHxW"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[int, int, int]:
        """(channels, height, width)."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d{1,6})x(\d{1,6})x(\d{1,6})", str(value))
        sizes = tuple(int(size) for size in match.groups()) if match else ()
        if len(sizes) != 3 or 0 in sizes:
            self.fail(f"{value!r} is no CxHxW, as in 3x224x224", param, ctx)
        return sizes


def read_file(path: Path) -> bytes:
    """A file's bytes. Raises ReadError for one that cannot be read or is too large."""
    try:
        with path.open("rb") as file:
            held = file.read(LARGEST + 1)
    except OSError as error:
        raise ReadError(f"{path}: {error.strerror}; check the path") from None
    if len(held) > LARGEST:
        raise ReadError(f"{path}: more than {LARGEST >> 20} MiB; this is no prototxt")
    return held


def read_network_file(
    path: Path,
    *,
    solver: Path | None = None,
    phase: "Phase" = "TEST",
    shape: tuple[int, int, int] | None = None,
    output: str | None = None,
    stages: tuple[str, ...] = (),
) -> "ReadModel":
    """The model of a train_val or deploy prototxt and, perhaps, of a solver file.

    Raises ReadError, with file, line, layer and field.
    """
    from ribosome.backends.caffe.read_model import read_model

    return read_model(
        read_file(path),
        path=str(path),
        solver=None if solver is None else read_file(solver),
        solver_path=str(solver),
        phase=phase,
        shape=shape,
        output=output,
        stages=stages,
    )


def task_of(read: "ReadModel", name: str) -> Task:
    """The task that a network is for, as far as the network itself tells."""
    network = read.model.network
    channels, height, width = network.input.shape
    return Task(name, channels, height, width, network.output.shape[0])
