"""What repeats say of a network: the best of many noisy results is a lucky one.

The first result has chosen the network, and is therefore biased; the repeats, of other seeds,
are not. They alone make its mean, and the mean the winner.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import fmean, stdev


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A network that was trained again.

    ``trial``, ``fitness`` and ``genome`` are its first result. Of ``repeats`` that have
    ended ``failed`` have; ``mean`` and ``spread`` (the sample standard deviation, None for
    fewer than two) are of the others, of which ``best`` is the fittest, the first of equals.
    """

    trial: int
    fitness: float
    genome: str
    repeats: int
    failed: int
    mean: float | None
    spread: float | None
    best: int | None


@dataclass(slots=True)
class _Network:
    trial: int
    fitness: float
    genome: str
    results: dict[int, float | None] = field(default_factory=dict)

    @property
    def best(self) -> int | None:
        """The fittest repeat, the first of equals; None without one."""
        ok = [(fit, -trial) for trial, fit in self.results.items() if fit is not None]
        return -max(ok)[1] if ok else None

    def confirmed(self) -> Confirmed:
        ok = [fitness for fitness in self.results.values() if fitness is not None]
        return Confirmed(
            trial=self.trial,
            fitness=self.fitness,
            genome=self.genome,
            repeats=len(self.results),
            failed=len(self.results) - len(ok),
            mean=fmean(ok) if ok else None,
            spread=stdev(ok) if len(ok) > 1 else None,
            best=self.best,
        )


class Confirmations:
    """The repeats of a run's best networks; who has ``repeats`` of them can win."""

    def __init__(self, repeats: int) -> None:
        self._repeats = repeats
        self._networks: dict[int, _Network] = {}

    def enter(self, trial: int, fitness: float, genome: str) -> None:
        """A network is to be trained again; its first result. Again changes nothing."""
        self._networks.setdefault(trial, _Network(trial, fitness, genome))

    def add(self, network: int, trial: int, fitness: float | None) -> None:
        """A repeat of the network of a trial has ended; None for a failure."""
        self._networks[network].results[trial] = fitness

    def best_of(self, network: int) -> int | None:
        """The fittest repeat of a network, by its trial; None before there is one."""
        found = self._networks.get(network)
        return found.best if found else None

    def __iter__(self) -> Iterator[Confirmed]:
        """The networks of which a repeat has ended."""
        for network in self._networks.values():
            if network.results:
                yield network.confirmed()

    @property
    def winner(self) -> Confirmed | None:
        """The best by the mean of its repeats, of equals the earlier; None before any.

        A network that failed in a repeat loses to all that did not.
        """
        whole = [
            network
            for network in self
            if network.repeats >= self._repeats and network.mean is not None
        ]
        return max(
            whole,
            key=lambda network: (not network.failed, network.mean, -network.trial),
            default=None,
        )
