"""`ribosome search`: runs a search, over MPI or with workers on this machine."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

import click

from ribosome.tools.options import progress_option, ranks_option

if TYPE_CHECKING:
    from ribosome.runner.config import Config
    from ribosome.tools.progress import Style


@click.command("search")
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "run",
    metavar="RUN",
    required=True,
    type=click.Path(path_type=Path),
    help="The run folder; must be new or empty, but for --resume.",
)
@click.option("--resume", is_flag=True, help="Go on with the run that is in RUN.")
@click.option(
    "--set",
    "overrides",
    metavar="TABLE.KEY=VALUE",
    multiple=True,
    help="Override the config, as in --set search.seed=2. Can be given again.",
)
@ranks_option
@progress_option
@click.pass_context
def command(
    ctx: click.Context,
    config: Path,
    run: Path,
    resume: bool,
    overrides: tuple[str, ...],
    ranks: int | None,
    progress: Literal["auto", "live", "plain", "none"],
) -> None:
    """Search for the best network, as the file CONFIG says.

    Alone it starts its workers itself. Under mpiexec, jsrun or srun, or with --mpi, it
    is the MPI run: rank 0 is the master, every other rank a worker. RUN gets the
    config, a journal, and the folders of the best trials and of failures.
    """
    from ribosome.genome.errors import ConfigError
    from ribosome.runner.config import load_config
    from ribosome.runner.launch import launched_rank, launched_ranks
    from ribosome.runner.signals import hold_back

    if ranks is not None or launched_ranks() > 1:
        hold_back()
    try:
        settings = load_config(config, overrides)
    except ConfigError as error:
        if launched_ranks() > 1:
            from ribosome.runner.nodes import cannot_begin

            cannot_begin(str(error))
        if launched_rank() > 0:  # rank 0 says it
            ctx.exit(1)
        raise
    if progress == "auto":
        progress = "live" if sys.stdout.isatty() else "plain"
    if launched_ranks() == 1 and ranks is not None:
        options = [arg for override in overrides for arg in ("--set", override)]
        if resume:
            options.append("--resume")
        launch(ranks, ["search", str(config), "-o", str(run), *options], progress)
    title = (
        f"Searching {settings.space.name} for {settings.task.data}: "
        f"{settings.search.strategy}, {settings.search.evaluations} networks, "
        f"{settings.backend.name}"
    )
    if settings.tune.evaluations or settings.tune.time_s:
        title += ", then tuning"
    carry_out(ctx, settings, run, title=title, resume=resume, progress=progress)


def launch(ranks: int, arguments: list[str], progress: str) -> NoReturn:
    """Become mpiexec: signals and exit codes pass without a process in between.

    ``arguments`` are a command's name and its own, without ``progress``.
    """
    import signal

    from ribosome.runner.launch import mpi_argv
    from ribosome.runner.signals import held_back, let_through
    from ribosome.tools.cli import INTERRUPTED

    argv = mpi_argv(
        ranks,
        [
            *(sys.executable, "-P", "-m", "ribosome.tools.cli"),
            *arguments,
            *("--progress", progress),
        ],
    )
    # The ranks write into pipes and cannot ask the terminal for its size.
    terminal = shutil.get_terminal_size()
    environment = {
        **os.environ,
        "COLUMNS": str(terminal.columns),
        "LINES": str(terminal.lines),
    }
    sys.stdout.flush()
    sys.stderr.flush()
    if held_back():
        click.echo("ribosome: interrupted before the run began", err=True)
        sys.exit(INTERRUPTED)
    # mpiexec must not begin with them blocked, nor Python forget one that it has noted.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    let_through()
    os.execvpe(argv[0], argv, environment)


def carry_out(
    ctx: click.Context,
    config: "Config",
    run: Path,
    *,
    title: str,
    resume: bool,
    progress: "Style",
) -> None:
    """Be a run's master or worker to its end, and print what it has found."""
    from ribosome.genome.harmless import harmless
    from ribosome.runner.launch import launched_rank
    from ribosome.runner.observer import Interrupted
    from ribosome.runner.run import search
    from ribosome.tools.progress import make_display
    from ribosome.tools.summary import print_summary

    # The ranks that work show nothing: search never returns for them.
    display = make_display("none" if launched_rank() > 0 else progress, title)
    try:
        with display:
            summary = search(config, str(run), resume=resume, observer=display)
    except Interrupted as interrupted:
        click.echo(f"ribosome: {harmless(str(interrupted))}", err=True)
        ctx.exit(interrupted.exit_code)
    if progress != "none":
        print_summary(config, run, summary, live=progress == "live")
