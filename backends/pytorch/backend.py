"""The PyTorch backend: what is emitted, how it is trained, how its log is read."""

from ribosome.backends.base import Command, Ending, Parser
from ribosome.backends.pytorch.command import train_command
from ribosome.backends.pytorch.emit import MODULE, emit
from ribosome.backends.pytorch.endings import ending
from ribosome.backends.pytorch.parser import LogParser
from ribosome.genome.network import Model
from ribosome.genome.task import Task


class PyTorch:
    """Readable modules that import only torch, and the trainer that runs them."""

    name = "pytorch"
    main_file = MODULE

    def emit(self, model: Model, task: Task) -> dict[str, str]:
        """network.py and trial.json: see `ribosome.backends.pytorch.emit`."""
        return emit(model, task)

    def command(
        self, folder: str, *, gpu: int | None, seed: int, save: str = ""
    ) -> Command:
        """`ribosome.backends.pytorch.train` on a folder of emitted files."""
        return train_command(folder, gpu=gpu, seed=seed, save=save)

    def parser(self) -> Parser:
        """A parser of the trainer's logfmt lines."""
        return LogParser()

    def ending(self, exit_code: int) -> Ending | None:
        """What the trainer's exit codes say."""
        return ending(exit_code)
