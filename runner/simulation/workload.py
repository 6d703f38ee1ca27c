"""What simulated trials take and bring: seconds and fitness, by genome."""

from collections.abc import Callable
from math import exp, log, sqrt
from pathlib import Path
from typing import TYPE_CHECKING

from ribosome.genome.errors import RunError
from ribosome.runner.records import read_trials

if TYPE_CHECKING:
    from numpy.random import Generator

Seconds = Callable[[bytes], float]
"""How long the trial of a genome takes; called once for each start of a trial."""

Fitness = Callable[[bytes], float | None]
"""The fitness of a genome, None if its trial diverges."""

_BLOCK = 4096


def fixed(seconds: float) -> Seconds:
    """Every trial takes as long."""
    return lambda _genome: seconds


def log_normal(mean: float, rng: "Generator", *, spread: float = 0.5) -> Seconds:
    """Drawn from the log-normal distribution of a mean, in seconds.

    ``spread`` is the standard deviation over the mean.
    """
    sigma = sqrt(log(1.0 + spread * spread))
    scale = mean * exp(-sigma * sigma / 2)
    return _drawn(lambda: (scale * rng.lognormal(0.0, sigma, _BLOCK)).tolist())


def as_in(folder: str | Path, rng: "Generator") -> Seconds:
    """Drawn from the times of a finished run's trials, whatever their ending.

    Raises RunError where there is no run, or none of its trials has ended.
    """
    times = [trial.seconds for trial in read_trials(folder) if trial.seconds]
    if not times:
        raise RunError(f"{folder}: no trial has ended; name a run that has results")
    return _drawn(lambda: rng.choice(times, _BLOCK).tolist())


def _drawn(draw: Callable[[], list[float]]) -> Seconds:
    """One after another of what is drawn in blocks: a single draw costs ten times more."""
    block: list[float] = []

    def seconds(_genome: bytes) -> float:
        if not block:
            block.extend(draw())
        return block.pop()

    return seconds
