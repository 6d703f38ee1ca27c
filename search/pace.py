"""A mutation rate that follows success: Rechenberg's rule of one fifth (1973).

Where more than a fifth of the children are better than their parents, larger steps may pay:
the rate grows. Where fewer are, it shrinks. Parents must be well above the mean for this,
the best of a tournament of five or more: random genes beat a worse one often enough.
"""

from math import exp

GAIN = exp(0.2)
LOSS = exp(-0.05)
"""With one success to four failures the rate stays what it is."""

SLOWEST, FASTEST = 0.25, 8.0


class Pace:
    """What the mutation rate is multiplied by, from the results so far."""

    def __init__(self) -> None:
        self.factor = 1.0
        self._fitness: dict[int, float] = {}

    def tell(self, trial: int, parents: tuple[int, ...], fitness: float | None) -> None:
        """Learn how a trial ended whose first parent it is compared with; None: it failed."""
        if fitness is not None:
            self._fitness[trial] = fitness
        if not parents:
            return
        better = fitness is not None and fitness > self._fitness[parents[0]]
        factor = self.factor * (GAIN if better else LOSS)
        self.factor = min(FASTEST, max(SLOWEST, factor))
