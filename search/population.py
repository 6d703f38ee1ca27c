"""The population of a steady-state search: who may breed, who leaves for a newcomer.

Both kinds are read by place, for tournaments, and hold at most ``capacity`` members.
Ages are counted by arrival: a slow trial that comes in late is young.
"""

from collections.abc import Callable, Iterable
from heapq import heappush, heappushpop
from typing import NamedTuple, Protocol

from ribosome.genome.space import Genes


class Member(NamedTuple):
    """A trial that succeeded; ``goals`` are what else counts, all to be great."""

    fitness: float
    trial: int
    generation: int
    genes: Genes
    goals: tuple[float, ...] = ()


class Population(Protocol):
    """A bounded set of members."""

    def add(self, member: Member) -> None:
        """Take a member in; one leaves if the population is full."""
        ...

    def __len__(self) -> int:
        """The number of members."""
        ...

    def members(self, places: Iterable[int]) -> list[Member]:
        """Members by place, in an order that only the sequence of arrivals decides."""
        ...


class OldestLeaves:
    """The last ``capacity`` arrivals: what was lucky once must prove itself again.

    Regularized evolution (Real et al. 2019, arXiv:1802.01548).
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._members: list[Member] = []
        self._oldest = 0

    def add(self, member: Member) -> None:
        """Take a member in, in place of the oldest if the population is full."""
        if len(self._members) < self._capacity:
            self._members.append(member)
            return
        self._members[self._oldest] = member
        self._oldest = (self._oldest + 1) % self._capacity

    def __len__(self) -> int:
        """The number of members."""
        return len(self._members)

    def members(self, places: Iterable[int]) -> list[Member]:
        """Members by their places in the ring."""
        return [self._members[place] for place in places]


class WorstLeaves:
    """The best ``capacity`` arrivals; of equals the oldest leaves."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._arrivals = 0
        self._heap: list[tuple[float, int, Member]] = []

    def add(self, member: Member) -> None:
        """Take a member in; from a full population the worst leaves, maybe this one."""
        entry = (member.fitness, self._arrivals, member)
        self._arrivals += 1
        if len(self._heap) < self._capacity:
            heappush(self._heap, entry)
        else:
            heappushpop(self._heap, entry)

    def __len__(self) -> int:
        """The number of members."""
        return len(self._heap)

    def members(self, places: Iterable[int]) -> list[Member]:
        """Members by their places in the heap."""
        return [self._heap[place][2] for place in places]


REPLACEMENTS: dict[str, Callable[[int], Population]] = {
    "age": OldestLeaves,
    "fitness": WorstLeaves,
}
