"""`ribosome decode`: a genome's network as a framework's own source."""

from pathlib import Path

import click

from ribosome.tools.options import read_genome, resolve_task, task_options


@click.command("decode")
@click.argument("genome")
@click.option(
    "--backend",
    "backend_name",
    metavar="NAME",
    default="pytorch",
    show_default=True,
    help="The framework whose source is written.",
)
@click.option(
    "-o",
    "out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write all files there; without it the main one goes to stdout.",
)
@click.option(
    "--space", metavar="FILE", help="The genome's space, if not a shipped one."
)
@task_options
def command(
    genome: str,
    backend_name: str,
    out: Path | None,
    space: str | None,
    task_file: str | None,
    data: str | None,
) -> None:
    """Write the network of a genome as a framework's own source."""
    from ribosome.backends.registry import backend
    from ribosome.genome.decode import decode
    from ribosome.tools.files import write_files

    target = backend(backend_name)
    found, genes = read_genome(genome, space)
    task = resolve_task(task_file, data)
    files = target.emit(decode(found, genes, task), task)
    if out is None:
        click.echo(files[target.main_file], nl=False)
        return
    for path in write_files(out, files):
        click.echo(path)
