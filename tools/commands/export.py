"""`ribosome export`: a network of a run with its trained weights."""

from collections.abc import Callable
from pathlib import Path

import click


@click.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--trial", type=click.IntRange(min=1), help="Its number; else the winner."
)
@click.option(
    "--backend",
    "backend_name",
    metavar="NAME",
    help="pytorch, caffe or nvcaffe; the run's own without it.",
)
@click.option(
    "-o",
    "out",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for the files.",
)
def command(run: Path, trial: int | None, backend_name: str | None, out: Path) -> None:
    """Write a network of a run with its trained weights.

    The files need no Ribosome: a module and its weights load with torch alone, a deploy
    file and a caffemodel with Caffe. Where the run has not kept the weights of the trial,
    it is trained again with its seed.
    """
    from ribosome.tools import export
    from ribosome.tools.files import check_room, write_files

    chosen = export.open_trial(run, trial, backend_name)
    number, before = chosen.trial.trial, chosen.trial.fitness or 0.0
    weights = chosen.target.weights_file
    files: dict[str, str | bytes] = dict(export.emitted(chosen))
    trained = export.kept(chosen)
    if trained is None:
        # Training may take long: first, whether there is room for what comes of it.
        check_room(out, {**files, weights: None, export.README: None})
        click.echo(
            f"The run has no whole weights of trial {number}: "
            "training it again with the same seed.",
            err=True,
        )
        trained = export.train_again(chosen, _shown_once())
        click.echo(
            f"Accuracy {trained.accuracy:.4f}; in the run it was {before:.4f}.",
            err=True,
        )
    files[weights] = export.ported(chosen, trained)
    files[export.README] = export.readme(chosen, trained)
    written = write_files(out, files)
    click.echo(f"Trial {number}, validation accuracy {trained.accuracy:.4f}:")
    for path in written:
        click.echo(f"  {path}")
    click.echo(f"How to load it stands in {out / export.README}")


def _shown_once() -> Callable[[int, int], None]:
    """Shows iterations; Caffe's log has the last one twice."""
    shown = -1

    def show(iteration: int, total: int) -> None:
        nonlocal shown
        if iteration != shown:
            click.echo(f"  iteration {iteration} of {total}", err=True)
        shown = iteration

    return show
