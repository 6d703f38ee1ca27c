"""`ribosome encode`: the canonical genome of a network."""

from pathlib import Path

import click

from ribosome.genome.errors import EncodeError
from ribosome.tools.options import read_genome, resolve_task, task_options

NETWORK_FILES = frozenset((".prototxt", ".pbtxt", ".caffemodel", ".py", ".onnx", ".pt"))


@click.command("encode")
@click.argument("genome")
@click.option(
    "--space",
    metavar="NAME|FILE",
    help="The space to write the network in; the genome's own without it.",
)
@task_options
def command(
    genome: str, space: str | None, task_file: str | None, data: str | None
) -> None:
    """Print the canonical genome of a network.

    The network is given by a GENOME, which is decoded for the task and written down
    again: genomes with the same network and solver have one canonical genome. With
    another space than the genome's own, the network is expressed in that one.
    """
    from ribosome.genome.codec import space_named_by, to_text
    from ribosome.genome.decode import decode
    from ribosome.genome.encode import encode
    from ribosome.genome.space_file import load_space

    if Path(genome).suffix.lower() in NETWORK_FILES:
        raise EncodeError(
            f"{genome}: this version encodes genomes only, not network files; "
            "give a genome, as `ribosome random` prints"
        )
    target = None if space is None else load_space(space)
    named, _ = space_named_by(genome)
    own = space if target is not None and target.name == named else None
    source, genes = read_genome(genome, own)
    task = resolve_task(task_file, data)
    model = decode(source, genes, task)
    found = encode(target or source, model, task)
    canonical = to_text(target or source, found)
    click.echo(canonical)
    if canonical == to_text(source, genes):
        click.echo("The genome is canonical already.", err=True)
    elif target is None or target.name == named:
        click.echo("The genome was not canonical; this one is.", err=True)
