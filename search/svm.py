"""The support vector machine of the second phase: which hyperparameters will do well.

The paper's section V.B: once random hyperparameters of one topology have been trained, a
support vector machine with a radial basis function kernel is fitted to what became of them,
and each worker draws hyperparameters until it predicts that they perform well.

Only `fit` needs scikit-learn. What is fitted is plain numbers, and to draw by it takes no
more than numpy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, inf, isfinite, nan
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeGuard

from ribosome.genome.errors import RibosomeError
from ribosome.genome.space import Genes, Group
from ribosome.search.encoding import Encoding
from ribosome.search.variation import draw

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import ArrayLike, NDArray

    Vector = NDArray[np.float64]

NEEDED = 5
"""The fewest good results, and the fewest bad ones, that a model is fitted to."""

C_GRID = (0.1, 1.0, 10.0, 100.0)
"""The penalties of a wrong prediction that cross-validation chooses among."""

GAMMA_GRID = (0.01, 0.03, 0.1, 0.3, 1.0)
"""The same of the kernel's inverse square width; a gene's standard deviation is 1."""

AMONG = 16
"""Of so many draws that the model calls good the best is taken: on the FCNet tables this
beats random search far more often than to take the first."""

LARGEST_BATCH = 512
"""The most candidates that are looked at together."""


class NotEnough(RibosomeError):
    """Too few good or too few bad results to tell them apart."""


@dataclass(frozen=True, slots=True)
class Svm:
    """A fitted support vector machine: exp(-``gamma`` distance²) is its kernel.

    An input x is scaled to (x - ``centre``) / ``scale``; ``support`` holds support vectors
    of scaled inputs, ``coefficients`` one number for each.
    """

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    support: tuple[tuple[float, ...], ...]
    coefficients: tuple[float, ...]
    intercept: float
    gamma: float

    def decision(self, vector: Sequence[float]) -> float:
        """How good a vector is predicted to be: above 0 for good."""
        return float(self.decisions([vector])[0])

    def decisions(self, vectors: "ArrayLike") -> "Vector":
        """The same for each row of ``vectors``, n x the length of ``centre``."""
        import numpy as np

        scaled = (np.asarray(vectors, float) - self.centre) / np.asarray(self.scale)
        support = np.array(self.support)
        squares = np.zeros((len(scaled), len(support)))
        # By columns, without a matrix product: a row's value does not depend on the rows
        # that come with it, and no thread of a BLAS starts beside a training.
        for column, supports in zip(scaled.T, support.T, strict=True):
            squares += np.subtract.outer(column, supports) ** 2
        kernel = np.exp(-self.gamma * squares)
        values: Vector = (kernel * self.coefficients).sum(axis=1) + self.intercept
        return values


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model and how it was found.

    ``accuracy`` is the cross-validated mean of the shares of the good and of the bad
    that were recognised; ``good`` and ``bad`` count the results, ``threshold`` is the
    fitness from which they are good.
    """

    svm: Svm
    c: float
    gamma: float
    accuracy: float
    good: int
    bad: int
    threshold: float


def fit(
    points: Sequence[Sequence[float]],
    fitness: Sequence[float | None],
    *,
    good: float = 0.75,
    rng: "Generator",
) -> Fitted:
    """Fit a model to vectors and what fitness each had, None for a failure.

    Good are those in the upper quantile ``good`` (0..1) of all that succeeded, the rest
    and all failures are bad; a fitness that is not finite is a failure. A quantile that
    cuts through equal results takes all of them or none, whichever is nearer to it and
    leaves `NEEDED` of both kinds. So if everything that succeeded did so equally well,
    the good are those that did not fail.

    C and gamma are those of the grid with the best balanced accuracy in a stratified
    cross-validation (5-fold, or fewer when a class is smaller) that ``rng`` shuffles; of
    equals the smoothest. Raises NotEnough for fewer than `NEEDED` of either kind,
    and for points without places.
    """
    import numpy as np

    threshold = _threshold(fitness, good)
    labels = np.array([_is_success(f) and f >= threshold for f in fitness])
    goods = int(labels.sum())
    bads = len(labels) - goods
    if min(goods, bads) < NEEDED:
        raise NotEnough(
            f"{goods} good and {bads} bad results: a model needs {NEEDED} of each; "
            "train more at random first"
        )
    inputs = np.array(points, float)
    if not inputs.size:
        raise NotEnough("no hyperparameter varies: there is nothing to learn from")
    centre, scale = inputs.mean(axis=0), inputs.std(axis=0)
    scale[scale < 1e-9] = 1.0
    scaled = (inputs - centre) / scale
    c, gamma, accuracy = _cross_validate(scaled, labels, min(5, goods, bads), rng)
    machine = _machine(c, gamma).fit(scaled, labels)
    svm = Svm(
        centre=tuple(centre.tolist()),
        scale=tuple(scale.tolist()),
        support=tuple(map(tuple, machine.support_vectors_.tolist())),
        coefficients=tuple(machine.dual_coef_[0].tolist()),
        intercept=float(machine.intercept_[0]),
        gamma=gamma,
    )
    return Fitted(svm, c, gamma, accuracy, goods, bads, threshold)


