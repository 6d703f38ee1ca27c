"""A model of the fitness, which says where to look next: a Gaussian process on ranks.

The covariance of two genomes falls with their squared distance (`search.encoding`); its
reach and the noise are those that make the results likeliest, of a small grid. Fitness
enters by its rank alone, spread as a normal distribution: a dead network is no further from
the others than the worst of them, and what is learned does not depend on the scale. The next
trial is the candidate with the greatest expected improvement (Jones et al. 1998) over the
best mean; trials under way are taken to end as the model expects, so that workers spread
(Ginsbourger et al. 2010, "kriging believer").

Everything is computed anew from the results, and depends on their number and order alone,
so that a search that was killed and resumed computes the same.
"""

from collections.abc import Sequence
from math import ceil, pi, sqrt
from typing import TYPE_CHECKING

import numpy as np

from ribosome.genome.space import Genes, Group
from ribosome.search.encoding import Encoding
from ribosome.search.variation import draw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

POINTS = 400
"""Results that the model is made of at most: the best half and the latest half of them."""

REACHES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""By how many powers of e the covariance of two random genomes may be less than 1."""

NOISES = (0.01, 0.05, 0.2)
"""The variances that noise may have, in those of the fitness."""

GROWTH = 1.15
"""Reach and noise are chosen again when there are so many times the results: at the same
numbers of them in every session, whenever it began."""

_SAMPLE = 256


class Surrogate:
    """Learns from results of genes of ``groups``; says which of some candidates to try."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._encode = Encoding(groups)
        rng = np.random.default_rng(0)
        sample = np.array([self._encode(draw(groups, rng)) for _ in range(_SAMPLE)])
        self._unit = max(2.0 * float(sample.var(axis=0).sum()), 1e-12)
        self._points: list[list[float]] = []
        self._fitness: list[float] = []
        self._chosen: tuple[int, float, float] = (0, 0.0, 0.0)

    def __len__(self) -> int:
        """The number of results so far."""
        return len(self._points)

    def add(self, genes: Genes, fitness: float | None) -> None:
        """Learn a result; None for a failure, which ranks below every success."""
        self._points.append(self._encode(genes))
        self._fitness.append(-np.inf if fitness is None else fitness)

    def order(self, candidates: Sequence[Genes], pending: Sequence[Genes]) -> list[int]:
        """The places of the candidates, that with the greatest expected improvement first.

        ``pending`` are the genes of trials under way. There must be two results or more.
        """
        from scipy.linalg import cho_factor, cho_solve, solve_triangular

        points, target = self._data(len(self._points))
        reach, noise = self._reach_and_noise()
        factor = cho_factor(
            self._covariance(points, points, reach) + noise * np.eye(len(points)),
            lower=True,
            check_finite=False,
        )
        weights = cho_solve(factor, target, check_finite=False)
        scale = max(float(target @ weights) / len(target), 1e-12)
        incumbent = float((target - noise * weights).max())
        tried = np.array([self._encode(genes) for genes in candidates])
        covariance = self._covariance(points, tried, reach)
        mean = weights @ covariance
        seen = solve_triangular(factor[0], covariance, lower=True, check_finite=False)
        variance = 1.0 - (seen**2).sum(axis=0)
        if pending:
            ahead = np.array([self._encode(genes) for genes in pending])
            known = solve_triangular(
                factor[0],
                self._covariance(points, ahead, reach),
                lower=True,
                check_finite=False,
            )
            rest = self._covariance(ahead, ahead, reach) - known.T @ known
            lower = np.linalg.cholesky(rest + noise * np.eye(len(ahead)))
            across = self._covariance(ahead, tried, reach) - known.T @ seen
            told = solve_triangular(lower, across, lower=True, check_finite=False)
            variance -= (told**2).sum(axis=0)
        deviation = np.sqrt(np.maximum(variance, 1e-9) * scale)
        improvement = _expected_improvement(mean - incumbent, deviation)
        best_first: list[int] = np.argsort(-improvement, kind="stable").tolist()
        return best_first

    def _data(self, count: int) -> tuple["Matrix", "Matrix"]:
        """What the model is made of after so many results: inputs, and scores by rank."""
        places = self._places(count)
        points = np.array([self._points[place] for place in places])
        return points, _normal_scores(np.array([self._fitness[i] for i in places]))

    def _places(self, count: int) -> list[int]:
        """The results that it is made of."""
        if count <= POINTS:
            return list(range(count))
        fitness = self._fitness[:count]
        best = np.argsort(np.negative(fitness), kind="stable")[: POINTS // 2]
        return sorted({*best.tolist(), *range(count - POINTS // 2, count)})

    def _reach_and_noise(self) -> tuple[float, float]:
        """The likeliest ones, of the grid, for the results that there were; kept a while."""
        from scipy.linalg import cho_factor, cho_solve

        count = _milestone(len(self._points))
        before, reach, noise = self._chosen
        if before == count:
            return reach, noise
        points, target = self._data(count)
        distance = self._distance(points, points)
        best = -np.inf
        for tried_reach in REACHES:
            covariance = np.exp(-tried_reach * distance)
            for tried_noise in NOISES:
                factor = cho_factor(
                    covariance + tried_noise * np.eye(len(points)),
                    lower=True,
                    check_finite=False,
                )
                weights = cho_solve(factor, target, check_finite=False)
                scale = max(float(target @ weights) / len(target), 1e-300)
                likelihood = (
                    -0.5 * len(target) * np.log(scale)
                    - np.log(np.diag(factor[0])).sum()
                )
                if likelihood > best:
                    best, reach, noise = likelihood, tried_reach, tried_noise
        self._chosen = count, reach, noise
        return reach, noise

    def _covariance(self, first: "Matrix", second: "Matrix", reach: float) -> "Matrix":
        covariance: Matrix = np.exp(-reach * self._distance(first, second))
        return covariance

    def _distance(self, first: "Matrix", second: "Matrix") -> "Matrix":
        """Squared, in units of what it is on average between random genomes."""
        squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)[None, :]
        apart: Matrix = np.maximum(squares - 2.0 * first @ second.T, 0.0)
        return apart / self._unit


def _milestone(results: int) -> int:
    """The number of results, of two or more, at which reach and noise were chosen last."""
    milestone = 2
    while (following := ceil(GROWTH * milestone)) <= results:
        milestone = following
    return milestone


def _normal_scores(fitness: "Matrix") -> "Matrix":
    """The ranks as quantiles of the normal distribution; equals share the mean rank."""
    from scipy.special import ndtri

    _, which, counts = np.unique(fitness, return_inverse=True, return_counts=True)
    middle = counts.cumsum() - counts / 2.0
    scores: Matrix = ndtri(middle[which] / len(fitness))
    return scores


def _expected_improvement(gain: "Matrix", deviation: "Matrix") -> "Matrix":
    from scipy.special import ndtr

    z = gain / deviation
    improvement: Matrix = deviation * (
        z * ndtr(z) + np.exp(-0.5 * z**2) / sqrt(2.0 * pi)
    )
    return improvement
