"""Asynchronous evolution."""

from collections.abc import Callable

import numpy as np
import pytest

from ribosome.genome.space import Genes
from ribosome.search.evolution import Evolution
from ribosome.search.random import RandomSearch
from ribosome.search.strategy import Proposal, Strategy


def ones(genes: Genes) -> float:
    """The share of the groups that hold the allele 1."""
    return sum(values[1] == 1 for values in genes) / len(genes)


def run(
    strategy: Strategy, fitness: Callable[[Genes], float | None], *, trials: int
) -> list[Proposal]:
    """Ask and tell in turn; the proposals, which the trials' numbers count from 0."""
    proposals = []
    for trial in range(trials):
        proposals.append(strategy.ask(trial))
        strategy.tell(trial, fitness(proposals[-1].genes))
    return proposals


def evolution(settings, language, *, seed: int = 1, **chosen: object) -> Evolution:
    """A fresh search by evolution."""
    return Evolution(settings(**chosen), language, np.random.default_rng(seed))


def test_the_first_population_is_random(settings, plain) -> None:
    """As many draws as the population holds come before the first child."""
    proposals = run(evolution(settings, plain(20, 3)), ones, trials=40)
    parentless = [not proposal.parents for proposal in proposals]
    assert parentless == [True] * 10 + [False] * 30
    assert all(proposal.generation == 0 for proposal in proposals[:10])


def test_a_child_is_one_generation_after_its_latest_parent(settings, plain) -> None:
    """Parents are earlier trials, and the later generation of them counts."""
    proposals = run(evolution(settings, plain(20, 3)), ones, trials=200)
    for trial, proposal in enumerate(proposals[10:], start=10):
        assert len(set(proposal.parents)) == len(proposal.parents) in (1, 2)
        assert max(proposal.parents) < trial
        oldest = max(proposals[parent].generation for parent in proposal.parents)
        assert proposal.generation == oldest + 1
    assert proposals[-1].generation > 2


def test_nothing_is_proposed_twice(settings, plain) -> None:
    """Canonical genes come once, though a third of the trials fail."""
    language = plain(12, 4, symmetric=True)

    def fitness(genes: Genes) -> float | None:
        return None if hash(genes) % 3 == 0 else ones(genes)

    proposals = run(evolution(settings, language), fitness, trials=80)
    assert len({proposal.genes for proposal in proposals}) == 80
    assert all(p.genes == language.canonical(p.genes) for p in proposals)


@pytest.mark.parametrize("failure", [None, float("nan"), float("inf")])
def test_a_failure_never_breeds(failure: float | None, settings, plain) -> None:
    """No parent is a trial without a fitness, or with one that is not finite."""

    def fitness(genes: Genes) -> float | None:
        return failure if hash(genes) % 2 else ones(genes)

    proposals = run(evolution(settings, plain(20, 3)), fitness, trials=150)
    parents = {parent for proposal in proposals for parent in proposal.parents}
    assert parents
    assert all(hash(proposals[parent].genes) % 2 == 0 for parent in parents)


def test_without_a_success_the_draws_stay_random(settings, plain) -> None:
    """When everything fails, evolution is random search."""
    proposals = run(evolution(settings, plain(20, 3)), lambda _: None, trials=50)
    assert all(not proposal.parents for proposal in proposals)


def test_asks_need_no_tells(settings, plain) -> None:
    """Thousands of workers are given work before the first result is in."""
    strategy = evolution(settings, plain(30, 3))
    proposals = [strategy.ask(trial) for trial in range(3000)]
    assert len({proposal.genes for proposal in proposals}) == 3000


def test_results_may_come_in_any_order(settings, plain) -> None:
    """A late trial joins the population as any other does."""
    strategy = evolution(settings, plain(20, 3), population=2, tournament=20)
    for trial in range(10):
        strategy.ask(trial)
    strategy.tell(9, 0.2)
    strategy.tell(4, 0.9)
    assert strategy.ask(10).parents == (4,)


def test_a_known_child_is_followed_by_bolder_ones(settings, plain) -> None:
    """At a rate that hardly changes a clone, half of the asks still give a child."""
    strategy = evolution(settings, plain(20, 3), crossover=0.0, mutation=0.001)
    proposals = run(strategy, ones, trials=300)
    # At a constant rate it would be one in seven.
    assert sum(bool(proposal.parents) for proposal in proposals) > 120


