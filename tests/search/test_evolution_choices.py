"""What can be chosen of evolution beside tournament, crossover and mutation rate."""

import numpy as np
import pytest

from ribosome.genome.errors import ConfigError
from ribosome.search.evolution import ParetoEvolution
from ribosome.search.novelty import REJECTED
from ribosome.search.pareto import fronts
from ribosome.search.random import RandomSearch
from tests.search.test_evolution import evolution, ones, run


def test_a_restart_draws_a_population_anew(settings, plain) -> None:
    """After so many results without a better one ten random proposals come again."""
    strategy = evolution(settings, plain(20, 3), restart=15)
    proposals = run(strategy, lambda _: 0.5, trials=60)
    parentless = [not proposal.parents for proposal in proposals]
    # Of each population the first result is better than none, and 15 are not.
    assert parentless == (([True] * 10 + [False] * 6) * 4)[:60]


def test_nobody_of_an_ended_population_breeds(settings, plain) -> None:
    """Parents after a restart are of after it."""
    proposals = run(
        evolution(settings, plain(20, 3), restart=15), lambda _: 0.5, trials=31
    )
    later = [parent for p in proposals[16:] for parent in p.parents]
    assert later
    assert min(later) >= 16


def test_as_asked_a_slow_trial_holds_up_the_population(settings, plain) -> None:
    """While the first trial runs nobody can be bred from; once it has ended, all can."""
    strategy = evolution(settings, plain(20, 3), arrivals="asked")
    for trial in range(30):
        strategy.ask(trial)
    for trial in range(1, 30):
        strategy.tell(trial, 0.5)
    assert not strategy.ask(30).parents
    strategy.tell(0, 0.5)
    assert strategy.ask(31).parents


def test_an_adaptive_rate_falls_where_children_are_worse(settings, plain) -> None:
    """Late children differ from all before them in fewer genes than at a fixed rate."""

    def distance(adaptive: bool) -> float:
        strategy = evolution(
            settings,
            plain(60, 4),
            adaptive=adaptive,
            mutation=0.3,
            crossover=0.0,
            tournament=8,
        )
        proposals = run(strategy, ones, trials=200)
        steps = []
        for proposal in proposals[150:]:
            parent = proposals[proposal.parents[0]].genes
            steps.append(
                sum(a != b for a, b in zip(proposal.genes, parent, strict=True))
            )
        return float(np.mean(steps))

    assert distance(True) < 0.6 * distance(False)


def test_what_was_learned_breeds_at_once(settings, plain) -> None:
    """With a population of results from elsewhere the first proposal is a child of theirs."""
    language = plain(20, 3)
    strategy = evolution(settings, language)
    rng = np.random.default_rng(5)
    known = [RandomSearch(language, rng).ask(0).genes for _ in range(10)]
    for genes in known:
        strategy.learn(genes, ones(genes))
    proposal = strategy.ask(1)
    assert proposal.generation == 1
    assert proposal.parents == ()
    assert proposal.genes not in known


def test_what_was_learned_is_not_proposed(settings, plain) -> None:
    """Of a space of eight, seven known, the eighth comes."""
    language = plain(3, 2)
    strategy = evolution(settings, language)
    for index in range(7):
        genes = tuple((0, index >> bit & 1) for bit in range(3))
        strategy.learn(genes, None if index % 2 else 0.5)
    assert strategy.ask(1).genes == ((0, 1), (0, 1), (0, 1))


@pytest.mark.parametrize("make", [evolution, None])
def test_suggestions_come_first_in_their_order(make, settings, plain) -> None:
    """Once each, and in place of random draws."""
    language = plain(20, 3)
    strategy = (
        make(settings, language)
        if make
        else RandomSearch(language, np.random.default_rng(1))
    )
    wanted = [tuple((0, (i + k) % 3) for i in range(20)) for k in (0, 1, 0, 2)]
    for genes in wanted:
        strategy.suggest(genes)
    proposed = [strategy.ask(trial).genes for trial in range(1, 5)]
    assert proposed[:3] == [wanted[0], wanted[1], wanted[3]]
    assert proposed[3] not in wanted


@pytest.mark.parametrize("guided", [0, 1000])
def test_what_the_language_does_not_admit_is_never_proposed(
    guided, settings, plain
) -> None:
    """It is counted, and something else proposed."""
    language = plain(20, 3)
    object.__setattr__(language, "dear", lambda genes: genes[0] == (0, 1))
    strategy = evolution(settings, language, guided=guided)
    proposals = run(strategy, ones, trials=100)
    assert all(proposal.genes[0] != (0, 1) for proposal in proposals)
    assert strategy.rejected > 5


def test_a_language_that_admits_nothing_is_an_error(settings, plain) -> None:
    """It says how many were tried, and does not search for ever."""
    language = plain(20, 3)
    object.__setattr__(language, "dear", lambda _: True)
    with pytest.raises(ConfigError, match=f"none of {REJECTED} random networks"):
        evolution(settings, language).ask(1)


def test_a_guided_search_needs_fewer_evaluations(settings, plain) -> None:
    """On a sum of twenty genes its hundredth result is far above the plain one's."""

    def best(guided: int) -> float:
        strategy = evolution(settings, plain(20, 3), guided=guided)
        return max(ones(p.genes) for p in run(strategy, ones, trials=100))

    assert best(1000) > best(0) + 0.1


def test_the_surrogate_serves_so_many_results(settings, plain) -> None:
    """From then on the search is the plain one, and forgets the model."""
    strategy = evolution(settings, plain(20, 3), guided=40)
    run(strategy, ones, trials=39)
    assert strategy._surrogate is not None
    strategy.ask(39)
    strategy.tell(39, 0.5)
    assert strategy._surrogate is None


def test_a_restored_search_goes_on_as_the_one_that_was_not(settings, plain) -> None:
    """Replay and a random state make the same proposals, guided or restarted."""
    chosen = {"guided": 60, "restart": 20, "adaptive": True, "arrivals": "asked"}
    language = plain(20, 3)
    first = evolution(settings, language, **chosen)
    second = evolution(settings, language, seed=2, **chosen)
    running: list[int] = []
    for trial in range(50):
        proposal = first.ask(trial)
        second.restore(trial, proposal)
        running.append(trial)
        if trial % 3:
            told = running.pop(trial % len(running))
            for strategy in (first, second):
                strategy.tell(told, None if told % 7 == 0 else told % 11 / 11.0)
    second._rng.bit_generator.state = first._rng.bit_generator.state
    for trial in range(50, 80):
        assert first.ask(trial) == second.ask(trial)
        for strategy in (first, second):
            strategy.tell(trial, trial % 13 / 13.0)


def test_several_goals_keep_a_front(settings, plain) -> None:
    """Of two goals that contradict each other both ends and the middle are found."""
    language = plain(20, 3)
    strategy = ParetoEvolution(settings(), language, np.random.default_rng(1))
    seen = []
    for trial in range(400):
        genes = strategy.ask(trial).genes
        goals = ones(genes), sum(values[1] == 2 for values in genes) / 20
        strategy.tell(trial, goals[0], goals[1:])
        seen.append(goals)
    front = sorted({g for g, its in zip(seen, fronts(seen), strict=True) if its == 0})
    assert front[0][1] > 0.6
    assert front[-1][0] > 0.6
    assert len(front) >= 5
