"""What every backend is: files out, a trainer to run, a parser for the trainer's log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from ribosome.backends.weights import Weights
from ribosome.genome.network import Model, Network
from ribosome.genome.task import Task

Ending = Literal[
    "ok", "diverged", "invalid", "out_of_memory", "timeout", "crashed", "lost"
]
"""How a trial ends. Only ok has a fitness."""

GPU_SHARE = "RIBOSOME_GPU_SHARE"
"""The variable that tells a trainer which share of its GPU's memory it may take."""

ENDINGS: tuple[Ending, ...] = Ending.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Iteration:
    """The trainer reached an iteration; loss and rate where it printed them."""

    iteration: int
    loss: float | None = None
    lr: float | None = None


@dataclass(frozen=True, slots=True)
class Speed:
    """Training batches per second; start-up and validation are not counted."""

    batches_per_s: float


@dataclass(frozen=True, slots=True)
class Tested:
    """A validation of the network after so many iterations, during training or behind it."""

    accuracy: float
    loss: float
    iteration: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The trainer said that, and how, the trial failed.

    ``rejected`` if it was not begun: the network cannot learn.
    """

    ending: Ending
    message: str
    rejected: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """The trainer said that it came to its regular end."""


Event = Iteration | Speed | Tested | Failed | Finished


class Parser(Protocol):
    """Reads one trainer's log, line by line, in constant memory."""

    def feed(self, line: str) -> Sequence[Event]:
        """The events of one line; none for a line that says nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """How to start a trainer: its arguments, and what to add to the environment.

    ``preload`` names a module whose ``serve`` can run the same trial in a forked child of
    a warm process: `serve(argv)` gets the arguments behind the program and returns the
    exit code. Its `rehearse()`, if it has one, is called in such a child while it waits
    for a trial. Empty where the trainer is a foreign program.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    preload: str = ""


@runtime_checkable
class Backend(Protocol):
    """A framework that networks are written for. `emit` is deterministic, no time stamps."""

    name: str
    main_file: str

    def emit(self, model: Model, task: Task) -> dict[str, str]:
        """The files of one trial, path to text.

        Raises UnsupportedOp for what the framework cannot say.
        """
        ...

    def prepare(self, task: Task) -> str:
        """Make what every trial of a task needs, such as the images in a form of its own.

        Gives a name of it, another one whenever it was made anew; empty where nothing is
        needed. Called by each worker before its first trial, perhaps by several at once, and
        after trials that failed, to find out whether they had what they needed.
        A task without a data folder only asks whether the backend can work here.
        Raises RibosomeError where it cannot be made.
        """
        ...

    def command(
        self, folder: str, *, gpu: int | None, seed: int, save: str = ""
    ) -> Command:
        """The trainer's command for a folder of emitted files.

        ``gpu`` is an index among the visible GPUs, None the CPU. ``save`` is a file that
        the trained weights go to, empty for none.
        """
        ...

    def parser(self) -> Parser:
        """A fresh parser for one log."""
        ...

    def ending(self, exit_code: int) -> Ending | None:
        """What an exit code says, None where it says nothing beyond "failed".

        A negative code is the signal that ended the trainer.
        """
        ...


@runtime_checkable
class Portable(Protocol):
    """A backend whose networks are used elsewhere, with weights from any other such one.

    ``network_file`` is the main one of `emit_for_use`, ``weights_file`` the usual name of
    a file of weights, ``readme`` the template of a text that says how both are used.
    """

    network_file: str
    weights_file: str
    readme: str

    def emit_for_use(self, model: Model, task: Task) -> dict[str, str]:
        """The files that compute a network without training it, path to text.

        Raises UnsupportedOp for what the framework cannot say.
        """
        ...

    def read_weights(self, path: Path, network: Network) -> Weights:
        """The weights of a network from a file of the framework's. Raises ReadError."""
        ...

    def write_weights(self, path: Path, network: Network, weights: Weights) -> None:
        """Write weights as the framework loads them, whole or not at all.

        Raises ReadError where they are not the network's.
        """
        ...
