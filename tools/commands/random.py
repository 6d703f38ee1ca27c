"""`ribosome random`: genomes drawn from a space."""

import click

from ribosome.tools.options import resolve_task, task_options


@click.command("random")
@click.option(
    *("-n", "count"),
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many.",
)
@click.option(
    "--space",
    metavar="NAME|FILE",
    default="menndl",
    show_default=True,
    help="The space to draw from; `ribosome spaces` lists those that are shipped.",
)
@click.option("--seed", type=click.IntRange(min=0), help="The same genomes every time.")
@task_options
def command(
    count: int, space: str, seed: int | None, task_file: str | None, data: str | None
) -> None:
    """Print random genomes, one per line.

    They are drawn as a search draws its first ones, and are canonical for the task:
    genomes with the same network and solver are written alike.
    """
    import numpy as np

    from ribosome.genome.codec import to_text
    from ribosome.genome.language import NetworkLanguage
    from ribosome.genome.space_file import load_space
    from ribosome.search.variation import draw

    language = NetworkLanguage(load_space(space), resolve_task(task_file, data))
    rng = np.random.default_rng(seed)
    for _ in range(count):
        genes = language.canonical(draw(language.groups, rng))
        click.echo(to_text(language.space, genes))
