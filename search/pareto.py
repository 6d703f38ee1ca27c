"""Several goals at once: fronts, and a population whose worst by front and crowding leaves.

The selection of NSGA-II (Deb et al. 2002), one newcomer at a time, as an asynchronous search
needs it: no generation is waited for. All goals are to be as great as can be.
"""

from collections.abc import Iterable, Sequence
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from ribosome.search.population import Member

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

Goals = Sequence[float]


def fronts(goals: Sequence[Goals]) -> list[int]:
    """The front that each point is on: 0 for those that no other point dominates, 1 for
    those that only points of front 0 dominate, and so on.

    A point dominates another that is no better in any goal and worse in one.
    """
    if not goals:
        return []
    values = np.array(goals)
    no_worse = np.all(values[:, None, :] >= values[None, :, :], axis=2)
    better = np.any(values[:, None, :] > values[None, :, :], axis=2)
    dominates = np.logical_and(no_worse, better)
    front = np.full(len(values), -1)
    rivals = dominates.sum(axis=0)
    level = 0
    while (open_ := front < 0).any():
        now = open_ & (rivals == 0)
        front[now] = level
        rivals -= dominates[now].sum(axis=0)
        level += 1
    ranks: list[int] = front.tolist()
    return ranks


def crowding(goals: Sequence[Goals]) -> list[float]:
    """How far apart the neighbours of each point of a front are, added up over the goals,
    each in units of its range; infinite for the ends."""
    values = np.array(goals, dtype=float).reshape(len(goals), -1)
    distance = np.zeros(len(values))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        distance[order[[0, -1]]] = inf
        if (width := ordered[-1] - ordered[0]) > 0.0:
            distance[order[1:-1]] += (ordered[2:] - ordered[:-2]) / width
    apart: list[float] = distance.tolist()
    return apart


class WorstFrontLeaves:
    """The best ``capacity`` arrivals by front, and within a front by crowding.

    A member is read with a fitness that says this in one number: the front, negative, and
    a share of 1 that grows with the crowding distance. Of equals the oldest leaves. A
    newcomer costs the square of the capacity: some ms for 500.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._members: list[Member] = []
        self._ranked: list[Member] = []

    def add(self, member: Member) -> None:
        """Take a member in; from a full population the worst leaves, maybe this one."""
        self._members.append(member)
        ranks = _ranks(self._members)
        if len(self._members) > self._capacity:
            del self._members[ranks.index(min(ranks))]
            ranks = _ranks(self._members)
        self._ranked = [
            member._replace(fitness=rank)
            for member, rank in zip(self._members, ranks, strict=True)
        ]

    def __len__(self) -> int:
        """The number of members."""
        return len(self._ranked)

    def members(self, places: Iterable[int]) -> list[Member]:
        """Members by their places, the oldest first."""
        return [self._ranked[place] for place in places]


def _ranks(members: Sequence[Member]) -> list[float]:
    goals = [(member.fitness, *member.goals) for member in members]
    front = fronts(goals)
    ranks = [0.0] * len(goals)
    for level in range(max(front) + 1):
        places = [place for place, its in enumerate(front) if its == level]
        apart = crowding([goals[place] for place in places])
        for place, distance in zip(places, apart, strict=True):
            share = 0.75 if distance == inf else 0.5 * distance / (1.0 + distance)
            ranks[place] = share - level
    return ranks