@pytest.mark.parametrize("replacement", ["age", "fitness"])
def test_a_used_up_space_still_answers(replacement: str, settings, plain) -> None:
    """All of 27 genomes come first, then repeats, without an end."""
    strategy = evolution(settings, plain(3, 3), replacement=replacement)
    proposals = run(strategy, ones, trials=60)
    assert len({proposal.genes for proposal in proposals[:27]}) == 27


def test_a_large_tournament_finds_the_best(settings, plain) -> None:
    """With far more entrants than members the parents are always the best member."""
    strategy = evolution(
        settings, plain(20, 3), tournament=200, replacement="fitness", crossover=1.0
    )
    best: tuple[float, int] = (-1.0, -1)
    for trial in range(60):
        proposal = strategy.ask(trial)
        if trial >= 10:
            assert proposal.parents == (best[1],)
        fitness = ones(proposal.genes) + trial * 1e-9  # no two alike
        strategy.tell(trial, fitness)
        best = max(best, (fitness, trial))


@pytest.mark.parametrize(("share", "parents"), [(0.0, {1}), (1.0, {1, 2})])
def test_crossover_is_the_share_of_children_with_two_parents(
    share: float, parents: set[int], settings, plain
) -> None:
    """At 0 there are clones only; at 1 a single parent is one that was picked twice."""
    strategy = evolution(settings, plain(20, 3), crossover=share, tournament=1)
    proposals = run(strategy, ones, trials=150)[10:]
    assert {len(proposal.parents) for proposal in proposals} == parents
    if share:
        assert sum(len(proposal.parents) == 2 for proposal in proposals) > 100


def test_by_age_only_the_last_arrivals_breed(settings, plain) -> None:
    """A parent is among the ten latest successes, however good an older one was."""
    proposals = run(evolution(settings, plain(20, 3)), ones, trials=200)
    for trial, proposal in enumerate(proposals):
        assert all(parent >= trial - 10 for parent in proposal.parents)


def test_by_fitness_only_the_best_breed(settings, plain) -> None:
    """A parent is never worse than the tenth best so far."""
    strategy = evolution(settings, plain(20, 3), replacement="fitness")
    proposals = run(strategy, ones, trials=200)
    for trial, proposal in enumerate(proposals[10:], start=10):
        earlier = sorted(ones(p.genes) for p in proposals[:trial])
        for parent in proposal.parents:
            assert ones(proposals[parent].genes) >= earlier[-10]


def landscape(seed: int, *, neighbours: int) -> Callable[[Genes], float]:
    """Kauffman's NK landscape on 40 groups of 4 alleles; separable without neighbours.

    The fitness is the mean of one random table per group, looked up by its own allele
    and by those of so many groups behind it.
    """
    rng = np.random.default_rng(seed)
    tables = rng.random((40, *[4] * (neighbours + 1)))

    def fitness(genes: Genes) -> float:
        alleles = [values[1] for values in genes] * 2
        return (
            sum(float(tables[(i, *alleles[i : i + neighbours + 1])]) for i in range(40))
            / 40
        )

    return fitness


@pytest.mark.parametrize("replacement", ["age", "fitness"])
@pytest.mark.parametrize(("neighbours", "margin"), [(0, 0.08), (3, 0.05)])
def test_evolution_beats_random(
    neighbours: int, margin: float, replacement: str, settings, plain
) -> None:
    """At 400 evaluations evolution is ahead on each of five landscapes, and clearly."""
    language, gains = plain(40, 4), []
    for seed in range(5):
        fitness = landscape(seed, neighbours=neighbours)
        chosen = evolution(
            settings,
            language,
            seed=seed,
            population=24,
            tournament=5,
            crossover=0.75,
            replacement=replacement,
        )
        chance = RandomSearch(language, np.random.default_rng(seed))
        evolved, drawn = (
            max(fitness(proposal.genes) for proposal in run(s, fitness, trials=400))
            for s in (chosen, chance)
        )
        gains.append(evolved - drawn)
    assert min(gains) > 0
    assert sum(gains) / 5 > margin
