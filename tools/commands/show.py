"""`ribosome show`: the network that a genome stands for."""

import json

import click

from ribosome.tools.options import read_genome, resolve_task, task_options


@click.command("show")
@click.argument("genome")
@click.option(
    "--space", metavar="FILE", help="The genome's space, if not a shipped one."
)
@click.option(
    "--backend",
    "backend_name",
    metavar="NAME",
    default="pytorch",
    show_default=True,
    help="The framework whose source the genome is compared with.",
)
@click.option("--json", "as_json", is_flag=True, help="All of it, for programs.")
@task_options
def command(
    genome: str,
    space: str | None,
    backend_name: str,
    as_json: bool,
    task_file: str | None,
    data: str | None,
) -> None:
    """Show the network of a genome: layers, shapes, costs, solver.

    FLOPs count a multiply-add as two, for one image and the forward pass. Memory is
    that of the layer's output for one image in single precision. The last line compares
    the genome with the source that the backend writes for it.
    """
    from ribosome.tools.network_view import as_data, table, view

    found, genes = read_genome(genome, space)
    task = resolve_task(task_file, data)
    seen = view(found, genes, task, backend_name=backend_name)
    if as_json:
        click.echo(json.dumps(as_data(seen), indent=1))
        return

    from rich.console import Console

    console = Console(highlight=False)
    console.print(seen.model.genome, soft_wrap=True, markup=False)
    console.print(
        f"{seen.model.space}, for {task.name}: {task.channels}x{task.height}x"
        f"{task.width} images in {task.classes} classes",
        markup=False,
    )
    console.print(table(seen))