def _is_success(fitness: float | None) -> TypeGuard[float]:
    return fitness is not None and isfinite(fitness)


def _threshold(fitness: Sequence[float | None], good: float) -> float:
    """The fitness from which a result is good; not a number if nothing succeeded."""
    ranked = sorted(filter(_is_success, fitness), reverse=True)
    if not ranked:
        return nan
    # Rounded, because 10 * (1 - 0.7) is a little more than 3.
    wanted = max(1, ceil(round(len(ranked) * (1.0 - good), 9)))
    threshold = ranked[wanted - 1]
    better = sum(value > threshold for value in ranked)
    as_good = sum(value >= threshold for value in ranked)
    is_nearer = wanted - better < as_good - wanted
    if (is_nearer and better >= NEEDED) or (better and len(fitness) - as_good < NEEDED):
        return ranked[better - 1]
    return threshold


def _cross_validate(
    inputs: "Vector", labels: "NDArray[np.bool_]", folds: int, rng: "Generator"
) -> tuple[float, float, float]:
    """C, gamma, and the balanced accuracy that they have on results left out."""
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    shuffle = StratifiedKFold(
        folds, shuffle=True, random_state=int(rng.integers(2**31))
    )
    splits = list(shuffle.split(inputs, labels))

    def balanced_accuracy(c: float, gamma: float) -> float:
        predicted = np.empty_like(labels)
        for train, test in splits:
            machine = _machine(c, gamma).fit(inputs[train], labels[train])
            predicted[test] = machine.predict(inputs[test])
        return float(predicted[labels].mean() + (~predicted)[~labels].mean()) / 2

    # Of equals the first: the smallest gamma, and of these the smallest C.
    grid = [(c, gamma) for gamma, c in product(GAMMA_GRID, C_GRID)]
    scores = [balanced_accuracy(c, gamma) for c, gamma in grid]
    best = max(range(len(grid)), key=scores.__getitem__)
    return (*grid[best], scores[best])


def _machine(c: float, gamma: float) -> Any:
    from sklearn.svm import SVC

    # No class weights: with them more is called good, and less of it is.
    return SVC(kernel="rbf", C=c, gamma=gamma)


def draw_good(
    groups: Sequence[Group],
    svm: Svm | None,
    rng: "Generator",
    *,
    encoding: Encoding | None = None,
    attempts: int = 10_000,
    among: int = AMONG,
) -> tuple[Genes, bool]:
    """Draw genes until the model predicts good; the genes, and whether it does.

    They are the best, by the model's decision value, of the first ``among`` that it calls
    good; 1 for the first of all. If none is good after ``attempts``, they are the best of
    those.
    Without a model they are drawn at random, and nothing calls them good. ``encoding`` is
    the groups' own, where it is at hand. Candidates are drawn in batches: ``rng`` may be
    left further on than the one that was taken.
    """
    if svm is None:
        return draw(groups, rng), False
    encoding = encoding or Encoding(groups)
    if attempts < 1 or among < 1:
        raise ValueError(f"attempts = {attempts}, among = {among}: take 1 or more")
    if encoding.size != len(svm.centre):
        raise ValueError(
            f"a model of {len(svm.centre)} inputs for genes of {encoding.size}"
        )
    found: list[tuple[float, Genes]] = []
    best: tuple[float, Genes] = (-inf, ())
    size = 32
    while attempts > 0 and len(found) < among:
        batch = [draw(groups, rng) for _ in range(min(size, attempts))]
        values = svm.decisions([encoding(genes) for genes in batch]).tolist()
        candidates = list(zip(values, batch, strict=True))
        found += [candidate for candidate in candidates if candidate[0] > 0]
        best = max(best, *candidates, key=itemgetter(0))
        attempts -= len(batch)
        size = min(2 * size, LARGEST_BATCH)
    if found:
        return max(found[:among], key=itemgetter(0))[1], True
    return best[1], False
