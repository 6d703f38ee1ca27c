"""The plug-in backend whose trainer misbehaves: a test's, or a storm's by its variables."""

import os
import random
import sys
from pathlib import Path

import misbehaving

from ribosome.backends.base import Command, Ending, Parser
from ribosome.backends.pytorch.parser import LogParser
from ribosome.genome.network import Model
from ribosome.genome.task import Task

NAME = "misbehaving"
HERE = str(Path(__file__).parent)
STORM = "STORM"
"""The variable that says what every trial does: a name, or SEED:SHARE to draw from."""


class Misbehaving:
    """Emits one file; the trial's seed decides what its trainer does."""

    name = NAME
    main_file = "network.txt"

    def emit(self, model: Model, task: Task) -> dict[str, str]:
        """One file, in a folder of its own."""
        return {"deep/network.txt": f"{model.genome} for {task.name}\n"}

    def prepare(self, task: Task) -> str:  # noqa: ARG002
        """Nothing is needed."""
        return ""

    def command(
        self, folder: str, *, gpu: int | None, seed: int, save: str = ""
    ) -> Command:
        """The trainer's, cold or warm."""
        del folder, gpu, save
        storm, _, share = os.environ[STORM].partition(":")
        name = misbehaving.drawn(int(storm), seed, float(share)) if share else storm
        accuracy = f"{random.Random(seed).random():.6f}"
        argv = (sys.executable, "-S", "-P", "-m", "misbehaving", name, accuracy)
        return Command(argv=argv, preload="misbehaving")

    def parser(self) -> Parser:
        """The PyTorch trainer's."""
        return LogParser()

    def ending(self, exit_code: int) -> Ending | None:
        """One code says that the network is invalid."""
        return "invalid" if exit_code == misbehaving.INVALID else None


def install(folder: Path) -> None:
    """Write what makes the backend a plug-in for processes with ``folder`` in PYTHONPATH."""
    info = folder / f"{NAME}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(
        f"[ribosome.backends]\n{NAME} = misbehaving_backend:Misbehaving\n"
    )


def environment(plug_in: Path, precious: Path, storm: str) -> dict[str, str]:
    """What the processes of a run need in their environment."""
    path = os.pathsep.join([str(plug_in), HERE])
    return {"PYTHONPATH": path, STORM: storm, misbehaving.PRECIOUS: str(precious)}
