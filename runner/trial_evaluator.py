"""Evaluates genomes by training them: decode, emit, write, launch, judge.

Space, data and backend are loaded once for all trials of a worker. Everything that can
go wrong with one genome is a Result; nothing of it reaches the worker as an exception. What
goes wrong around it is not the genome's: such a trial is given back.
"""

import os
import socket
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from ribosome.backends.base import Command, Ending, Tested
from ribosome.backends.data import find_data, read_info, shares_of_classes
from ribosome.backends.nofollow import is_folder, make_folder, remove
from ribosome.backends.registry import backend
from ribosome.genome.codec import unpack
from ribosome.genome.cost import cost
from ribosome.genome.decode import decode
from ribosome.genome.errors import RibosomeError
from ribosome.genome.space_file import load_space
from ribosome.genome.task import Training
from ribosome.runner.config import Config, config_of_tuning, training_of
from ribosome.runner.drawing import space_tuned
from ribosome.runner.environment import trainer_environment
from ribosome.runner.evaluator import ready_here
from ribosome.runner.leftovers import clear
from ribosome.runner.messages import (
    Checked,
    GivenBack,
    Ready,
    Result,
    Setup,
    Work,
    sanitised,
)
from ribosome.runner.stopping import Constant
from ribosome.runner.trial import LOG, Limits, Outcome, Trial
from ribosome.runner.trial_data import TrialData
from ribosome.runner.trial_folders import TRIALS
from ribosome.runner.verdict import clean
from ribosome.runner.warm import Launcher

WEIGHTS = "weights"
"""The trained weights' name in the folder of a trial, whatever the backend."""


@dataclass(slots=True)
class _Current:
    """The trial at hand: what is known of it before it ends."""

    work: Work
    folder: Path
    started_at: float
    clock: float
    parameters: int | None = None
    flops_per_batch: float | None = None
    files: tuple[str, ...] = ()
    training: Training | None = None
    trial: Trial | None = None
    outcome: Outcome | None = None
    failure: tuple[Ending, str] | None = None


