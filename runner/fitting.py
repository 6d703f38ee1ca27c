"""Fitting a model in a thread: the master's loop goes on, and so do all workers."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ribosome.search.svm import Fitted


def prepare() -> None:
    """Have scikit-learn imported in a thread, which can take some seconds."""

    def load() -> None:
        # Where it is missing, the first fit says so.
        with suppress(ImportError):
            import sklearn.model_selection
            import sklearn.svm  # noqa: F401

    threading.Thread(target=load, daemon=True).start()


class Fitting:
    """One fit of `ribosome.search.svm.fit`, under way; ``seed`` starts its random numbers.

    The thread does not hold up the end of the process: a fit that takes for ever is given
    up with it.
    """

    def __init__(
        self,
        points: Sequence[Sequence[float]],
        fitness: Sequence[float | None],
        *,
        good: float,
        seed: Sequence[int],
    ) -> None:
        self.results = len(points)
        """The number of results that it learns from."""
        self._outcome: Fitted | Exception | None = None
        self._thread = threading.Thread(
            target=self._fit, args=(points, fitness, good, seed), daemon=True
        )
        self._thread.start()

    def poll(self) -> "Fitted | Exception | None":
        """The model, or what the fit raised; None as long as it is under way."""
        return self._outcome

    def _fit(
        self,
        points: Sequence[Sequence[float]],
        fitness: Sequence[float | None],
        good: float,
        seed: Sequence[int],
    ) -> None:
        try:
            import numpy as np

            from ribosome.search import svm

            rng = np.random.default_rng(seed)
            self._outcome = svm.fit(points, fitness, good=good, rng=rng)
        except Exception as error:
            self._outcome = error
