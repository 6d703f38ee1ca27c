"""Starts caffe on one network and sees that it ends: the program behind every Caffe trial.

::

    python -P -m ribosome.backends.caffe.train FOLDER --seed S [--gpu N]
        [--save weights.caffemodel]

FOLDER holds what the backend emits: ``solver.prototxt``, ``train_val.prototxt`` and
``trial.json``. Written beside them is ``run.prototxt``, the solver for this device and this
seed. Caffe's log goes through as it comes, and its exit code is ours, 128 and the signal
where one ended it (`endings`).

Caffe counts iterations and knows no time limit. Where the trial has one, caffe is told to
stop (SIGINT) once it has trained that long, and ``caffe test`` then validates the snapshot
that it leaves; so too where its validations during training do not come out even, because
caffe has one at its end only if that is the turn of one. Training time is counted from the
line of the first iteration, and not while caffe validates.

Whatever ends this process, caffe ends with it, by a signal from here or from the kernel.

`serve` does the same in a process that was forked from one which has imported this module;
it imports little, so that it may be imported anywhere.
"""

import argparse
import ctypes
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from ribosome.backends.caffe.binary import caffe_environment, find_caffe
from ribosome.backends.caffe.endings import FAILED, INTERRUPTED, NO_CAFFE, TROUBLE
from ribosome.backends.caffe.files import SOLVER, TRAIN_VAL, TRIAL
from ribosome.backends.caffe.training_clock import TrainingClock
from ribosome.genome.errors import ConfigError, RibosomeError

RUN = "run.prototxt"

_OF_THIS_RUN = re.compile(r"\s*(?:solver_mode|random_seed)\s*:")
_SNAPSHOT = re.compile(r"snapshot_iter_(\d+)\.(?:caffemodel|solverstate)(?:\.h5)?")
_PATIENCE_S = 0.5
_PR_SET_PDEATHSIG = 1

# Loaded here, because a child must not import between fork and exec.
_prctl = ctypes.CDLL(None, use_errno=True).prctl


class TrainerError(RibosomeError):
    """A trial that cannot be started, or whose end is not what it should be."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    folder: Path
    seed: int
    gpu: int | None
    save: Path | None


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``trial.json`` says; a limit of 0 seconds is none.

    ``tests_at_end`` says whether caffe validates what it has when it has trained to the end.
    """

    time_limit_s: float
    test_iterations: int
    tests_at_end: bool = True


def main() -> None:
    """The supervisor as a program of its own."""
    sys.exit(serve(sys.argv[1:]))


def serve(argv: Sequence[str]) -> int:
    """Run one trial, given the arguments behind the program's name; the exit code."""
    try:
        options = _options(argv)
    except SystemExit as leaving:
        return TROUBLE if leaving.code else 0
    try:
        with _ended_by(signal.SIGTERM):
            return train(options)
    except ConfigError as error:
        _say(str(error))
        return NO_CAFFE
    except TrainerError as error:
        _say(str(error))
        return TROUBLE
    except OSError as error:
        # A disk that is full is found out when a file is closed, which has no name by then.
        _say(f"{error.filename or options.folder}: {error.strerror or error}")
        return TROUBLE
    except KeyboardInterrupt:
        return INTERRUPTED


def train(options: Options) -> int:
    """Train the network of a folder, and save what it has learned; the exit code.

    Raises ConfigError where there is no caffe, and TrainerError or OSError for what is
    wrong with the folder.
    """
    folder = options.folder
    settings = read_settings(folder)
    caffe = find_caffe()
    device = [] if options.gpu is None else ["-gpu", str(options.gpu)]
    solver = _read(folder / SOLVER)
    (folder / RUN).write_text(
        run_solver(solver, seed=options.seed, gpu=options.gpu is not None),
        encoding="utf-8",
    )
    # Left from an earlier run in this folder, they would be taken for this one's.
    _remove_snapshots(folder)
    try:
        clock = TrainingClock(settings.time_limit_s)
        code = _run([caffe, "train", "-solver", RUN, *device], folder, clock)
        weights = _last_snapshot(folder)
        if code == 0 and (clock.expired or not settings.tests_at_end):
            if weights is None:
                raise TrainerError(
                    "caffe ended without a validation, and left no snapshot"
                )
            test = [caffe, "test", "-model", TRAIN_VAL, "-weights", weights.name]
            test += ["-iterations", str(settings.test_iterations), *device]
            code = _run(test, folder, TrainingClock(0.0))
        if code == 0 and options.save is not None:
            if weights is None:
                raise TrainerError("caffe left no snapshot to save the weights from")
            _move(weights, options.save)
    finally:
        _remove_snapshots(folder)
    return code


def run_solver(solver: str, *, seed: int, gpu: bool) -> str:
    """The text of a solver for one run: its device and seed in place of what it says.

    Caffe takes seeds from 0, and of 32 bits.
    """
    lines = [line for line in solver.splitlines() if not _OF_THIS_RUN.match(line)]
    lines.append(f"solver_mode: {'GPU' if gpu else 'CPU'}")
    lines.append(f"random_seed: {seed % 2**32}")
    return "\n".join(lines) + "\n"


