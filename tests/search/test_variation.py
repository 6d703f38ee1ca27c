"""Drawing, crossing and mutating genes."""

from collections import Counter
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.genome.space import Allele, Case, Gene, Genes, Group
from ribosome.search.variation import CROSSOVERS, Mutation, draw

SEEDS = st.integers(0, 2**32)
WEIGHTS = st.lists(st.sampled_from([1e-300, 0.1, 1.0, 50.0]), max_size=5)
ALLELES = st.sampled_from(
    [(0, 1, 2, 3, 4, 5), (3.0, 2.5, 1.0, 0.5, 0.2, 0.1), "abcdef"]
)


@st.composite
def some_genes(draw_from: st.DrawFn) -> Gene:
    """A gene, ordered or not, some of its alleles next to impossible."""
    weights = (*draw_from(WEIGHTS), 1.0)
    return Gene("name", tuple(draw_from(ALLELES))[: len(weights)], weights)


@st.composite
def some_cases(draw_from: st.DrawFn) -> Case:
    """A case of up to three genes; a gene may have the name of another case's."""
    genes = draw_from(st.lists(some_genes(), max_size=3))
    weight = draw_from(st.sampled_from([0.1, 1.0]))
    return Case("case", tuple(genes), weight)


@st.composite
def some_groups(draw_from: st.DrawFn) -> tuple[Group, ...]:
    """One to four groups of one to three cases."""
    cases = st.lists(some_cases(), min_size=1, max_size=3)
    groups = draw_from(st.lists(cases, min_size=1, max_size=4))
    return tuple(Group("group", tuple(cases)) for cases in groups)


def assert_in_language(groups: tuple[Group, ...], genes: Genes) -> None:
    """Every index is a Python int, and one that there is."""
    assert len(genes) == len(groups)
    for group, (index, *alleles) in zip(groups, genes, strict=True):
        case = group.cases[index]
        assert type(index) is int
        assert index >= 0
        assert len(alleles) == len(case.genes)
        for gene, allele in zip(case.genes, alleles, strict=True):
            assert type(allele) is int
            assert 0 <= allele < len(gene.alleles)


def one_gene(*weights: float, ordered: bool = False) -> tuple[Group, ...]:
    """A space of a single gene with these weights."""
    count = len(weights)
    alleles = tuple(range(count)) if ordered else tuple("abcdefghijkl"[:count])
    return (Group("group", (Case("case", (Gene("gene", alleles, weights),)),)),)


def frequencies(
    groups: tuple[Group, ...], genes: Genes, *, times: int
) -> dict[int, float]:
    """How often a certain mutation of the only gene goes to each allele."""
    mutate, rng = Mutation(groups, rate=1.0), np.random.default_rng(1)
    seen = Counter(mutate(genes, rng)[0][1] for _ in range(times))
    return {allele: count / times for allele, count in seen.items()}


@given(some_groups(), SEEDS)
def test_a_draw_is_in_the_language(groups: tuple[Group, ...], seed: int) -> None:
    """Drawn genes hold Python ints only, each in its range."""
    assert_in_language(groups, draw(groups, np.random.default_rng(seed)))


@given(some_groups(), SEEDS)
def test_a_draw_follows_from_the_generator(
    groups: tuple[Group, ...], seed: int
) -> None:
    """Equal generators draw equal genes."""
    first, second = (draw(groups, np.random.default_rng(seed)) for _ in range(2))
    assert first == second


def test_alleles_are_drawn_by_weight() -> None:
    """Each allele comes as often as its weight says, within five deviations."""
    groups, rng, times = one_gene(1.0, 5.0, 2.0, 12.0), np.random.default_rng(1), 4000
    seen = Counter(draw(groups, rng)[0][1] for _ in range(times))
    for allele, share in enumerate((0.05, 0.25, 0.1, 0.6)):
        spread = (times * share * (1 - share)) ** 0.5
        assert abs(seen[allele] - times * share) < 5 * spread


def test_cases_are_drawn_by_weight() -> None:
    """Each case comes as often as its weight says, within five deviations."""
    groups = (Group("group", (Case("rare", (), 1.0), Case("common", (), 3.0))),)
    rng = np.random.default_rng(1)
    common = sum(draw(groups, rng)[0][0] for _ in range(4000))
    assert abs(common - 3000) < 5 * (4000 * 0.25 * 0.75) ** 0.5


