"""Whether fast networks breed more than slow ones: the bias of asynchronous evolution.

Scott and De Jong (2015, "Evaluation-time bias in asynchronous evolutionary algorithms")
found it where time and fitness have nothing to do with each other: who comes back sooner is
bred from more often. `ribosome.search.arrivals` has the correction.
"""

from collections.abc import Sequence
from typing import NamedTuple

FEWEST = 8
"""Trials below which nothing is said."""


class Bred(NamedTuple):
    """A trial that succeeded, its evaluation time, and how many have it as a parent."""

    seconds: float
    fitness: float
    offspring: int


class Bias(NamedTuple):
    """What became of fast and slow trials.

    ``correlation`` is Spearman's, of evaluation time and number of offspring: below 0 if
    fast trials breed more. ``at_equal_fitness`` is the partial correlation, which leaves out
    that slow networks may be better. Both are 0 where all are equal. ``fast_share`` is the
    share of parents (each as often as it is one) that the fastest quarter of trials makes
    up: 0.25 if time did not matter.
    """

    trials: int
    correlation: float
    at_equal_fitness: float
    fast_share: float


def bias(trials: Sequence[Bred]) -> Bias | None:
    """The bias among trials; None for fewer than `FEWEST`, and where none has offspring."""
    import numpy as np

    offspring = np.array([trial.offspring for trial in trials])
    if len(trials) < FEWEST or not offspring.sum():
        return None
    seconds = np.array([trial.seconds for trial in trials])
    times = _ranks([trial.seconds for trial in trials])
    fitnesses = _ranks([trial.fitness for trial in trials])
    broods = _ranks([trial.offspring for trial in trials])
    time_brood = _correlation(times, broods)
    time_fitness = _correlation(times, fitnesses)
    fitness_brood = _correlation(fitnesses, broods)
    rest = (1.0 - time_fitness**2) * (1.0 - fitness_brood**2)
    partial = 0.0
    if rest > 1e-12:
        partial = (time_brood - time_fitness * fitness_brood) / rest**0.5
    fast = np.argsort(seconds, kind="stable")[: len(trials) // 4]
    share = float(offspring[fast].sum() / offspring.sum())
    return Bias(len(trials), time_brood, partial, share)


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 0; equals share their mean."""
    import numpy as np

    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: list[float] = (counts.cumsum() - (counts + 1) / 2.0)[which].tolist()
    return ranks


def _correlation(first: Sequence[float], second: Sequence[float]) -> float:
    import numpy as np

    a, b = np.array(first) - np.mean(first), np.array(second) - np.mean(second)
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale else 0.0
