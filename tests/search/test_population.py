"""Who stays in the population and who leaves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.search.population import (
    REPLACEMENTS,
    Member,
    OldestLeaves,
    Population,
    WorstLeaves,
)

FITNESSES = st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), max_size=30)


def filled(population: Population, fitnesses: list[float]) -> list[Member]:
    """The members after such arrivals, numbered from 0."""
    for trial, fitness in enumerate(fitnesses):
        population.add(Member(fitness, trial, 0, ((trial,),)))
    return population.members(range(len(population)))


@pytest.mark.parametrize("replacement", REPLACEMENTS)
@given(capacity=st.integers(1, 9), fitnesses=FITNESSES)
def test_a_population_fills_up_and_grows_no_further(
    replacement: str, capacity: int, fitnesses: list[float]
) -> None:
    """It holds every arrival until it is full, and is full from then on."""
    members = filled(REPLACEMENTS[replacement](capacity), fitnesses)
    assert len(members) == min(capacity, len(fitnesses))


@given(capacity=st.integers(1, 9), fitnesses=FITNESSES)
def test_the_oldest_leaves(capacity: int, fitnesses: list[float]) -> None:
    """The last arrivals are the members, whatever their fitness."""
    members = filled(OldestLeaves(capacity), fitnesses)
    arrived = range(len(fitnesses))
    assert sorted(member.trial for member in members) == list(arrived)[-capacity:]


@given(capacity=st.integers(1, 9), fitnesses=FITNESSES)
def test_the_worst_leaves(capacity: int, fitnesses: list[float]) -> None:
    """The best arrivals are the members, and of equals the youngest."""
    members = filled(WorstLeaves(capacity), fitnesses)
    ranked = sorted(zip(fitnesses, range(len(fitnesses)), strict=True))
    assert sorted((m.fitness, m.trial) for m in members) == ranked[-capacity:]