@pytest.mark.parametrize("kind", CROSSOVERS)
@given(count=st.integers(1, 9), seed=SEEDS)
def test_a_child_has_each_group_from_a_parent(kind: str, count: int, seed: int) -> None:
    """Crossover moves whole groups, each to its own place."""
    first = tuple((0, index) for index in range(count))
    second = tuple((1, index) for index in range(count))
    child = CROSSOVERS[kind](first, second, np.random.default_rng(seed))
    assert [index for _, index in child] == list(range(count))


@pytest.mark.parametrize("kind", ["one_point", "two_point"])
@given(count=st.integers(2, 9), seed=SEEDS)
def test_a_cut_child_has_groups_of_both_parents(
    kind: str, count: int, seed: int
) -> None:
    """A cut is never before the first group or after the last."""
    child = CROSSOVERS[kind](
        ((0,),) * count, ((1,),) * count, np.random.default_rng(seed)
    )
    assert set(child) == {(0,), (1,)}


@pytest.mark.parametrize(("kind", "cuts"), [("one_point", {1}), ("two_point", {1, 2})])
@given(count=st.integers(2, 9), seed=SEEDS)
def test_the_kind_says_how_often_the_parent_changes(
    kind: str, cuts: set[int], count: int, seed: int
) -> None:
    """One point cuts a child once, two points twice, once where the ring closes."""
    child = CROSSOVERS[kind](
        ((0,),) * count, ((1,),) * count, np.random.default_rng(seed)
    )
    assert len(list(groupby(child))) - 1 in cuts


@pytest.mark.parametrize("kind", CROSSOVERS)
def test_both_parents_give_the_same(kind: str) -> None:
    """No kind of crossover prefers a parent: each gives half, within five deviations."""
    rng, cross, times = np.random.default_rng(1), CROSSOVERS[kind], 2000
    given_by_second = sum(
        group[0] for _ in range(times) for group in cross(((0,),) * 6, ((1,),) * 6, rng)
    )
    # The groups of a child are not independent: a child counts as one throw of a coin.
    assert abs(given_by_second / 6 - times / 2) < 5 * (times / 4) ** 0.5


@given(some_groups(), SEEDS, st.floats(0.0, 1.0), st.floats(0.1, 50.0))
def test_a_mutation_stays_in_the_language(
    groups: tuple[Group, ...], seed: int, rate: float, boost: float
) -> None:
    """Whatever the rate, mutated genes hold Python ints only, each in its range."""
    rng = np.random.default_rng(seed)
    mutated = Mutation(groups, rate=rate)(draw(groups, rng), rng, boost=boost)
    assert_in_language(groups, mutated)


@given(some_groups(), SEEDS)
def test_a_certain_mutation_changes_every_group_that_can_change(
    groups: tuple[Group, ...], seed: int
) -> None:
    """At rate 1 a group with a choice left is never what it was."""
    rng = np.random.default_rng(seed)
    genes = draw(groups, rng)
    mutated = Mutation(groups, rate=1.0)(genes, rng)
    for group, old, new in zip(groups, genes, mutated, strict=True):
        genes_of_it = group.cases[old[0]].genes
        can_change = len(group.cases) > 1 or any(
            len(g.alleles) > 1 for g in genes_of_it
        )
        assert (new != old) == can_change


@given(some_groups(), SEEDS)
def test_a_certain_mutation_keeps_no_allele(
    groups: tuple[Group, ...], seed: int
) -> None:
    """At rate 1 every gene of a group that keeps its case gets another allele."""
    rng = np.random.default_rng(seed)
    genes = draw(groups, rng)
    mutated = Mutation(groups, rate=1.0)(genes, rng)
    for group, old, new in zip(groups, genes, mutated, strict=True):
        if old[0] == new[0]:
            for gene, a, b in zip(
                group.cases[old[0]].genes, old[1:], new[1:], strict=True
            ):
                assert (a != b) == (len(gene.alleles) > 1)


