"""Takes a network out of a run, with its trained weights, for use elsewhere.

The weights of the best trial are kept in the run folder; where the best were confirmed,
those of the winner's best repeat. Those of another trial are had by training it again with
the same seed, which on the same machine's CPU gives the same ones.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ribosome.backends.base import Failed, Iteration, Portable, Tested
from ribosome.backends.data import DataInfo, find_data, read_info
from ribosome.backends.registry import backend
from ribosome.genome.decode import decode
from ribosome.genome.errors import ReadError, RunError
from ribosome.genome.network import Model
from ribosome.genome.task import Task
from ribosome.runner.records import (
    Record,
    read_config,
    read_confirmations,
    read_trials,
)
from ribosome.templates.environment import plain, template
from ribosome.tools.options import read_genome_of_run

if TYPE_CHECKING:
    from ribosome.backends.base import Backend
    from ribosome.runner.config import Config

README = "README.md"


@dataclass(frozen=True)
class Trained:
    """Weights, as the backend that trained them keeps them, and their own accuracy."""

    weights: bytes
    accuracy: float


@dataclass(frozen=True)
class Run:
    """A run folder, the config that it was made with, and one trial of it.

    ``backend`` has trained the trial, ``target`` is what it is exported for.
    """

    folder: Path
    config: "Config"
    trial: Record
    backend: "Backend"
    target: Portable


def open_trial(folder: Path, trial: int | None, target: str | None) -> Run:
    """A trial of a run, the best one by default, to be exported for a backend.

    Raises RunError where it does not exist, has not ended well, or where its weights
    cannot be had for that backend.
    """
    trials = read_trials(folder)
    config = read_config(folder)
    trained_by = backend(config.backend.name)
    wanted = backend(target or config.backend.name)
    for each in (trained_by, wanted):
        if not isinstance(each, Portable):
            raise RunError(
                f"the backend {each.name} has no way to export weights; see "
                "ribosome.backends.base.Portable"
            )
    assert isinstance(wanted, Portable)
    if trial is None and (winner := read_confirmations(folder).winner) is not None:
        trial = winner.best
    return Run(folder, config, _choose(trials, trial, folder), trained_by, wanted)


def kept(run: Run) -> Trained | None:
    """What the run folder has kept of a trial; None without whole weights."""
    path = _weights_of(run.folder, run.trial)
    assert isinstance(run.backend, Portable)
    try:
        run.backend.read_weights(path, _model(run).network)
    except ReadError:
        return None
    return Trained(path.read_bytes(), run.trial.fitness or 0.0)


def emitted(run: Run) -> dict[str, str]:
    """The files that the target backend writes for a trial, to use it."""
    return run.target.emit_for_use(_model(run), _task(run))


def ported(run: Run, trained: Trained) -> bytes:
    """The weights as the target backend keeps them."""
    assert isinstance(run.backend, Portable)
    if run.backend.weights_file == run.target.weights_file:
        return trained.weights
    network = _model(run).network
    with tempfile.TemporaryDirectory(prefix="ribosome-") as folder:
        path = Path(folder, "weights")
        path.write_bytes(trained.weights)
        weights = run.backend.read_weights(path, network)
        run.target.write_weights(path, network, weights)
        return path.read_bytes()


def _model(run: Run) -> Model:
    space, genes = read_genome_of_run(run.trial.genome, run.config.space.name)
    return decode(space, genes, _task(run))


def _task(run: Run) -> Task:
    from ribosome.runner.config import config_of_tuning, training_of

    # Trials that were tuned, and their repeats, may have been trained otherwise.
    config = run.config if run.trial.model is None else config_of_tuning(run.config)
    return data_info(config).task(training_of(config))


def train_again(run: Run, progress: Callable[[int, int], object]) -> Trained:
    """Train a trial as in its run; ``progress`` is told the iteration, and of how many.

    Raises RunError where it fails this time.
    """
    from ribosome.runner.environment import trainer_environment
    from ribosome.runner.gpus import visible_gpus
    from ribosome.runner.proposer import trial_seed

    config, trainer, task = run.config, run.backend, _task(run)
    training = task.training
    files = trainer.emit(_model(run), task)
    trainer.prepare(task)
    gpus = visible_gpus(os.environ) if config.runner.gpus != "none" else ()
    with tempfile.TemporaryDirectory(prefix="ribosome-") as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        weights = Path(folder, "weights")
        command = trainer.command(
            folder,
            gpu=0 if gpus else None,
            seed=trial_seed(config.search.seed, run.trial.trial),
            save=str(weights),
        )
        environment = trainer_environment(
            os.environ,
            threads=training.threads,
            gpu=gpus[0] if gpus else None,
            extra=command.environment,
        )
        tested, message = _follow(
            command.argv,
            folder,
            environment,
            trainer,
            lambda iteration: progress(iteration, training.max_iterations),
        )
        if tested is None or not weights.is_file():
            raise RunError(
                f"trial {run.trial.trial} does not train this time: {message}; "
                "see it with `ribosome decode` and the trainer"
            )
        return Trained(weights.read_bytes(), tested.accuracy)


def readme(run: Run, trained: Trained) -> str:
    """How to use what was exported: a text for the folder."""
    info = data_info(run.config)
    return template(run.target.readme).render(
        info=info,
        accuracy=trained.accuracy,
        genome=plain(run.trial.genome),
        weights=run.target.weights_file,
        classes=", ".join(map(plain, info.class_names)) or f"0 to {info.classes - 1}",
    )


def data_info(config: "Config") -> DataInfo:
    """What the run's data set is."""
    return read_info(find_data(config.task.data))


def _weights_of(folder: Path, trial: Record) -> Path:
    """Where the runner keeps the weights of a trial."""
    from ribosome.runner.trial_evaluator import WEIGHTS
    from ribosome.runner.trial_folders import TRIALS

    return folder / TRIALS / str(trial.trial) / WEIGHTS


def _choose(trials: list[Record], number: int | None, folder: Path) -> Record:
    if number is None:
        ended_well = [trial for trial in trials if trial.fitness is not None]
        if not ended_well:
            raise RunError(
                f"{folder}: no trial has an accuracy yet; wait for one, or see what "
                f"failed: ribosome results {folder} --failures"
            )
        return max(
            ended_well,
            key=lambda trial: (
                trial.fitness or 0.0,
                _weights_of(folder, trial).is_file(),  # of equals, those that were kept
                -trial.trial,
            ),
        )
    for trial in trials:
        if trial.trial == number:
            if trial.fitness is None:
                ending = (trial.ending or "not at its end yet").replace("_", " ")
                raise RunError(
                    f"{folder}: trial {number} has no weights ({ending}); "
                    "choose one that `ribosome results` lists"
                )
            return trial
    raise RunError(
        f"{folder}: no trial {number}; there are 1 to {len(trials)}, "
        "see `ribosome results`"
    )


def _follow(
    argv: tuple[str, ...],
    folder: str,
    environment: dict[str, str],
    target: "Backend",
    iterated: Callable[[int], object],
) -> tuple[Tested | None, str]:
    """Run a trainer to its end: its last validation, and what it said of a failure."""
    parser = target.parser()
    tested: Tested | None = None
    message = "the trainer gives no accuracy"
    with subprocess.Popen(
        argv,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as trainer:
        assert trainer.stdout is not None
        for line in trainer.stdout:
            for event in parser.feed(line):
                match event:
                    case Iteration():
                        iterated(event.iteration)
                    case Tested():
                        tested = event
                    case Failed():
                        message = event.message
    return (tested if trainer.returncode == 0 else None), message
