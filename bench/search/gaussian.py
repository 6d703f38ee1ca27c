"""A Gaussian process with expected improvement, on scikit-learn: a plain Bayesian search.

(Optuna's own process needs PyTorch.) Matern 5/2 with a length per input and noise; ordered
genes by index, others one-hot; 10 points at random first. What is under way counts as evaluated
with the mean that the process predicts for it (Ginsbourger et al. 2010: kriging believer).
"""

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from bench.search.problem import Point, Points, Problem, gene_of, sizes_of

START = 10
CANDIDATES = 2000
REFIT = 10
"""Results after which the lengths and the noise are fitted again."""


class GaussianProcess:
    """Proposes the candidate of most expected improvement, never a point twice."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._sizes = sizes_of(problem)
        self._ordered = [gene_of(group).is_ordered for group in problem.groups]
        self._rng = np.random.default_rng([seed, 1])
        self._kernel = ConstantKernel(1.0, (1e-2, 1e3)) * Matern(
            np.ones(self._encode(np.zeros((1, len(self._sizes)), int)).shape[1]),
            (1e-1, 1e2),
            nu=2.5,
        ) + WhiteKernel(0.1, (1e-6, 1e1))
        self._fitted_at = 0
        self._running: dict[int, Point] = {}
        self._points: list[Point] = []
        self._fitness: list[float] = []

    def ask(self, trial: int) -> Point:
        """Propose."""
        candidates = self._rng.integers(
            self._sizes, size=(CANDIDATES, len(self._sizes))
        )
        known = {*self._points, *self._running.values()}
        new = [p for p in map(tuple, candidates.tolist()) if p not in known]
        if len(self._points) < START:
            point = new[0]
        else:
            point = new[int(np.argmax(self._improvement(np.array(new))))]
        self._running[trial] = point
        return point

    def tell(self, trial: int, point: Point, fitness: float) -> None:
        """Learn."""
        del self._running[trial]
        self._points.append(point)
        self._fitness.append(fitness)

    def _improvement(self, points: Points) -> NDArray[np.float64]:
        """Expected improvement over the best mean that the process sees so far."""
        inputs = self._encode(np.array(self._points))
        fitness = np.array(self._fitness)
        values = (fitness - fitness.mean()) / (fitness.std() + 1e-12)
        refit = len(values) >= self._fitted_at + REFIT
        process = self._fit(inputs, values, refit=refit)
        if refit:
            self._fitted_at, self._kernel = len(values), process.kernel_
        best = process.predict(inputs).max()
        if self._running:
            pending = self._encode(np.array(list(self._running.values())))
            believed = np.append(values, process.predict(pending))
            process = self._fit(np.vstack([inputs, pending]), believed, refit=False)
        mean, deviation = process.predict(self._encode(points), return_std=True)
        z = (mean - best) / (deviation + 1e-12)
        gain: NDArray[np.float64] = (mean - best) * norm.cdf(z) + deviation * norm.pdf(
            z
        )
        return gain

    def _fit(
        self, inputs: NDArray[np.float64], values: NDArray[np.float64], *, refit: bool
    ) -> GaussianProcessRegressor:
        process = GaussianProcessRegressor(
            self._kernel, optimizer="fmin_l_bfgs_b" if refit else None
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return process.fit(inputs, values)

    def _encode(self, points: Points) -> NDArray[np.float64]:
        columns = []
        for column, size, ordered in zip(
            points.T, self._sizes, self._ordered, strict=True
        ):
            if ordered or size == 2:
                columns.append(column[:, None] / (size - 1))
            else:
                columns.append(np.eye(size)[column])
        return np.hstack(columns)
