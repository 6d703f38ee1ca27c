"""`ribosome encode`: the canonical genome of a network, from a genome or from a file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ribosome.genome.errors import EncodeError
from ribosome.genome.harmless import harmless
from ribosome.tools.networks import ImageShape
from ribosome.tools.options import read_genome, resolve_task, task_options

if TYPE_CHECKING:
    from ribosome.backends.caffe.read_model import ReadModel
    from ribosome.genome.network import Model
    from ribosome.genome.solver import Solver
    from ribosome.genome.space import Space
    from ribosome.genome.task import Task

PROTOTXT = frozenset((".prototxt", ".pbtxt", ".txt"))
OTHER_FILES = frozenset((".caffemodel", ".py", ".onnx", ".pt", ".pth", ".h5"))
"""What people may take for a network that can be encoded."""


@click.command("encode")
@click.argument("network", metavar="NET.prototxt|GENOME")
@click.option(
    "--space",
    metavar="NAME|FILE",
    help="The space to write the network in; a genome's own without it, else menndl.",
)
@click.option(
    "--nearest", is_flag=True, help="Take the nearest values, and list each rounding."
)
@click.option(
    "--solver",
    metavar="SOLVER.prototxt",
    type=click.Path(path_type=Path, dir_okay=False),
    help="How the network of NET.prototxt is trained.",
)
@click.option(
    "--shape",
    type=ImageShape(),
    metavar="CxHxW",
    help="The images' shape, as in 3x224x224; needed where NET.prototxt does not tell.",
)
@click.option(
    "--output",
    metavar="BLOB",
    help="The blob or layer to end in; needed where NET.prototxt has several ends.",
)
@task_options
def command(
    network: str,
    space: str | None,
    nearest: bool,
    solver: Path | None,
    shape: tuple[int, int, int] | None,
    output: str | None,
    task_file: str | None,
    data: str | None,
) -> None:
    """Print the canonical genome of a network.

    The network is a Caffe file, NET.prototxt, whose layers may have any names; or a
    GENOME, which is decoded for the task and written down again: genomes with the same
    network and solver have one canonical genome. What the space cannot express is said
    layer by layer; --nearest takes the nearest values that it has.
    """
    path = Path(network)
    if path.suffix.lower() in OTHER_FILES:
        raise EncodeError(
            f"{network}: cannot be encoded; give the prototxt of a network, or a genome"
        )
    if not _is_prototxt(path):
        if solver is not None or shape is not None or output is not None:
            raise click.UsageError(
                "--solver, --shape and --output are for a NET.prototxt."
            )
        _encode_genome(network, space, nearest, task_file, data)
        return
    from ribosome.genome.space_file import load_space
    from ribosome.tools.networks import read_network_file

    target = load_space(space or "menndl")
    task = None
    if task_file is not None or data is not None:
        task = resolve_task(task_file, data)
        shape = shape or task.shape
    read = read_network_file(
        path, solver=solver, phase="TRAIN", shape=shape, output=output
    )
    _encode_read(target, read, path.stem, task, nearest)


def _is_prototxt(path: Path) -> bool:
    try:
        return path.suffix.lower() in PROTOTXT or path.is_file()
    except OSError:  # longer than the name of a file can be: a genome
        return False


def _encode_read(
    target: "Space", read: "ReadModel", name: str, task: "Task | None", is_nearest: bool
) -> None:
    from dataclasses import replace

    from ribosome.tools.networks import task_of

    model = read.model
    for note in read.reading.notes:
        click.echo(harmless(note), err=True)
    if read.facts is None:
        model = replace(model, solver=_first_solver(target, read))
        click.echo(
            "No --solver is given: the genome trains by the first values of the space.",
            err=True,
        )
    _print(target, model, task or task_of(read, name), is_nearest)


def _first_solver(space: "Space", read: "ReadModel") -> "Solver":
    """The solver of the first alleles, with the file's batch size where it has one."""
    from dataclasses import replace

    from ribosome.genome.codec import unpack
    from ribosome.genome.decode import decode
    from ribosome.tools.networks import task_of

    genes = unpack(space, bytes(space.genome_bytes))
    solver = decode(space, genes, task_of(read, "any")).solver
    batch_size = read.training_batch
    return replace(solver, batch_size=batch_size) if batch_size else solver


def _encode_genome(
    text: str,
    space: str | None,
    is_nearest: bool,
    task_file: str | None,
    data: str | None,
) -> None:
    from ribosome.genome.codec import space_named_by, to_text
    from ribosome.genome.decode import decode
    from ribosome.genome.space_file import load_space

    target = None if space is None else load_space(space)
    named, _ = space_named_by(text)
    own = space if target is not None and target.name == named else None
    source, genes = read_genome(text, own)
    task = resolve_task(task_file, data)
    model = decode(source, genes, task)
    canonical = _print(target or source, model, task, is_nearest)
    if canonical == to_text(source, genes):
        click.echo("The genome is canonical already.", err=True)
    elif target is None or (target.name == named and not source.template):
        click.echo("The genome was not canonical; this one is.", err=True)


def _print(space: "Space", model: "Model", task: "Task", is_nearest: bool) -> str:
    """Print the genome, and on stderr what was rounded; returns it."""
    from ribosome.genome.codec import to_text
    from ribosome.genome.encode import encode
    from ribosome.genome.nearest import nearest

    try:
        if not is_nearest:
            text = to_text(space, encode(space, model, task))
            click.echo(text)
            return text
        found = nearest(space, model, task)
    except EncodeError as error:
        if not error.problems:
            raise
        raise _listed(space, error.problems, is_nearest) from None
    text = to_text(space, found.genes)
    click.echo(text)
    for rounding in found.roundings:
        click.echo(f"  {harmless(str(rounding))}", err=True)
    click.echo(_rounded(len(found.roundings)), err=True)
    return text


def _listed(space: "Space", problems: tuple[str, ...], is_nearest: bool) -> EncodeError:
    """Say every problem on a line of its own; returns the error that closes the list."""
    for problem in problems:
        click.echo(f"  {harmless(problem)}", err=True)
    count = f"{len(problems)} reasons" if len(problems) > 1 else "reason"
    advice = (
        "change the network, or take another space"
        if is_nearest
        else "--nearest takes the nearest values where there are any"
    )
    return EncodeError(
        f"space {space.name} {space.version} cannot express this network, for the {count} "
        f"above; {advice}"
    )


def _rounded(count: int) -> str:
    if not count:
        return "Nothing was rounded."
    return "1 value was rounded." if count == 1 else f"{count} values were rounded."
