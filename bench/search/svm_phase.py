"""Ribosome's second phase: half of the evaluations at random, then what an SVM calls good."""

import numpy as np

from bench.search.problem import Point, Problem, point_of
from ribosome.genome.space import Genes
from ribosome.search.encoding import Encoding
from ribosome.search.svm import AMONG, NotEnough, Svm, draw_good, fit

TOTAL = 100
RANDOM = 50
"""Evaluations in all, and those at random before the first model."""


class SvmPhase:
    """Draws by the model, never a point twice.

    ``rounds`` models are fitted, evenly spaced over the second half, each to all that has
    ended by then; of ``among`` draws that the model calls good the best is taken. The
    paper has one model, and takes the first.
    """

    def __init__(
        self, problem: Problem, seed: int, *, rounds: int = 3, among: int = AMONG
    ) -> None:
        self._groups = problem.groups
        self._encoding = Encoding(problem.groups)
        self._rng = np.random.default_rng([seed, 3])  # not the draws of random search
        self._fits = {RANDOM + k * (TOTAL - RANDOM) // rounds for k in range(rounds)}
        self._among = among
        self._svm: Svm | None = None
        self._seen: set[Genes] = set()
        self._vectors: list[list[float]] = []
        self._fitness: list[float] = []

    def ask(self, trial: int) -> Point:
        """Propose."""
        if trial in self._fits:
            self._svm = self._fitted() or self._svm
        for _ in range(100):
            genes, _ = draw_good(
                self._groups,
                self._svm,
                self._rng,
                encoding=self._encoding,
                among=self._among,
            )
            if genes not in self._seen:
                break
        self._seen.add(genes)
        return point_of(genes)

    def tell(self, trial: int, point: Point, fitness: float) -> None:  # noqa: ARG002
        """Learn."""
        self._vectors.append(self._encoding(tuple((0, a) for a in point)))
        self._fitness.append(fitness)

    def _fitted(self) -> Svm | None:
        try:
            return fit(self._vectors, self._fitness, rng=self._rng).svm
        except NotEnough:
            return None
