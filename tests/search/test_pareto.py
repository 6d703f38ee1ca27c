"""Fronts, crowding, and the population of several goals."""

from itertools import pairwise

import numpy as np
import pytest

from ribosome.search.pareto import WorstFrontLeaves, crowding, fronts
from ribosome.search.population import Member


def peeled(goals: list[tuple[float, ...]]) -> list[int]:
    """Fronts by their definition: what nothing left dominates is taken off, again and again."""
    front = [-1] * len(goals)
    level = 0
    while -1 in front:
        left = [i for i, its in enumerate(front) if its < 0]
        for i in left:
            if not any(
                all(a >= b for a, b in zip(goals[j], goals[i], strict=True))
                and goals[j] != goals[i]
                for j in left
            ):
                front[i] = -2
        front = [level if its == -2 else its for its in front]
        level += 1
    return front


@pytest.mark.parametrize("seed", range(5))
def test_fronts_are_those_of_the_definition(seed: int) -> None:
    """Also with equal points and equal values."""
    rng = np.random.default_rng(seed)
    goals = [tuple(row) for row in rng.integers(0, 6, (40, 3)).astype(float).tolist()]
    assert fronts(goals) == peeled(goals)


def test_crowding_is_the_range_of_the_neighbours() -> None:
    """The ends are infinitely far, the point between has the whole range in both goals."""
    assert crowding([(0.0, 4.0), (1.0, 2.0), (4.0, 0.0)]) == [
        float("inf"),
        2.0,
        float("inf"),
    ]


def test_crowding_of_equal_values_is_finite_or_an_end() -> None:
    """A goal in which all are equal has no range to divide by."""
    assert crowding([(1.0,), (1.0,), (1.0,)]) == [float("inf"), 0.0, float("inf")]


def members(population: WorstFrontLeaves) -> list[Member]:
    """All of a population."""
    return population.members(range(len(population)))


def test_the_dominated_leaves() -> None:
    """However old it is."""
    population = WorstFrontLeaves(2)
    for trial, goals in enumerate([(0.9, 0.1), (0.1, 0.9), (0.05, 0.8)], start=1):
        population.add(Member(goals[0], trial, 0, (), goals[1:]))
    assert {member.trial for member in members(population)} == {1, 2}


def test_a_front_keeps_its_ends_and_its_spread() -> None:
    """Of many points on one line those that stay are spread over it."""
    population = WorstFrontLeaves(5)
    for trial, x in enumerate(np.random.default_rng(1).permutation(41) / 40.0):
        population.add(Member(float(x), trial, 0, (), (1.0 - float(x),)))
    order = np.random.default_rng(1).permutation(41) / 40.0
    kept = sorted(float(order[member.trial]) for member in members(population))
    assert kept[0] == 0.0
    assert kept[-1] == 1.0
    assert max(b - a for a, b in pairwise(kept)) < 0.45


def test_a_better_front_has_the_greater_fitness() -> None:
    """Whatever the crowding: tournaments compare this one number."""
    population = WorstFrontLeaves(10)
    rng = np.random.default_rng(2)
    goals = [tuple(row) for row in rng.random((10, 2)).tolist()]
    for trial, (accuracy, speed) in enumerate(goals):
        population.add(Member(accuracy, trial, 0, (), (speed,)))
    front = fronts(goals)
    fitness = [member.fitness for member in members(population)]
    for a in range(10):
        for b in range(10):
            if front[a] < front[b]:
                assert fitness[a] > fitness[b]