class TrialEvaluator:
    """One worker's evaluator of genomes: see `ribosome.runner.evaluator.Evaluator`.

    Raises RibosomeError where the run itself cannot be evaluated: no such space, data
    or backend, and whatever ``going`` raises, which is called while data is staged. Made on
    the thread that uses it: the warm process ends with that thread.
    """

    def __init__(
        self, setup: Setup, *, going: Callable[[], object] = lambda: None
    ) -> None:
        self._config = msgspec.json.decode(setup.config, type=Config)
        self._trials = Path(setup.folder, TRIALS)
        self._space = load_space(self._config.space.name)
        data = read_info(find_data(self._config.task.data))
        self._backend = backend(self._config.backend.name)
        self._gpu = setup.gpu
        share = self._config.stopping.constant_after
        self._constant = Constant(
            share, shares_of_classes(data.folder) if share else (), images=data.val
        )
        tuned = config_of_tuning(self._config)
        self._limits, self._tuned_limits = limits(self._config), limits(tuned)
        self._tuned_training = training_of(tuned)
        self._where = f"worker {setup.worker} on {socket.gethostname()}"
        self._environment = trainer_environment(
            os.environ,
            threads=self._config.training.threads,
            gpu=self._gpu,
            trials_per_gpu=self._config.runner.trials_per_gpu,
            extra={},
        )
        self._current: _Current | None = None
        self._data = TrialData(
            data.task(training_of(self._config)),
            self._config.runner.stage,
            self._backend.prepare,
            going=going,
        )
        try:
            self._launcher = self._prepared_launcher()
        except BaseException:
            self._data.release()
            raise
        # Readable for ever: a failure before the launch is news at once.
        self._news_at_once = os.eventfd(1)

    def ready(self) -> Ready:
        """Where this worker runs, and what it has made ready."""
        return msgspec.structs.replace(
            ready_here(),
            gpu=None if self._gpu is None else self._gpu.label,
            staged=self._data.copy,
            bytes_read=self._data.bytes_read,
            warning=self._data.warning,
        )

    def start(self, work: Work) -> None:
        """Begin a trial. Never raises for a bad genome: that is a result."""
        current = self._current = _Current(
            work=work,
            folder=self._trials / work.folder_name,
            started_at=time.time(),
            clock=time.monotonic(),
        )
        try:
            self._launch(current)
        except RibosomeError as error:
            current.failure = "invalid", str(error)
        except Exception as error:
            current.failure = "crashed", _trace(error)

    def fileno(self) -> int | None:
        """What to wait on for news of the trial; None where none runs."""
        if self._current is None:
            return None
        if self._current.trial is None:
            return self._news_at_once
        return self._current.trial.fileno()

    def poll(self) -> Checked | Result | GivenBack | None:
        """Take in what there is, without waiting; the result once the trial ended.

        Each validation during training comes before that.

        A trial that failed for want of its data is given back, and one that somebody has
        ended. Raises Unfit where the data is gone for good, and what ``going``
        raises.
        """
        current = self._current
        if current is None:
            return None
        if current.trial is not None and current.outcome is None:
            try:
                current.outcome = current.trial.poll()
            except Exception as error:
                # A parser that fails, a full disk: this trial is lost, not the worker.
                current.trial.kill()
                current.failure = "crashed", _trace(error)
            else:
                if checked := self._next_check(current):
                    return checked
                if current.outcome is None:
                    return None
        elif checked := self._next_check(current):
            return checked
        outcome = current.outcome
        self._current = None
        result = _result(current, outcome, where=self._where)
        try:
            given_back = self._given_back(result, outcome)
        except BaseException:
            remove(current.folder)
            raise
        kept = self._is_kept(result, work=current.work)
        if given_back is not None and not given_back.charged:
            kept = False
        # A trainer may have put something else in its folder's place.
        if not (kept and is_folder(current.folder)):
            remove(current.folder)
        elif result.ending != "ok" and self._config.runner.keep_trials != "all":
            clear(current.folder, keep=(*current.files, LOG))
        return given_back or result

    def halt(self, why: str) -> None:
        """Have the running trial end with the accuracy of its last check."""
        if self._current is not None and self._current.trial is not None:
            self._current.trial.halt(why)

    def cancel(self) -> None:
        """End the running trial, with every process of it, and forget it."""
        if self._current is None:
            return
        if self._current.trial is not None:
            self._current.trial.kill()
        remove(self._current.folder)
        self._current = None

    def close(self) -> None:
        """Give back everything that is kept between trials."""
        try:
            self.cancel()
            self._launcher.close()
            os.close(self._news_at_once)
        finally:
            self._data.release()

    def _given_back(self, result: Result, outcome: Outcome | None) -> GivenBack | None:
        """What to say instead of a result that is not the network's; None for one that is."""
        failed = result.ending in ("invalid", "crashed") and not result.rejected
        if failed and (lost := self._data.regain()):
            message = f"{self._where}: {lost}"
            return GivenBack(result.trial, message, charged=False)
        if outcome is not None and outcome.blameless:
            return GivenBack(result.trial, result.message, charged=True)
        return None

    def _launch(self, current: _Current) -> None:
        work = current.work
        space, task, allowed = self._space, self._data.task, self._limits
        if work.template:
            space, allowed = space_tuned(space, work.template), self._tuned_limits
            task = replace(task, training=self._tuned_training)
        model = decode(space, unpack(space, work.genome), task)
        price = cost(model.network)
        current.parameters = price.parameters
        current.flops_per_batch = price.training_flops * model.solver.batch_size
        files = self._backend.emit(model, task)
        current.files = tuple(files)
        current.training = task.training
        _write(current.folder, files)
        command = self._command(current.folder, seed=work.seed)
        current.trial = Trial(
            self._launcher,
            command,
            current.folder,
            {**self._environment, **command.environment},
            parser=self._backend.parser(),
            says=self._backend.ending,
            limits=allowed,
        )

    def _next_check(self, current: _Current) -> Checked | None:
        """The next validation during training that the trial has told of; None for no more.

        A network that predicts one class after its share of the training is halted here.
        """
        trial, training = current.trial, current.training
        while trial is not None and training is not None and trial.tested:
            tested = trial.tested.popleft()
            if not _is_check(tested, training):
                continue
            if why := self._constant.why(tested, training.max_iterations):
                trial.halt(why)
            return Checked(current.work.trial, tested.iteration, tested.accuracy)
        return None

    def _command(self, folder: Path, *, seed: int) -> Command:
        return self._backend.command(
            str(folder),
            # The environment shows the trainer one GPU, so its index there is 0.
            gpu=None if self._gpu is None else 0,
            seed=seed,
            save=str(folder / WEIGHTS),
        )

    def _prepared_launcher(self) -> Launcher:
        """A launcher whose import of the framework is already under way."""
        preload = ""
        if self._config.runner.warm_start:
            preload = self._command(self._trials, seed=0).preload
        launcher = Launcher(preload, environment=self._environment)
        launcher.prepare()
        return launcher

    def _is_kept(self, result: Result, *, work: Work) -> bool:
        match self._config.runner.keep_trials:
            case "all":
                return True
            case "none":
                return False
        if result.stopped or result.rejected:
            return False  # no weights, or nothing to find out
        return result.fitness is None or result.fitness > work.keep_above


