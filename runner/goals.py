"""What else counts besides accuracy: the goals of a search towards several at once."""

from collections.abc import Callable, Sequence
from typing import Protocol

from ribosome.genome.codec import from_text
from ribosome.genome.space import Space
from ribosome.genome.task import Task


class Measured(Protocol):
    """How a trial has ended: a `ribosome.runner.messages.Result`, or a Record of it."""

    @property
    def fitness(self) -> float | None:
        """The validation accuracy; None for a failure."""
        ...

    @property
    def flops_per_batch(self) -> float | None:
        """Operations of a batch, forward and backward, a multiply-add counted as two."""
        ...

    @property
    def parameters(self) -> int | None:
        """The number of trained weights."""
        ...

    @property
    def batches_per_s(self) -> float | None:
        """The speed of the training."""
        ...

    @property
    def seconds(self) -> float | None:
        """The wall time of the trial."""
        ...

    @property
    def stopped(self) -> bool:
        """Whether it was stopped during training: its accuracy is of a check there."""
        ...

    @property
    def rejected(self) -> bool:
        """Whether it was not begun because the network cannot learn."""
        ...


GOALS = ("flops", "parameters", "batches_per_s", "seconds")
"""The names: fewest operations per sample (not per batch, whose size evolves as well), fewest
parameters, most batches per second, fewest seconds of a trial."""


Goals = Callable[[str, Measured], tuple[float, ...] | None]
"""The goals of a genome, a text, with that result, each to be as great as can be; None if one
was not measured."""


def no_goals(_: str, __: Measured) -> tuple[float, ...]:
    """Nothing counts besides accuracy."""
    return ()


def goals_of(names: Sequence[str], batch_size: Callable[[str], int]) -> Goals:
    """The goals of those names; `batch_size` is asked where operations are one of them."""

    def value(name: str, genome: str, result: Measured) -> float | None:
        if name == "batches_per_s":
            return result.batches_per_s
        if name == "seconds":
            return None if result.seconds is None else -result.seconds
        if name == "parameters":
            return None if result.parameters is None else -float(result.parameters)
        if result.flops_per_batch is None:
            return None
        return -result.flops_per_batch / batch_size(genome)

    def goals(genome: str, result: Measured) -> tuple[float, ...] | None:
        values = [value(name, genome, result) for name in names]
        found = tuple([each for each in values if each is not None])
        return found if len(found) == len(values) else None

    return goals if names else no_goals


def batch_size(space: Space, task: Task, genome: str) -> int:
    """The number of images in a batch of a genome's network. Raises GenomeError."""
    from ribosome.genome.decode import decode  # a config is read without it

    return decode(space, from_text(space, genome), task).solver.batch_size
