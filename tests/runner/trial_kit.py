"""What the tests of trials share: a trial of the fake trainer, and a look at /proc."""

import os
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ribosome.backends.base import Command, Ending
from ribosome.backends.pytorch.parser import LogParser
from ribosome.genome.codec import pack
from ribosome.genome.cost import cost
from ribosome.genome.decode import decode
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS
from ribosome.runner.forkserver import NAME
from ribosome.runner.spare import WAITING
from ribosome.runner.trial import Limits, Outcome, Trial
from ribosome.runner.warm import Launcher
from ribosome.search.variation import draw

HERE = str(Path(__file__).parent)
MODULE = "fake_trainer"
PATIENCE_S = 20.0
"""Longer than anything here takes on a busy machine."""


def server_environment(marker: str = "") -> dict[str, str]:
    """An environment in which the fake trainer can be imported, with a marker in it.

    In /proc a forked process shows the environment that its server was started in, and
    a program that was executed its own; so both carry the marker.
    """
    return {**os.environ, "PYTHONPATH": HERE, "TRIAL_MARKER": marker}


def command(*arguments: str) -> Command:
    """The fake trainer's command."""
    argv = (sys.executable, "-P", "-m", MODULE, *arguments)
    return Command(argv=argv, preload=MODULE)


class Bench:
    """Starts trials of the fake trainer, marked so that what is left of them is seen."""

    def __init__(self, launcher: Launcher, folder: Path, marker: str) -> None:
        self.launcher = launcher
        self.folder = folder
        self.marker = marker

    def start(
        self,
        *arguments: str,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        says: Callable[[int], Ending | None] = lambda _: None,
        argv: tuple[str, ...] | None = None,
    ) -> Trial:
        """A trial that runs what the arguments name."""
        what = command(*arguments) if argv is None else Command(argv=argv)
        return Trial(
            self.launcher,
            what,
            self.folder,
            server_environment(self.marker),
            parser=LogParser(),
            says=says,
            limits=limits,
        )

    def run(
        self,
        *arguments: str,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        says: Callable[[int], Ending | None] = lambda _: None,
        argv: tuple[str, ...] | None = None,
    ) -> Outcome:
        """The outcome of such a trial."""
        return finish(self.start(*arguments, limits=limits, says=says, argv=argv))

    @property
    def log(self) -> bytes:
        """What stands in the log."""
        return (self.folder / "log.txt").read_bytes()

    def left(self) -> list[int]:
        """The processes that carry the marker of this bench's trials."""
        return marked(self.marker)


def finish(trial: Trial) -> Outcome:
    """Poll a trial as a worker does, until it has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while (outcome := trial.poll()) is None:
        assert time.monotonic() < deadline, "the trial does not end"
        select.select([trial], [], [], 0.05)
    return outcome


def until(condition: Callable[[], object]) -> None:
    """Wait for something that another process brings about."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.005)


def marked(marker: str, *, servers: bool = False) -> list[int]:
    """The living processes with a marker in their environment.

    Servers, and what they have forked ahead for the next trial, count if asked for.
    """
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and alive(int(folder.name)):
            try:
                environment = (folder / "environ").read_bytes()
                name = (folder / "comm").read_text().strip()
            except OSError:
                continue
            if marker.encode() in environment and (
                servers or name not in (NAME, WAITING)
            ):
                found.append(int(folder.name))
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    return state(pid) not in ("", "Z")


def state(pid: int) -> str:
    """The letter by which /proc tells what a process does, empty where there is none."""
    try:
        text = Path("/proc", str(pid), "stat").read_text(errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[0]


def cheap_genome() -> bytes:
    """A genome of the space menndl whose network trains in no time."""
    space, generator = load_space("menndl"), np.random.default_rng(3)
    while True:
        genes = draw(space.groups, generator)
        model = decode(space, genes, DIGITS)
        if cost(model.network).training_flops * model.solver.batch_size < 5e7:
            return pack(space, genes)