def test_rate_zero_changes_one_gene_on_average() -> None:
    """Genes that can take one value only do not dilute the rate."""
    words = Gene("words", ("a", "b"), (1.0, 1.0))
    fixed = Gene("fixed", ("a",), (1.0,))
    groups = (Group("group", (Case("case", (words, fixed, fixed)),)),) * 8
    genes, rng, times = ((0, 0, 0, 0),) * 8, np.random.default_rng(1), 4000
    mutate = Mutation(groups)
    changed = sum(
        new != old
        for _ in range(times)
        for new, old in zip(mutate(genes, rng), genes, strict=True)
    )
    assert abs(changed - times) < 5 * (times * 8 * (1 / 8) * (7 / 8)) ** 0.5


def test_a_boost_multiplies_the_rate() -> None:
    """Three times the rate changes three times as many genes."""
    groups = one_gene(1.0, 1.0) * 20
    genes, rng, times = ((0, 0),) * 20, np.random.default_rng(1), 2000
    mutate = Mutation(groups, rate=0.1)
    changed = sum(
        sum(new[1] for new in mutate(genes, rng, boost=3)) for _ in range(times)
    )
    expected = times * 20 * 0.3
    assert abs(changed - expected) < 5 * (expected * 0.7) ** 0.5


def test_a_genome_without_a_choice_stays_the_same() -> None:
    """Where nothing can change, nothing does, at any rate."""
    groups = one_gene(1.0)
    assert Mutation(groups, rate=1.0)(((0, 0),), np.random.default_rng(1)) == ((0, 0),)


def test_a_new_case_keeps_the_genes_that_it_shares() -> None:
    """Same name and same alleles: the allele is kept; anything else is drawn anew."""
    shared = Gene("shared", tuple("abcdefgh"), (1.0,) * 8)
    other = Gene("size", (1, 2, 3, 4), (1.0,) * 4)
    same_name = Gene("size", (5, 6, 7, 8), (1.0,) * 4)
    groups = (
        Group(
            "group", (Case("old", (shared, other)), Case("new", (same_name, shared)))
        ),
    )
    mutate, rng = Mutation(groups, rate=1.0), np.random.default_rng(1)
    mutated = [mutate(((0, 5, 2),), rng)[0] for _ in range(100)]
    assert {(case, kept) for case, _, kept in mutated} == {(1, 5)}
    assert {drawn for _, drawn, _ in mutated} == {0, 1, 2, 3}


def test_unordered_alleles_are_redrawn_by_weight() -> None:
    """A gene of words goes to the others in proportion to their weights."""
    seen = frequencies(one_gene(1.0, 6.0, 3.0, 10.0), ((0, 3),), times=4000)
    assert set(seen) == {0, 1, 2}
    for allele, share in enumerate((0.1, 0.6, 0.3)):
        assert abs(seen[allele] - share) < 5 * (share * (1 - share) / 4000) ** 0.5


def test_ordered_alleles_often_step_to_a_neighbour() -> None:
    """A number goes to a neighbour far more often than a word at the same place."""
    weights = (1.0,) * 11
    numbers = frequencies(one_gene(*weights, ordered=True), ((0, 5),), times=2000)
    words = frequencies(one_gene(*weights), ((0, 5),), times=2000)
    assert words[4] + words[6] == pytest.approx(0.2, abs=0.05)
    assert numbers[4] + numbers[6] > 0.45
    assert abs(numbers[4] - numbers[6]) < 0.08


@pytest.mark.parametrize("alleles", [("same", *range(10)), (*range(9), 1.5, 0.5)])
def test_numbers_out_of_order_have_no_neighbours(alleles: tuple[Allele, ...]) -> None:
    """Numbers that do not rise or fall, or that a word stands among, are words."""
    gene = Gene("gene", alleles, (1.0,) * 11)
    groups = (Group("group", (Case("case", (gene,)),)),)
    seen = frequencies(groups, ((0, 5),), times=2000)
    assert seen[4] + seen[6] == pytest.approx(0.2, abs=0.05)


def test_an_ordered_gene_can_go_anywhere() -> None:
    """Steps do not keep a number from a far allele."""
    seen = frequencies(one_gene(*(1.0,) * 11, ordered=True), ((0, 0),), times=2000)
    assert set(seen) == set(range(1, 11))


def test_a_step_goes_by_weight() -> None:
    """A neighbour that is next to never drawn is stepped over."""
    seen = frequencies(
        one_gene(5.0, 5.0, 1e-9, 5.0, ordered=True), ((0, 1),), times=500
    )
    assert seen.get(2, 0.0) < 0.02
    assert seen[3] > 0.3
