"""`ribosome convert`: a Caffe network as PyTorch source, or as Caffe's own of today."""

from pathlib import Path

import click

from ribosome.tools.networks import ImageShape


@click.command("convert")
@click.argument("net", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--weights",
    metavar="W.caffemodel",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The trained weights of NET, to be converted with it.",
)
@click.option(
    "--backend",
    "backend_name",
    metavar="NAME",
    default="pytorch",
    show_default=True,
    help="The framework to convert to: pytorch, caffe or nvcaffe.",
)
@click.option(
    "--shape",
    type=ImageShape(),
    metavar="CxHxW",
    help="The images' shape, as in 3x224x224; needed where NET does not tell it.",
)
@click.option(
    "--output",
    metavar="BLOB",
    help="The blob or layer to end in; needed where NET has several ends.",
)
@click.option(
    "--phase",
    type=click.Choice(["TEST", "TRAIN"], case_sensitive=False),
    default="TEST",
    show_default=True,
    help="The phase whose layers are taken, where they differ.",
)
@click.option(
    "--stage",
    "stages",
    multiple=True,
    metavar="NAME",
    help="A stage that include and exclude rules ask for. Can be given again.",
)
@click.option(
    "-o",
    "out",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for the files.",
)
def command(
    net: Path,
    weights: Path | None,
    backend_name: str,
    shape: tuple[int, int, int] | None,
    output: str | None,
    phase: str,
    stages: tuple[str, ...],
    out: Path,
) -> None:
    """Convert a Caffe network and its weights to another framework.

    NET is a train_val or a deploy prototxt, of BVLC's Caffe or NVIDIA's, of any age.
    Written are the network and, with --weights, its weights in the framework's own form:
    for pytorch network.py and weights.pt, for caffe and nvcaffe deploy.prototxt and
    weights.caffemodel. What the network's output does not depend on is left out, and said.
    """
    from typing import cast

    from ribosome.backends.caffe.phases import Phase
    from ribosome.genome.harmless import harmless
    from ribosome.tools.convert_network import convert_network
    from ribosome.tools.files import write_files

    converted = convert_network(
        net,
        backend_name=backend_name,
        weights=weights,
        shape=shape,
        output=output,
        phase=cast(Phase, phase.upper()),
        stages=stages,
    )
    for note in converted.notes:
        click.echo(harmless(note), err=True)
    written = write_files(out, converted.files)
    click.echo(
        f"{net}: {converted.layers} {'layer' if converted.layers == 1 else 'layers'}, "
        f"{converted.parameters:,} parameters, {converted.shapes}:"
    )
    for path in written:
        click.echo(f"  {path}")
