"""Genes as vectors."""

import numpy as np
import pytest

from ribosome.genome.space import Case, Gene, Group
from ribosome.genome.space_file import load_space
from ribosome.search.encoding import Encoding
from ribosome.search.variation import draw


def gene(*alleles, weights=()) -> Gene:
    """A gene, its alleles equally likely unless weights are given."""
    return Gene("gene", alleles, weights or (1.0,) * len(alleles))


def encode(*genes: Gene):
    """Encodes the allele indices of one case."""
    encoding = Encoding((Group("group", (Case("case", genes),)),))
    return lambda *alleles: encoding(((0, *alleles),))


def test_ordered_alleles_lie_in_order_in_the_middle_of_their_shares() -> None:
    """With equal weights the alleles are evenly spaced, whatever numbers they are."""
    vector = encode(gene(1, 10, 100, 1000))
    assert [vector(i) for i in range(4)] == [[0.125], [0.375], [0.625], [0.875]]


def test_weights_are_the_distances_of_ordered_alleles() -> None:
    """The width of an allele is its probability."""
    vector = encode(gene(3.0, 2.0, 1.0, weights=(2.0, 1.0, 1.0)))
    assert [vector(i) for i in range(3)] == [[0.25], [0.625], [0.875]]


def test_random_draws_fill_the_unit_interval_evenly() -> None:
    """Uneven weights or not, an ordered gene has the mean and spread of a uniform number."""
    weights = tuple(1.0 + (i % 7) for i in range(200))
    groups = (Group("g", (Case("c", (gene(*range(200), weights=weights),)),)),)
    rng, encoding = np.random.default_rng(1), Encoding(groups)
    places = np.array([encoding(draw(groups, rng))[0] for _ in range(20_000)])
    assert np.quantile(places, [0.1, 0.5, 0.9]) == pytest.approx(
        [0.1, 0.5, 0.9], abs=0.02
    )


def test_words_are_one_hot() -> None:
    """Each of three words has a place of its own."""
    vector = encode(gene("tanh", "relu", "elu"))
    assert [vector(i) for i in range(3)] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_words_among_numbers_make_a_gene_unordered() -> None:
    """Numbers and a word are one-hot, and so are numbers out of order."""
    assert encode(gene(1, 2, "same"))(2) == [0, 0, 1]
    assert encode(gene(1, 3, 2))(1) == [0, 1, 0]


@pytest.mark.parametrize("alleles", [("no", "yes"), (1, 5)])
def test_two_alleles_are_one_place(alleles) -> None:
    """0 or 1, words or numbers."""
    vector = encode(gene(*alleles))
    assert [vector(0), vector(1)] == [[0], [1]]


def test_one_allele_takes_no_place() -> None:
    """What cannot vary is not in the vector."""
    assert encode(gene(7), gene("a", "b"), gene("x"))(0, 1, 0) == [1]


def test_an_absent_case_is_neutral() -> None:
    """The case comes first, one-hot; genes of other cases stand at the mean of their codes."""
    cases = (
        Case("none", ()),
        Case("number", (gene(1, 2, 3, 4, 5), gene("a", "b"))),
        Case("word", (gene("a", "b", "c", "d"),)),
    )
    encoding = Encoding((Group("group", cases),))
    quarter = [0.25] * 4
    assert encoding.size == 3 + 1 + 1 + 4
    assert encoding(((0,),)) == [1, 0, 0, 0.5, 0.5, *quarter]
    assert encoding(((1, 4, 1),)) == [0, 1, 0, 0.9, 1, *quarter]
    assert encoding(((2, 2),)) == [0, 0, 1, 0.5, 0.5, 0, 0, 1, 0]


def test_two_cases_are_one_place() -> None:
    """A switch is 0 or 1."""
    cases = (Case("off", ()), Case("on", (gene(1, 2, 3),)))
    encoding = Encoding((Group("group", cases),))
    assert encoding(((0,),)) == [0, 0.5]
    assert encoding(((1, 2),)) == [1, pytest.approx(5 / 6)]


@pytest.mark.parametrize("name", ["menndl", "lenet"])
def test_every_genome_of_a_space_has_the_same_size(name: str) -> None:
    """Vectors have ``size`` places, all in 0..1, and no place is the same for all."""
    groups = load_space(name).groups
    rng, encoding = np.random.default_rng(1), Encoding(groups)
    vectors = np.array([encoding(draw(groups, rng)) for _ in range(2000)])
    assert vectors.shape == (2000, encoding.size)
    assert vectors.min() >= 0
    assert vectors.max() <= 1
    assert (vectors.std(axis=0) > 0).all()


def test_different_genes_have_different_vectors() -> None:
    """Nothing that varies is lost."""
    groups = load_space("lenet").groups
    rng, encoding = np.random.default_rng(2), Encoding(groups)
    drawn = {draw(groups, rng) for _ in range(3000)}
    assert len({tuple(encoding(genes)) for genes in drawn}) == len(drawn)