def limits(config: Config) -> Limits:
    """What a trial of a run may take.

    Without a wall limit of its own a trial gets twice its training time and a minute.
    Without a stall limit it may be silent as long as it may train, and a minute more, but
    two minutes at least: a slow network takes long from one line to the next. Where the
    training time is not limited, a trial may take any time, and be silent ten minutes.
    """
    training_s, runner = config.training.time_limit_s, config.runner
    wall_s, stall_s = runner.wall_limit_s, runner.stall_limit_s
    if not wall_s:
        wall_s = 2.0 * training_s + 60.0 if training_s else float("inf")
    if not stall_s:
        stall_s = max(120.0, training_s + 60.0) if training_s else 600.0
    return Limits(wall_s, stall_s, log_bytes=runner.log_limit_mb * 2.0**20)


def _is_check(tested: Tested, training: Training) -> bool:
    """Whether a validation is one of those during training, and has an accuracy."""
    every, done = training.check_every, tested.iteration
    is_due = bool(every) and done % every == 0 and 0 < done < training.max_iterations
    return is_due and 0.0 <= tested.accuracy <= 1.0


def _write(folder: Path, files: Mapping[str, str]) -> None:
    make_folder(folder)  # one may be left from a run that was cut off in this trial
    for name, text in files.items():
        if "/" in name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with open(f"{folder}/{name}", "wb") as file:  # noqa: PTH123 (in every trial)
            file.write(text.encode())


def _result(current: _Current, outcome: Outcome | None, *, where: str) -> Result:
    """What to report; without an outcome the trial failed before or beside it."""
    ending, message = current.failure or ("crashed", "")
    fitness = loss = speed = iterations = None
    stopped = rejected = False
    where += ": "
    if outcome is not None:
        ending, message = outcome.verdict.ending, outcome.verdict.message
        speed, iterations = outcome.seen.batches_per_s, outcome.seen.iterations
        stopped, failed = outcome.verdict.stopped, outcome.seen.failed
        rejected = ending == "invalid" and failed is not None and failed.rejected
        if outcome.seen.tested is not None:
            fitness = outcome.seen.tested.accuracy
            loss = outcome.seen.tested.loss
        if stopped and current.training is not None and outcome.seen.tested is not None:
            done, of = outcome.seen.tested.iteration, current.training.max_iterations
            message = f"stopped at iteration {done} of {of}: {message}"
    if stopped or rejected:
        where = ""  # nothing went wrong there
    return sanitised(
        Result(
            trial=current.work.trial,
            ending=ending,
            fitness=fitness,
            loss=loss,
            batches_per_s=speed,
            flops_per_batch=current.flops_per_batch,
            parameters=current.parameters,
            seconds=time.monotonic() - current.clock,
            started_at=current.started_at,
            finished_at=time.time(),
            message=clean(where + message) if ending != "ok" or stopped else "",
            iterations=iterations,
            stopped=stopped,
            rejected=rejected,
        )
    )


def _trace(error: Exception) -> str:
    """The end of a traceback in one line: what, and where in our code."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"
    )
