"""Levels between alleles: all valid, evenly spaced, and drawn as the alleles were."""

from bisect import bisect
from itertools import pairwise
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.genome.levels import STEPS, with_levels
from ribosome.genome.parameters import SECTIONS, SLOT_CASES, Parameter, by_difference
from ribosome.genome.space import Gene

CASES = [*SLOT_CASES.values(), *(c for s in SECTIONS.values() for c in s.values())]
CONTINUOUS = {
    name: parameter
    for case in CASES
    for name, parameter in case.items()
    if parameter.distance is not None
}
"""The last parameter of each name; "gamma" is that of a sigmoid, of either sign."""

BASE_LR = SECTIONS["solver"]["SGD"]["base_lr"]
MOMENTUM = SECTIONS["solver"]["SGD"]["momentum"]
WIDTH = SLOT_CASES["convolution"]["num_output"]


def gene(*alleles: int | float | str, weights: tuple[float, ...] = ()) -> Gene:
    """A gene of these alleles, equally likely unless told otherwise."""
    return Gene("any", alleles, weights or (1.0,) * len(alleles))


def numbers(parameter: Parameter) -> st.SearchStrategy[int | float]:
    """Numbers that a parameter may be."""
    some = st.one_of(
        st.integers(-70000, 70000),
        st.floats(-1e6, 1e6, allow_nan=False),
        st.floats(0.0, 1.0),
    )
    return some.filter(parameter.check)


@given(st.data(), st.sampled_from(sorted(CONTINUOUS)))
def test_levels_hold_the_alleles_and_rise(data: st.DataObject, name: str) -> None:
    """Every allele is a level; each level is valid and larger than the one before."""
    parameter = CONTINUOUS[name]
    own = data.draw(st.lists(numbers(parameter), min_size=1, max_size=9, unique=True))
    fine = with_levels(gene(*own), parameter)
    assert set(own) <= set(fine.alleles)
    assert all(low < high for low, high in pairwise(fine.alleles))  # type: ignore[operator]
    assert all(map(parameter.check, fine.alleles))
    assert len(fine.alleles) <= STEPS + 1 + 2 * len(own)


@given(st.data(), st.sampled_from(sorted(CONTINUOUS)))
def test_levels_are_drawn_as_the_alleles_were(data: st.DataObject, name: str) -> None:
    """The weights between the middles of the gaps add up to the weights of the alleles."""
    parameter = CONTINUOUS[name]
    own = data.draw(st.lists(numbers(parameter), min_size=1, max_size=9, unique=True))
    weights = tuple(data.draw(st.floats(0.01, 10.0)) for _ in own)
    fine = with_levels(gene(*own, weights=weights), parameter)
    places = sorted(map(fine.position.__getitem__, own))
    total: dict[int, float] = dict.fromkeys(places, 0.0)
    for index, weight in enumerate(fine.weights):
        low = max((p for p in places if p <= index), default=places[0])
        high = min((p for p in places if p >= index), default=places[-1])
        is_low = index - low <= high - index
        if fine.alleles[low] == 0 < index - low:
            is_low = False
        if fine.alleles[high] == 0 < high - index:
            is_low = True
        total[low if is_low else high] += weight
    for allele, weight in zip(own, weights, strict=True):
        assert total[fine.position[allele]] == pytest.approx(weight)


def test_a_rate_has_levels_evenly_spaced_in_its_logarithm() -> None:
    """From 0.0001 to 1 no step is far from a 255th of the way, and a draw is log-uniform."""
    fine = with_levels(gene(0.0001, 0.001, 0.01, 0.1, 1.0), BASE_LR)
    assert 250 <= len(fine.alleles) <= 260
    steps = [log(b / a) for a, b in pairwise(fine.alleles)]  # type: ignore[operator, arg-type]
    assert min(steps) > 0.9 * log(1e4) / STEPS
    assert max(steps) < 1.1 * log(1e4) / STEPS
    rng = np.random.default_rng(1)
    drawn = [float(fine.alleles[i]) for i in _draws(fine, rng)]
    below = np.mean([x < 0.01 for x in drawn])
    assert below == pytest.approx(0.5, abs=0.03)


