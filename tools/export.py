"""Takes a network out of a run, with its trained weights, for use elsewhere.

The weights of the best trial are kept in the run folder. Those of another trial are had
by training it again with the same seed, which on the same machine's CPU gives the
same ones.
"""

import os
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ribosome.backends.base import Failed, Iteration, Tested
from ribosome.backends.data import DataInfo, find_data, read_info
from ribosome.backends.registry import backend
from ribosome.genome.decode import decode
from ribosome.genome.errors import RunError
from ribosome.genome.task import Training
from ribosome.runner.journal import Record, read_config, read_trials
from ribosome.tools.options import read_genome

if TYPE_CHECKING:
    from ribosome.backends.base import Backend
    from ribosome.runner.config import Config

WEIGHTS = "weights.pt"
README = "README.md"


@dataclass(frozen=True)
class Trained:
    """A network's source and its weights; ``accuracy`` is theirs, not an earlier one's."""

    source: str
    weights: bytes
    accuracy: float


@dataclass(frozen=True)
class Run:
    """A run folder, the config that it was made with, and one trial of it."""

    folder: Path
    config: "Config"
    trial: Record
    backend: "Backend"


def open_trial(folder: Path, trial: int | None, backend_name: str | None) -> Run:
    """A trial of a run, the best one by default.

    Raises RunError where it does not exist, has not ended well, or was trained by
    another backend than the one named.
    """
    trials = read_trials(folder)
    config = read_config(folder)
    trained_by = config.backend.name
    if backend_name is not None and backend_name != trained_by:
        backend(backend_name)
        raise RunError(
            f"{folder}: its networks were trained by {trained_by}, and this version "
            f"exports weights to no other backend: leave --backend {backend_name} out"
        )
    return Run(folder, config, _choose(trials, trial, folder), backend(trained_by))


def kept(run: Run) -> Trained | None:
    """What the run folder has kept of a trial; None without whole weights."""
    from ribosome.runner.trial_evaluator import TRIALS
    from ribosome.runner.trial_evaluator import WEIGHTS as KEPT_WEIGHTS

    folder = run.folder / TRIALS / str(run.trial.trial)
    try:
        source = (folder / run.backend.main_file).read_text(encoding="utf-8")
        # torch's files are zip archives: one that was cut off has lost its directory.
        with zipfile.ZipFile(folder / KEPT_WEIGHTS) as archive:
            if archive.testzip() is not None:
                return None
        weights = (folder / KEPT_WEIGHTS).read_bytes()
    except (FileNotFoundError, zipfile.BadZipFile):
        return None
    return Trained(source, weights, run.trial.fitness or 0.0)


def emitted(run: Run) -> dict[str, str]:
    """The files that the backend writes for a trial, as it did in the run."""
    space, genes = read_genome(run.trial.genome, run.config.space.name)
    task = data_info(run.config).task(_training(run.config))
    return run.backend.emit(decode(space, genes, task), task)


def train_again(run: Run, progress: Callable[[int, int], object]) -> Trained:
    """Train a trial as in its run; ``progress`` is told the iteration, and of how many.

    Raises RunError where it fails this time.
    """
    from ribosome.runner.environment import trainer_environment, visible_gpus
    from ribosome.runner.proposer import trial_seed

    config, target = run.config, run.backend
    training = _training(config)
    files = emitted(run)
    gpus = visible_gpus(os.environ) if config.runner.gpus != "none" else ()
    with tempfile.TemporaryDirectory(prefix="ribosome-") as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        weights = Path(folder, "weights")
        command = target.command(
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
            target,
            lambda iteration: progress(iteration, training.max_iterations),
        )
        if tested is None or not weights.is_file():
            raise RunError(
                f"trial {run.trial.trial} does not train this time: {message}; "
                "see it with `ribosome decode` and the trainer"
            )
        return Trained(files[target.main_file], weights.read_bytes(), tested.accuracy)


def readme(run: Run, trained: Trained) -> str:
    """How to use what was exported: a text for the folder."""
    info = data_info(run.config)
    channels, height, width = info.shape
    classes = ", ".join(info.class_names) or f"0 to {info.classes - 1}"
    mean = ", ".join(f"{value!r}" for value in info.mean)
    centred = (
        f"(pixels - torch.tensor([{mean}]).view(-1, 1, 1))" if info.mean else "pixels"
    )
    return f"""\
# A network found by Ribosome

Validation accuracy {trained.accuracy:.4f} on {info.val:,} images of {info.name}.
Genome: `{run.trial.genome}`

It needs torch and nothing else. In this folder:

```python
import torch
from network import Network

network = Network()
network.load_state_dict(
    torch.load("{WEIGHTS}", map_location="cpu", weights_only=True)
)
network.eval()

# pixels: a float tensor of shape (batch, {channels}, {height}, {width}),
# with the values that they have in the data set
logits = network({centred} * {info.scale!r})
classes = logits.argmax(1)
```

Classes: {classes}.
"""


def data_info(config: "Config") -> DataInfo:
    """What the run's data set is."""
    return read_info(find_data(config.task.data))


def _choose(trials: list[Record], number: int | None, folder: Path) -> Record:
    if number is None:
        ended_well = [trial for trial in trials if trial.fitness is not None]
        if not ended_well:
            raise RunError(
                f"{folder}: no trial has an accuracy yet; wait for one, or see what "
                f"failed: ribosome results {folder} --failures"
            )
        return max(ended_well, key=lambda trial: (trial.fitness or 0.0, -trial.trial))
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


def _training(config: "Config") -> Training:
    import msgspec

    return Training(**msgspec.structs.asdict(config.training))


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
