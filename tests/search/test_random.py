"""Random search."""

import numpy as np

from ribosome.search.random import RandomSearch


def test_no_genes_come_twice(plain) -> None:
    """A space of 81 genomes is proposed whole in 81 asks."""
    strategy = RandomSearch(plain(4, 3), np.random.default_rng(1))
    assert len({strategy.ask(trial).genes for trial in range(81)}) == 81


def test_a_proposal_has_no_parents(plain) -> None:
    """Whatever was told, the next proposal is a random draw."""
    strategy = RandomSearch(plain(4, 3), np.random.default_rng(1))
    for trial in range(20):
        proposal = strategy.ask(trial)
        strategy.tell(trial, 0.5)
        assert (proposal.generation, proposal.parents) == (0, ())


def test_restored_proposals_are_not_proposed_again(plain) -> None:
    """What a run had proposed before it stopped stays proposed."""
    before = RandomSearch(plain(4, 3), np.random.default_rng(1))
    proposals = [before.ask(trial) for trial in range(40)]
    after = RandomSearch(plain(4, 3), np.random.default_rng(2))
    for trial, proposal in enumerate(proposals):
        after.restore(trial, proposal)
    again = {after.ask(trial).genes for trial in range(40, 81)}
    assert not again & {proposal.genes for proposal in proposals}
