"""Asynchronous workers in simulated time: ask when one is free, tell in the order of ends."""

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bench.search.problem import Point, Points, Problem


class Method(Protocol):
    """What proposes points; ``trial`` counts the evaluations of a search from 0."""

    def ask(self, trial: int) -> Point:
        """Propose a point for a worker that is free."""
        ...

    def tell(self, trial: int, point: Point, fitness: float) -> None:
        """Learn the observed fitness of a point; a higher one is better."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """The evaluations of a search in the order in which they ended.

    ``seconds`` are the times of their ends since the start of the search, ``trials`` their
    numbers in the order in which they began, ``repetitions`` the table's seed observed.
    """

    seconds: NDArray[np.float64]
    trials: NDArray[np.int64]
    points: Points
    observed: NDArray[np.float64]
    repetitions: NDArray[np.int64]


def simulate(
    problem: Problem,
    method: Method,
    *,
    evaluations: int,
    workers: int,
    rng: np.random.Generator,
) -> History:
    """Run a search; all workers start at time 0, and a proposal takes no time."""
    running: list[tuple[float, int, Point, float, int]] = []
    told: list[tuple[float, int, Point, float, int]] = []
    now = 0.0
    for trial in range(evaluations + workers):
        if trial >= workers and running:
            ended = heappop(running)
            now, number, point, fitness, _ = ended
            method.tell(number, point, fitness)
            told.append(ended)
        if trial < evaluations:
            point = method.ask(trial)
            fitness, seconds, repetition = problem.evaluate(point, rng)
            heappush(running, (now + seconds, trial, point, fitness, repetition))
    times, trials, points, observed, repetitions = zip(*told, strict=True)
    return History(
        np.array(times),
        np.array(trials),
        np.array(points),
        np.array(observed),
        np.array(repetitions),
    )