def read_settings(folder: Path) -> Settings:
    """What ``trial.json`` in a folder says. Raises TrainerError."""
    path = folder / TRIAL
    try:
        values = json.loads(_read(path))
        limit, iterations = values["time_limit_s"], values["test_iterations"]
        every = int(values.get("check_every", 0))
        even = not every or int(values["max_iterations"]) % every == 0
        settings = Settings(float(limit), int(iterations), tests_at_end=even)
    except (KeyError, TypeError, ValueError) as error:
        what = f"{type(error).__name__}: {error}"
        raise TrainerError(f"{path}: {what}; emit the trial again") from None
    if settings.test_iterations < 1:
        raise TrainerError(
            f"{path}: test_iterations is {settings.test_iterations}; "
            "it must be 1 or more: emit the trial again"
        )
    return settings


def _run(argv: list[str], folder: Path, clock: TrainingClock) -> int:
    """Run caffe to its end, its log passed through; the exit code as a shell has it."""
    needed = caffe_environment()
    us = os.getpid()

    def bind() -> None:
        _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != us:
            os._exit(128 + signal.SIGKILL)

    try:
        process = subprocess.Popen(
            argv,
            cwd=folder,
            # The number of threads is the caller's to choose; the log must come to us.
            env=needed | os.environ | {"GLOG_logtostderr": "1"},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            process_group=0,  # so that a terminal's Ctrl-C comes to us alone
            preexec_fn=bind,
        )
    except OSError as error:
        raise ConfigError(
            f"{argv[0]} does not start: {error.strerror}; build another with `make caffe`, "
            "or set RIBOSOME_CAFFE"
        ) from None
    try:
        _pass_on(process, clock)
    finally:
        _signal(process, signal.SIGKILL)
        code = process.wait()
    return code if code >= 0 else 128 - code


def _pass_on(process: "subprocess.Popen[bytes]", clock: TrainingClock) -> None:
    """Copy the log until caffe has ended, and stop caffe when its time is up."""
    assert process.stderr is not None
    with process.stderr:
        source = process.stderr.fileno()
        while True:
            wait = _PATIENCE_S
            if (left := clock.left_s()) is not None:
                if left <= 0.0:
                    clock.expired = True
                    _signal(process, signal.SIGINT)
                wait = min(wait, max(left, 0.0))
            if select.select([source], [], [], wait)[0]:
                output = os.read(source, 1 << 16)
                if not output:
                    return
                _write(output)
                clock.see(output)
            elif _has_ended(process):
                # Something that it has started holds its log open.
                return


def _has_ended(process: "subprocess.Popen[bytes]") -> bool:
    # Not reaped: its number must stay its own as long as its group is signalled.
    how = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, how) is not None


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Send a signal to caffe and what it has started, as long as there is any of it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _write(output: bytes) -> None:
    while output:
        output = output[os.write(2, output) :]


def _say(message: str) -> None:
    """One line that `log_parser` reads as the failure of the trial."""
    with suppress(OSError):  # nobody reads any more
        _write(f"{FAILED}{' '.join(message.split())}\n".encode(errors="replace"))


def _snapshots(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in folder.iterdir():
        if found := _SNAPSHOT.fullmatch(path.name):
            yield int(found[1]), path


def _last_snapshot(folder: Path) -> Path | None:
    weights = [pair for pair in _snapshots(folder) if pair[1].suffix == ".caffemodel"]
    return max(weights)[1] if weights else None


def _remove_snapshots(folder: Path) -> None:
    for _, path in list(_snapshots(folder)):
        path.unlink(missing_ok=True)


def _move(weights: Path, target: Path) -> None:
    """Move a file, whole or not at all, also to another file system."""
    import shutil

    partial = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        shutil.move(weights, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        raise TrainerError(f"{path}: {what}; emit the trial again") from None


@contextmanager
def _ended_by(number: signal.Signals) -> Iterator[None]:
    """In here a signal raises SystemExit, so that caffe is ended before we are."""

    def leave(received: int, _: FrameType | None) -> None:
        sys.exit(128 + received)

    before = signal.signal(number, leave)
    try:
        yield
    finally:
        signal.signal(number, before)


def _options(argv: Sequence[str]) -> Options:
    given = _ARGUMENTS.parse_args(argv)
    if not given.folder.is_dir():
        _ARGUMENTS.error(f"{given.folder}: no such folder; emit the trial first")
    return Options(
        folder=given.folder.resolve(),
        seed=given.seed,
        gpu=given.gpu,
        save=Path.cwd() / given.save if given.save else None,
    )


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ribosome.backends.caffe.train", description="Train one network."
    )
    parser.add_argument("folder", type=Path, help="with the files of a trial")
    parser.add_argument("--seed", type=int, required=True, help="of all randomness")
    parser.add_argument("--gpu", type=int, help="index among the visible GPUs")
    parser.add_argument("--save", default="", help="file for the trained weights")
    return parser


_ARGUMENTS = _arguments()

if __name__ == "__main__":
    main()
