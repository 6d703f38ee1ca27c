"""Ribosome's second phase: half of the evaluations at random, then what an SVM calls good."""

import numpy as np

from bench.search.problem import Point, Problem, point_of
from ribosome.genome.space import Genes
from ribosome.search.encoding import Encoding
from ribosome.search.svm import NotEnough, Svm, draw_good, fit

RANDOM = 50
"""Evaluations at random; the model is fitted to those that have ended by then, once."""


class SvmPhase:
    """Draws by the model, with the defaults of `ribosome.search.svm`, never a point twice."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._groups = problem.groups
        self._encoding = Encoding(problem.groups)
        self._rng = np.random.default_rng([seed, 3])  # not the draws of random search
        self._svm: Svm | None = None
        self._seen: set[Genes] = set()
        self._vectors: list[list[float]] = []
        self._fitness: list[float] = []

    def ask(self, trial: int) -> Point:
        """Propose."""
        if trial == RANDOM:
            self._svm = self._fitted()
        for _ in range(100):
            genes, _ = draw_good(
                self._groups, self._svm, self._rng, encoding=self._encoding
            )
            if genes not in self._seen:
                break
        self._seen.add(genes)
        return point_of(genes)

    def tell(self, trial: int, point: Point, fitness: float) -> None:
        """Learn, until the model is fitted."""
        if trial < RANDOM and self._svm is None:
            self._vectors.append(self._encoding(tuple((0, a) for a in point)))
            self._fitness.append(fitness)

    def _fitted(self) -> Svm | None:
        try:
            return fit(self._vectors, self._fitness, rng=self._rng).svm
        except NotEnough:
            return None
