"""What stands in a trial's folder: ``trial.json``, and ``network.py`` with the network.

The network is run as a module of its own under its true path, so that a traceback shows
the line that failed; nothing is written beside it.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import msgspec
from torch import nn

from ribosome.backends.pytorch.endings import Invalid
from ribosome.genome.solver import Solver
from ribosome.genome.task import Task

NETWORK_FILE = "network.py"

Multipliers = dict[str, tuple[float, float]]
"""(lr_mult, decay_mult) by the name of a parameter; (1, 1) for a name not in it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How a network is to be trained, and on what."""

    solver: Solver
    task: Task


_decode = msgspec.json.Decoder(Trial).decode


def read_trial(folder: Path) -> Trial:
    """What ``trial.json`` says. Raises Invalid."""
    path = folder / "trial.json"
    try:
        trial = _decode(path.read_bytes())
    except OSError as error:
        raise Invalid(f"{path}: {error.strerror}; emit the trial again") from None
    except msgspec.DecodeError as error:
        raise Invalid(f"{path}: {error}; emit the trial again") from None
    training = trial.task.training
    positive = {
        "batch_size": trial.solver.batch_size,
        "test_batch_size": training.test_batch_size,
        "display": training.display,
        "threads": training.threads,
    }
    for name, value in positive.items():
        if value < 1:
            raise Invalid(f"{path}: {name} is {value}; it must be 1 or more")
    if training.max_iterations < 0:
        raise Invalid(
            f"{path}: max_iterations is {training.max_iterations}; it must be 0 or more"
        )
    if training.max_iterations == 0 and training.time_limit_s <= 0.0:
        raise Invalid(f"{path}: no end; set max_iterations or time_limit_s")
    return trial


def load_network(folder: Path) -> nn.Module:
    """A new ``Network`` of ``network.py``; whatever the file raises comes through."""
    path = folder / NETWORK_FILE
    module = ModuleType("network")
    module.__file__ = str(path)
    # Dataclasses and type hints look their module up by its name.
    sys.modules[module.__name__] = module
    code = compile(path.read_bytes(), str(path), "exec")
    exec(code, module.__dict__)  # noqa: S102 - to run a generated network is the task
    network = module.Network()
    if not isinstance(network, nn.Module):
        raise TypeError("Network is no torch.nn.Module")
    return network


def read_multipliers(network: nn.Module) -> Multipliers:
    """What ``Network.multipliers()`` says; none for a network that has no such method.

    Raises Invalid for a name that no parameter has.
    """
    method = getattr(network, "multipliers", None)
    multipliers: Multipliers = method() if callable(method) else {}
    unknown = multipliers.keys() - dict(network.named_parameters()).keys()
    if unknown:
        raise Invalid(f"multipliers() names {min(unknown)!r}, which is no parameter")
    return multipliers