def test_a_share_has_levels_evenly_spaced() -> None:
    """Momentum from 0 to 0.99: every step is a 255th, as four digits tell it."""
    fine = with_levels(gene(0.0, 0.5, 0.99), MOMENTUM)
    assert len(fine.alleles) >= STEPS
    steps = [b - a for a, b in pairwise(fine.alleles)]  # type: ignore[operator]
    assert steps == pytest.approx([0.99 / STEPS] * len(steps), rel=0.05)


def test_few_whole_numbers_are_all_there() -> None:
    """Widths of 1, 4 and 128 become 1, 2, 3, ..., 128."""
    assert with_levels(gene(128, 4, 1), WIDTH).alleles == tuple(range(1, 129))


def test_many_whole_numbers_stay_whole() -> None:
    """Widths from 1 to 60,000 are some hundred whole numbers, close where they are small."""
    alleles = with_levels(gene(1, 60_000), WIDTH).alleles
    assert all(type(allele) is int for allele in alleles)
    assert alleles[:4] == (1, 2, 3, 4)
    assert 150 < len(alleles) <= STEPS + 1


def test_an_odd_number_stays_odd() -> None:
    """The size of an LRN's window has no even level."""
    local_size = SLOT_CASES["lrn"]["local_size"]
    assert with_levels(gene(1, 9), local_size).alleles == (1, 3, 5, 7, 9)


def test_nothing_is_put_between_zero_and_a_logarithm() -> None:
    """Weight decay is 0 or at least the least of the others, as often as before."""
    decay = SECTIONS["training"]["training"]["weight_decay"]
    fine = with_levels(gene(0.0, 0.001, 0.1), decay)
    assert fine.alleles[:2] == (0.0, 0.001)
    assert fine.weights[0] / sum(fine.weights) == pytest.approx(1 / 3)


def test_no_dropout_stays_as_likely_as_it_was() -> None:
    """0 shares its weight with nothing, even where levels lie next to it."""
    convolution = SLOT_CASES["convolution"]
    fine = with_levels(gene(0.0, 0.5, weights=(9.0, 1.0)), convolution["dropout"])
    assert len(fine.alleles) > 200
    assert fine.weights[0] == 9.0
    fine = with_levels(gene(0.0, -0.5, weights=(9.0, 1.0)), convolution["bias"])
    assert len(fine.alleles) > 200
    assert fine.weights[-1] == 9.0


def test_negative_numbers_have_levels_too() -> None:
    """The slope of a sigmoid from -20 to -10, in ascending order."""
    gamma = SECTIONS["learning_rate"]["sigmoid"]["gamma"]
    alleles = with_levels(gene(-10.0, -20.0), gamma).alleles
    assert len(alleles) == STEPS + 1
    assert (alleles[0], alleles[-1]) == (-20.0, -10.0)


def test_words_are_left_out() -> None:
    """A width of a window that is a number here is one everywhere in its tuning space."""
    kernel_w = SLOT_CASES["convolution"]["kernel_w"]
    assert with_levels(gene("same", 1, 4), kernel_w).alleles == (1, 2, 3, 4)


def test_levels_are_the_same_for_ever() -> None:
    """Levels of a rate and of a share by their values: a genome holds their indices."""
    assert with_levels(gene(0.0001, 0.2), BASE_LR).alleles[:4] == (
        0.0001,
        0.000103,
        0.0001061,
        0.0001094,
    )
    assert with_levels(gene(0.99, 0.5), MOMENTUM).alleles[-3:] == (
        0.9862,
        0.9881,
        0.99,
    )


def test_levels_have_four_digits() -> None:
    """No level has a longer text than ``0.0001234``, so that files stay easy to read."""
    for parameter in CONTINUOUS.values():
        if parameter.distance is by_difference and parameter.check(0.5):
            fine = with_levels(gene(0.123, 0.5), parameter)
            assert all(float(f"{x:.4g}") == x for x in fine.alleles)


def _draws(fine: Gene, rng: np.random.Generator) -> list[int]:
    return [bisect(fine.cumulative, u) for u in rng.random(2000).tolist()]
