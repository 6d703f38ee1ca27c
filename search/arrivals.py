"""The order in which results enter a population.

Taken as they end, fast trials breed earlier and more often than slow ones of the same
fitness: an asynchronous search is biased towards what is quick to evaluate (Scott and De
Jong 2015). Taken as they were asked, a result waits for those of all earlier trials, and
how long a trial took changes nothing; the population is then as old as the slowest trial.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from ribosome.search.strategy import Proposal


class Arrival(NamedTuple):
    """A trial that has ended; ``fitness`` is None for a failure, ``goals`` what else counts."""

    trial: int
    proposal: Proposal
    fitness: float | None
    goals: tuple[float, ...] = ()


class Arrivals(Protocol):
    """Says which results a population takes in when."""

    def ask(self, trial: int) -> None:
        """A trial was proposed."""
        ...

    def tell(self, arrival: Arrival) -> list[Arrival]:
        """A trial has ended: those that enter now, in order."""
        ...


class AsFinished:
    """Each result enters at once."""

    def ask(self, trial: int) -> None:
        """Nothing waits for a trial."""

    def tell(self, arrival: Arrival) -> list[Arrival]:
        """The one that has ended."""
        return [arrival]


class AsAsked:
    """A result enters when those of all trials that were asked before it have."""

    def __init__(self) -> None:
        self._asked: deque[int] = deque()
        self._waiting: dict[int, Arrival] = {}

    def ask(self, trial: int) -> None:
        """Later trials wait for this one."""
        self._asked.append(trial)

    def tell(self, arrival: Arrival) -> list[Arrival]:
        """The one that has ended and those that waited for it, or nothing."""
        self._waiting[arrival.trial] = arrival
        entering = []
        while self._asked and self._asked[0] in self._waiting:
            entering.append(self._waiting.pop(self._asked.popleft()))
        return entering


ARRIVALS: dict[str, Callable[[], Arrivals]] = {
    "finished": AsFinished,
    "asked": AsAsked,
}
