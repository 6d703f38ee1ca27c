"""`ribosome tune`: the hyperparameters of the best network of a run, by an SVM."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ribosome.tools.options import progress_option, ranks_option

if TYPE_CHECKING:
    from ribosome.runner.config import Config

EVALUATIONS = 100
"""Networks that are trained where neither the run nor the user says how many."""


@click.command("tune")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--evaluations",
    type=click.IntRange(min=1),
    help=f"Networks to train; {EVALUATIONS} if the run does not say. More go on.",
)
@click.option(
    "--random",
    "share",
    type=float,
    help="Share of them that is drawn at random before there is a model.",
)
@click.option("--rounds", type=click.IntRange(min=1), help="Models, one after another.")
@click.option(
    "--time",
    "seconds",
    type=float,
    metavar="SECONDS",
    help="Train for so long instead, whatever the number of networks.",
)
@click.option(
    "--genome",
    metavar="GENOME",
    help='Whose hyperparameters: "best", "lenet", or a genome.',
)
@click.option(
    "--set",
    "more",
    metavar="TABLE.KEY=VALUE",
    multiple=True,
    help="Override the run's config, as in --set tune.good=0.9. Can be given again.",
)
@ranks_option
@progress_option
@click.pass_context
def command(
    ctx: click.Context,
    run: Path,
    evaluations: int | None,
    share: float | None,
    rounds: int | None,
    seconds: float | None,
    genome: str | None,
    more: tuple[str, ...],
    ranks: int | None,
    progress: Literal["auto", "live", "plain", "none"],
) -> None:
    """Tune the best network's hyperparameters by what an SVM has learned.

    Its topology stays. Some sets of hyperparameters are drawn at random; a support
    vector machine learns from them which do well, and the rest is drawn by it. What is
    not given here stands in [tune] of RUN/config.toml.
    """
    from ribosome.genome.errors import RibosomeError
    from ribosome.runner.launch import launched_rank, launched_ranks
    from ribosome.runner.signals import hold_back
    from ribosome.tools.commands.search import carry_out, launch

    if ranks is not None or launched_ranks() > 1:
        hold_back()
    given = {
        "evaluations": evaluations,
        "random": share,
        "rounds": rounds,
        "time_s": seconds,
        "genome": genome,
    }
    overrides = [f"tune.{key}={value}" for key, value in given.items() if value]
    if share == 0:
        overrides.append("tune.random=0.0")
    if evaluations and not seconds:
        overrides.append("tune.time_s=0.0")
    overrides += more
    try:
        config = _config(run, overrides)
        if launched_rank() == 0:
            _check_ended(run)
    except RibosomeError as error:
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
        launch(ranks, ["tune", str(run), *options], progress)
    carry_out(ctx, config, run, title=_title(config), resume=True, progress=progress)


def _config(run: Path, overrides: list[str]) -> "Config":
    """The run's config with what is to be tuned. Raises RunError, ConfigError."""
    from ribosome.genome.errors import RunError
    from ribosome.runner.config import load_config
    from ribosome.runner.resume import CONFIG

    if not (run / CONFIG).is_file():
        raise RunError(
            f"{run}: no run is here; start one with `ribosome search CONFIG -o {run}`"
        )
    config = load_config(run / CONFIG, overrides)
    if not (config.tune.evaluations or config.tune.time_s):
        overrides.append(f"tune.evaluations={EVALUATIONS}")
        config = load_config(run / CONFIG, overrides)
    return config


def _check_ended(run: Path) -> None:
    """Raise RunError if the search is not at its end: what is best is not known yet."""
    from ribosome.genome.errors import RunError
    from ribosome.runner.records import count_searched, read_config

    wanted, ended = read_config(run).search.evaluations, count_searched(run)
    if ended < wanted:
        raise RunError(
            f"{run}: {ended} of {wanted} networks of its search have ended; go on with it "
            f"first: ribosome search {run}/config.toml -o {run} --resume"
        )


def _title(config: "Config") -> str:
    tune = config.tune
    length = f"{tune.time_s:g} s" if tune.time_s else f"{tune.evaluations} sets of them"
    what = {"best": "the winner", "lenet": "LeNet"}.get(tune.genome, tune.genome)
    return (
        f"Tuning the hyperparameters of {what} for {config.task.data}: {length}, "
        f"{config.backend.name}"
    )
