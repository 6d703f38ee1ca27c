"""The memory of what was proposed, and new genes at random."""

import numpy as np

from ribosome.genome.space import Case, Gene, Group
from ribosome.search.novelty import Novelty, every


def test_every_gives_each_genome_once() -> None:
    """A walk through a space has as many steps as the space has genomes."""
    gene = Gene("gene", (1, 2, 3), (1.0, 1.0, 1.0))
    group = Group("group", (Case("empty", ()), Case("full", (gene, gene))))
    walked = list(every((group, group)))
    assert len(walked) == len(set(walked)) == group.size**2 == 100


def test_a_small_space_is_drawn_without_repeats(plain) -> None:
    """All of 64 genomes come before any comes twice."""
    novelty, rng = Novelty(plain(3, 4)), np.random.default_rng(1)
    drawn = []
    for _ in range(64):
        drawn.append(novelty.draw(rng))
        novelty.add(drawn[-1])
    assert len(set(drawn)) == 64


def test_a_large_space_is_drawn_without_repeats(plain) -> None:
    """A fifth of 16,384 genomes come, none of them twice."""
    novelty, rng = Novelty(plain(7, 4)), np.random.default_rng(1)
    drawn = set()
    for _ in range(3000):
        genes = novelty.draw(rng)
        novelty.add(genes)
        drawn.add(genes)
    assert len(drawn) == 3000


def test_a_rare_rest_is_found() -> None:
    """Genomes that a random draw would hardly ever meet are proposed in the end."""
    gene = Gene("gene", ("common", "rare"), (1e9, 1.0))
    groups = (Group("group", (Case("case", (gene, gene)),)),)

    class Weighted:
        def __init__(self) -> None:
            self.groups = groups

        def canonical(self, genes):
            return genes

        def admits(self, genes):  # noqa: ARG002
            return True

    novelty, rng = Novelty(Weighted()), np.random.default_rng(1)
    drawn = set()
    for _ in range(4):
        genes = novelty.draw(rng)
        novelty.add(genes)
        drawn.add(genes)
    assert len(drawn) == 4


def test_a_used_up_space_repeats_itself(plain) -> None:
    """Once everything was proposed a draw is any genome, and it comes at once."""
    language = plain(3, 2)
    novelty, rng = Novelty(language), np.random.default_rng(1)
    for genes in every(language.groups):
        novelty.add(genes)
    assert {novelty.draw(rng) for _ in range(100)} <= set(every(language.groups))


def test_draws_are_canonical_and_new(plain) -> None:
    """Of genes that mean the same only the representative is drawn, and once."""
    novelty, rng = Novelty(plain(3, 2, symmetric=True)), np.random.default_rng(1)
    drawn = []
    for _ in range(4):
        drawn.append(novelty.draw(rng))
        novelty.add(drawn[-1])
    assert sorted(sum(allele for _, allele in genes) for genes in drawn) == [0, 1, 2, 3]
    assert all(genes == tuple(sorted(genes)) for genes in drawn)


def test_neighbours_do_not_share_a_hash(plain) -> None:
    """All 2^16 genomes of a space, each the neighbour of 16 others, are told apart."""
    novelty = Novelty(plain(16, 2))
    for genes in every(plain(16, 2).groups):
        assert genes not in novelty
        novelty.add(genes)
