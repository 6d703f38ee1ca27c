"""Limits on what a network may cost: what is beyond them is not proposed, let alone trained.

`ribosome.genome.cost` knows parameters, operations and activations before anything runs.
How long a training takes is estimated from those that have ended.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from ribosome.genome.cost import cost
from ribosome.genome.decode import decode
from ribosome.genome.language import NetworkLanguage
from ribosome.genome.space import Genes, Group

NEEDED = 8
"""Trainings before which there is no estimate of their time."""

KEPT = 200
"""The latest trainings, which an estimate is made from."""


@dataclass(slots=True)
class Speed:
    """How long a batch takes for its operations: a line through the latest trainings.

    The least squares are relative: a batch of 1 ms counts as much as one of 1 s.
    """

    _seen: deque[tuple[float, float]] = field(
        default_factory=lambda: deque(maxlen=KEPT)
    )
    _line: tuple[float, float] | None = None

    def learn(self, flops_per_batch: float, batches_per_s: float) -> None:
        """Take in one training."""
        if flops_per_batch > 0.0 and batches_per_s > 0.0:
            self._seen.append((flops_per_batch, 1.0 / batches_per_s))
            self._line = None

    def seconds(self, flops_per_batch: float) -> float | None:
        """The time of a batch; None while too few trainings have ended."""
        if len(self._seen) < NEEDED:
            return None
        if self._line is None:
            self._line = self._fitted()
        start, per_flop = self._line
        return start + per_flop * flops_per_batch

    def _fitted(self) -> tuple[float, float]:
        """(start, per_flop) of the line; neither is negative."""
        import numpy as np
        from scipy.optimize import nnls

        flops, times = np.array(self._seen).T
        unit = flops.mean()
        columns = np.stack([1.0 / times, flops / unit / times], axis=1)
        (start, slope), _ = nnls(columns, np.ones(len(times)))
        return float(start), float(slope / unit)


class LimitedLanguage:
    """The language of networks for one task, less what costs too much.

    ``limits`` are maxima by name, 0 for none: parameters; flops_per_sample, of a forward and
    a backward pass, a multiply-add counted as two; memory_mb, of the activations of a batch
    and their gradients in single precision; seconds, of a whole training as estimated, which
    rejects nothing before some trainings have ended.
    """

    def __init__(self, language: NetworkLanguage, limits: Mapping[str, float]) -> None:
        self._language = language
        self._limits = {name: limit or inf for name, limit in limits.items()}
        self._limits_any = any(limit < inf for limit in self._limits.values())
        self.speed = Speed()
        """What is known of the time of a training."""

    @property
    def groups(self) -> tuple[Group, ...]:
        """The space's groups."""
        return self._language.groups

    def canonical(self, genes: Genes) -> Genes:
        """The one representative of all genomes that mean the same for the task."""
        return self._language.canonical(genes)

    def admits(self, genes: Genes) -> bool:
        """Whether the network of these genes is within the limits."""
        if not self._limits_any:
            return True
        task = self._language.task
        model = decode(self._language.space, genes, task)
        price, batch = cost(model.network), model.solver.batch_size
        limits = self._limits
        if (
            price.parameters > limits["parameters"]
            or price.training_flops > limits["flops_per_sample"]
            or 2 * price.activation_bytes * batch > limits["memory_mb"] * 2.0**20
        ):
            return False
        if limits["seconds"] == inf:
            return True
        per_batch = self.speed.seconds(float(price.training_flops * batch))
        iterations = task.training.max_iterations
        return per_batch is None or per_batch * iterations <= limits["seconds"]
