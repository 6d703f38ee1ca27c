"""The PyTorch backend: what is emitted, how it is trained, how its log is read."""

import sys
from importlib.util import find_spec
from pathlib import Path

from ribosome.backends.base import Command, Ending, Parser
from ribosome.backends.pytorch.command import train_command
from ribosome.backends.pytorch.emit import MODULE, emit, emit_module, emit_network
from ribosome.backends.pytorch.endings import ending
from ribosome.backends.pytorch.parser import LogParser
from ribosome.backends.weights import Weights
from ribosome.genome.errors import ConfigError
from ribosome.genome.network import Model, Network
from ribosome.genome.task import Task


class PyTorch:
    """Readable modules that import only torch, and the trainer that runs them."""

    name = "pytorch"
    main_file = network_file = MODULE
    weights_file = "weights.pt"
    readme = "export_pytorch.md.jinja"

    def emit(self, model: Model, task: Task) -> dict[str, str]:
        """network.py and trial.json: see `ribosome.backends.pytorch.emit`."""
        return emit(model, task)

    def prepare(self, task: Task) -> str:
        """Nothing is made: the trainer reads the data folder itself.

        Raises ConfigError where torch is not installed, and for a precision that PyTorch's
        trainer has not.
        """
        if find_spec("torch") is None:
            raise ConfigError(
                f"the backend pytorch needs torch, which {sys.executable} lacks: "
                "`pip install torch` there, or set another backend.name"
            )
        if task.training.precision == "half":
            raise ConfigError(
                'training.precision = "half" is for the backend nvcaffe; '
                'pytorch has "auto", "single" and "mixed"'
            )
        return ""

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

    def emit_for_use(self, model: Model, task: Task) -> dict[str, str]:
        """The module alone."""
        if model.genome is not None:
            return {MODULE: emit_module(model, task)}
        return {MODULE: emit_network(model.network, f"A network for {task.name}")}

    def read_weights(self, path: Path, network: Network) -> Weights:
        """A state_dict that our trainer, or `torch.save`, has written."""
        from ribosome.backends.pytorch.weights import read_weights

        return read_weights(path, network)

    def write_weights(self, path: Path, network: Network, weights: Weights) -> None:
        """A state_dict for the generated module's `load_state_dict`."""
        from ribosome.backends.pytorch.weights import write_weights

        write_weights(path, network, weights)
