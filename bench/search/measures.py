"""What a search reached, and how sure it is that one method is better than another."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import inf

import numpy as np

from bench.search.problem import Problem
from bench.search.simulate import History


@dataclass(frozen=True, slots=True)
class Reached:
    """The measures of one search.

    ``regret`` is the **oracle regret**: the optimum less the best true fitness among the
    evaluated points; ``named`` the same of the point with the best observed fitness. Where
    no optimum is known, both are just those fitnesses, negated. ``seconds`` is the simulated
    time until the regret is within the problem's target, inf for never. ``later`` is the share
    of the later half of the evaluations, in the order of their starts, whose true fitness is
    above the median one of the earlier half: 0.5 for random search. ``steps`` is how the regret
    fell: evaluations told, seconds, regret from then on.
    """

    regret: float
    named: float
    seconds: float
    later: float
    steps: tuple[tuple[int, float, float], ...]

    def as_json(self) -> dict[str, object]:
        """As a line of results keeps it, None for never."""
        fields = asdict(self)
        return {**fields, "seconds": None if self.seconds == inf else self.seconds}


def reached(problem: Problem, history: History) -> Reached:
    """Measure a search."""
    true = problem.true(history.points)
    regrets = (problem.optimum or 0.0) - true
    best = np.minimum.accumulate(regrets)
    falls = np.flatnonzero(np.diff(best, prepend=inf) < 0)
    steps = tuple(
        (int(i) + 1, float(history.seconds[i]), float(best[i])) for i in falls
    )
    in_order = true[np.argsort(history.trials)]
    earlier, later = np.split(in_order, [len(true) // 2])
    arrivals = [seconds for _, seconds, regret in steps if regret <= problem.target]
    return Reached(
        regret=float(best[-1]),
        named=float(regrets[int(np.argmax(history.observed))]),
        seconds=arrivals[0] if problem.optimum is not None and arrivals else inf,
        later=float(np.mean(later > np.median(earlier))),
        steps=steps,
    )


@dataclass(frozen=True, slots=True)
class Summary:
    """A sample in short; quartiles of infinite times may be infinite."""

    mean: float
    lower: float
    median: float
    upper: float


def summary(sample: Sequence[float]) -> Summary:
    """Mean, quartiles and median; a quartile is one of the values."""
    lower, median, upper = np.quantile(
        sample, (0.25, 0.5, 0.75), method="inverted_cdf"
    ).tolist()
    return Summary(float(np.mean(sample)), lower, median, upper)


def p_value(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Mann-Whitney: how likely two samples of one distribution differ by as much or more."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(ours, theirs, alternative="two-sided").pvalue)
