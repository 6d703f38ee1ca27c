"""`ribosome show`: the network that a genome stands for."""

import json
from typing import TYPE_CHECKING

import click

from ribosome.tools.options import read_genome, resolve_task, task_options

if TYPE_CHECKING:
    from ribosome.genome.space import Genes, Space
    from ribosome.genome.task import Task


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
@click.option(
    "--hyperparameters",
    is_flag=True,
    help="What tuning would vary of it, instead: values and ranges.",
)
@click.option("--json", "as_json", is_flag=True, help="All of it, for programs.")
@task_options
def command(
    genome: str,
    space: str | None,
    backend_name: str,
    hyperparameters: bool,
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
    if hyperparameters:
        _show_hyperparameters(found, genes, task, as_json=as_json)
        return
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


def _show_hyperparameters(
    space: "Space", genes: "Genes", task: "Task", *, as_json: bool
) -> None:
    from ribosome.tools.hyperparameter_view import as_data, summary, table, view

    seen = view(space, genes, task)
    if as_json:
        click.echo(json.dumps(as_data(seen), indent=1))
        return

    from rich.console import Console

    console = Console(highlight=False)
    console.print(seen.genome, soft_wrap=True, markup=False)
    console.print(summary(seen), markup=False)
    console.print(table(seen))
