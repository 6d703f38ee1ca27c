"""Trains one network and judges it: the program behind every PyTorch trial.

::

    python -P -m ribosome.backends.pytorch.train FOLDER --seed S [--gpu N]
        [--save weights.pt] [--max-iterations N]

FOLDER holds ``network.py`` and ``trial.json``. What happens is logged to stdout in logfmt,
one event a line: start, first_iteration, iteration, speed, test, saved, and at the end
done, failed or rejected; speed and test come at each check during training as well. The
exit code tells the kinds of failure apart (`endings`). On a CPU a seed decides everything
but the times.

`serve` does the same in a process that was forked from one which has imported this module,
once `rehearse` has made ready what it can while there is no trial yet:
all that a trial needs is imported here, and nothing here starts a thread or touches a GPU.
"""

import argparse
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from ribosome.backends.pytorch.device import Device, choose_device, fitted
from ribosome.backends.pytorch.endings import (
    EXIT_CODES,
    INTERRUPTED,
    USAGE,
    Diverged,
    Rejected,
    Usage,
    blaming,
    ending_of,
    one_line,
)
from ribosome.backends.pytorch.images import Images, training_and_validation
from ribosome.backends.pytorch.learner import Learner
from ribosome.backends.pytorch.logfmt import format_line
from ribosome.backends.pytorch.loop import Outcome, Trained, iterate
from ribosome.backends.pytorch.rehearsal import rehearse as rehearse
from ribosome.backends.pytorch.trial import (
    NETWORK_FILE,
    Trial,
    load_network,
    read_trial,
)
from ribosome.backends.pytorch.tryout import try_first, undisturbed
from ribosome.backends.pytorch.validation import (
    CAP,
    Verdict,
    finite_state,
    is_capped,
    validate,
)
from ribosome.backends.pytorch.weights import save_state
from ribosome.genome.errors import RibosomeError
from ribosome.genome.task import Training


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    folder: Path
    seed: int
    gpu: int | None
    save: str
    max_iterations: int | None


def main() -> None:
    """The trainer as a program of its own."""
    sys.exit(serve(sys.argv[1:]))


def serve(argv: Sequence[str]) -> int:
    """Run one trial in this process, given the arguments behind the program's name.

    Returns the exit code. It sets torch's threads and seed, so it is called once in a
    process.
    """
    try:
        options = _options(argv)
    except SystemExit as leaving:
        return USAGE if leaving.code else 0
    try:
        train(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        return _fail(error, options)
    log("done")
    return EXIT_CODES["ok"]


def train(options: Options) -> None:
    """Train the network of a folder and judge it; raises for every ending but ok."""
    trial = _overridden(read_trial(options.folder), options)
    training = trial.task.training
    device = choose_device(options.gpu, training.precision)
    _set_threads(training.threads)
    _seed(options.seed, device)
    source = str(options.folder / NETWORK_FILE)
    with blaming(source):
        network = load_network(options.folder)
    device = fitted(device, network)
    images, held_out = training_and_validation(
        trial.task, device.device, layout=device.layout
    )
    with blaming(source):
        learner = Learner(network, trial, images, device)
        if training.check_first:
            try_first(learner.network, images, device, size=trial.solver.batch_size)
    log(
        "start",
        torch=torch.__version__,
        device=str(device.device),
        precision=device.precision,
        threads=training.threads,
        seed=options.seed,
        parameters=sum(p.numel() for p in learner.network.parameters()),
        images=len(images),
        batch_size=trial.solver.batch_size,
    )

    def step(iteration: int, rate: float) -> Trained:
        with blaming(source) if iteration == 0 else nullcontext():
            return learner.step(iteration, rate)

    def test(done: int) -> None:
        with blaming(source):
            verdict = _judge(learner.network, held_out, device, training, done)
        log("test", iteration=done, accuracy=verdict.accuracy, loss=verdict.loss)

    def check(so_far: Outcome) -> None:
        _log_speed(so_far)
        with undisturbed(learner.network, device):
            test(so_far.iterations)

    outcome = iterate(step, trial.solver, training, device, log, check)
    _log_speed(outcome)
    if outcome.diverged:
        raise Diverged(outcome.diverged)
    test(outcome.iterations)
    if options.save:
        _save(learner.network, Path(options.save))
        log("saved", path=options.save)


def log(event: str, **values: str | int | float) -> None:
    """Write one line to stdout, at once: who reads it may be waiting for it."""
    print(format_line(event, **values), flush=True)


def _judge(
    network: nn.Module,
    images: Images,
    device: Device,
    training: Training,
    done: int,
) -> Verdict:
    if not finite_state(network):
        raise Diverged(f"a weight is not finite after {done} iterations")
    verdict = validate(network, images, device, batch_size=training.test_batch_size)
    if not verdict.finite:
        raise Diverged(f"an output is not finite after {done} iterations")
    if is_capped(verdict.loss):
        raise Diverged(f"the validation loss is at {CAP}, Caffe's cap")
    return verdict


def _log_speed(outcome: Outcome) -> None:
    if outcome.timed:
        log(
            "speed",
            batches_per_s=outcome.timed / outcome.seconds,
            iterations=outcome.timed,
            seconds=outcome.seconds,
        )


def _save(network: nn.Module, path: Path) -> None:
    state = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    save_state(state, path)


def _fail(error: Exception, options: Options) -> int:
    if isinstance(error, Usage):
        log("failed", ending="crashed", message=str(error))
        return USAGE
    ending = ending_of(error)
    cause = error.__cause__ or error
    if not isinstance(cause, RibosomeError):
        traceback.print_exception(cause, file=sys.stdout)
    path = str(options.folder / NETWORK_FILE)
    event = "rejected" if isinstance(error, Rejected) else "failed"
    log(event, ending=ending, message=one_line(error, path=path))
    return EXIT_CODES[ending]


def _set_threads(threads: int) -> None:
    torch.set_num_threads(threads)
    # To set it a second time is an error, even to the same number.
    if torch.get_num_interop_threads() != threads:
        torch.set_num_interop_threads(threads)


def _seed(seed: int, device: Device) -> None:
    # torch.manual_seed asks every kind of accelerator, which costs a forked process 3 ms.
    torch.default_generator.manual_seed(seed)
    if device.device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _overridden(trial: Trial, options: Options) -> Trial:
    if options.max_iterations is None:
        return trial
    training = replace(trial.task.training, max_iterations=options.max_iterations)
    return replace(trial, task=replace(trial.task, training=training))


def _options(argv: Sequence[str]) -> Options:
    given = _ARGUMENTS.parse_args(argv)
    if given.max_iterations is not None and given.max_iterations < 1:
        _ARGUMENTS.error("--max-iterations: must be 1 or more")
    if not given.folder.is_dir():
        _ARGUMENTS.error(f"{given.folder}: no such folder; emit the trial first")
    return Options(
        folder=given.folder.resolve(),
        seed=given.seed,
        gpu=given.gpu,
        save=given.save,
        max_iterations=given.max_iterations,
    )


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ribosome.backends.pytorch.train", description="Train one network."
    )
    parser.add_argument("folder", type=Path, help="with network.py and trial.json")
    parser.add_argument("--seed", type=int, required=True, help="of all randomness")
    parser.add_argument("--gpu", type=int, help="index among the visible GPUs")
    parser.add_argument("--save", default="", help="file for the trained weights")
    parser.add_argument("--max-iterations", type=int, help="instead of the task's")
    return parser


_ARGUMENTS = _arguments()  # made before a fork: a child pays for every page it touches

if __name__ == "__main__":
    main()
