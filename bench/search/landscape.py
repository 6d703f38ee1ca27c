"""Kauffman's NK landscapes, which need no table: 40 genes of 4 alleles, true fitness.

Six genes, as NAS-Bench-201 has them, are not sixty. What each gene brings depends on its
allele and on those of the K genes behind it (Kauffman and Weinberger 1989).
"""

import numpy as np
from numpy.typing import NDArray

from bench.search.problem import Point, Points, groups_of

GENES, ALLELES, NEIGHBOURS = 40, 4, 4


class Landscape:
    """One landscape; its optimum is not known."""

    optimum = None
    target = 0.0

    def __init__(self, seed: int, *, neighbours: int = NEIGHBOURS) -> None:
        self.groups = groups_of([(f"gene {i}", tuple("abcd")) for i in range(GENES)])
        reach = neighbours + 1
        self._tables = np.random.default_rng(seed).random((GENES, ALLELES**reach))
        self._ring = (np.arange(GENES)[:, None] + np.arange(reach)) % GENES
        self._digits = ALLELES ** np.arange(reach)[::-1]

    def true(self, points: Points) -> NDArray[np.float64]:
        """The mean of what each gene, with those behind it, brings: 0 to 1."""
        rows = points[:, self._ring] @ self._digits
        means: NDArray[np.float64] = self._tables[np.arange(GENES), rows].mean(axis=1)
        return means

    def evaluate(
        self, point: Point, rng: np.random.Generator
    ) -> tuple[float, float, int]:
        """The true fitness; the time is log-normal, of median 1 s."""
        fitness = float(self.true(np.array([point]))[0])
        return fitness, float(rng.lognormal(0.0, 0.5)), 0
