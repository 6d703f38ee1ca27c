"""The model that chooses among children."""

import numpy as np
import pytest

from ribosome.search.surrogate import POINTS, Surrogate
from ribosome.search.variation import draw


def additive(genes) -> float:
    """The sum of the alleles."""
    return float(sum(values[1] for values in genes))


def learned(language, *, count: int, seed: int = 1) -> Surrogate:
    """A surrogate that has seen random genes."""
    rng = np.random.default_rng(seed)
    surrogate = Surrogate(language.groups)
    for _ in range(count):
        genes = draw(language.groups, rng)
        surrogate.add(genes, additive(genes))
    return surrogate


def test_the_order_is_that_of_expected_improvement_by_scikit_learn(plain) -> None:
    """A Gaussian process of scikit-learn with the same kernel says the same."""
    from scipy.stats import norm
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel

    from ribosome.search.encoding import Encoding
    from ribosome.search.surrogate import _normal_scores

    language = plain(6, 4)
    surrogate = learned(language, count=40)
    rng = np.random.default_rng(2)
    candidates = [draw(language.groups, rng) for _ in range(30)]
    order = surrogate.order(candidates, [])
    _, reach, noise = surrogate._chosen
    encode = Encoding(language.groups)
    points = np.array(surrogate._points)
    target = _normal_scores(np.array(surrogate._fitness))
    width = np.sqrt(surrogate._unit / (2.0 * reach))
    plain_process = GaussianProcessRegressor(RBF(width), alpha=noise, optimizer=None)
    gram = RBF(width)(points) + noise * np.eye(40)
    scale = float(target @ np.linalg.solve(gram, target)) / 40
    process = GaussianProcessRegressor(
        ConstantKernel(scale) * RBF(width), alpha=noise * scale, optimizer=None
    ).fit(points, target)
    best = plain_process.fit(points, target).predict(points).max()
    mean, deviation = process.predict(
        np.array([encode(genes) for genes in candidates]), return_std=True
    )
    z = (mean - best) / deviation
    improvement = deviation * (z * norm.cdf(z) + norm.pdf(z))
    assert order == np.argsort(-improvement, kind="stable").tolist()


def test_it_finds_the_better_half(plain) -> None:
    """Of new genes the ten that come first are much better than the ten last."""
    language = plain(8, 4)
    surrogate = learned(language, count=100)
    rng = np.random.default_rng(3)
    candidates = [draw(language.groups, rng) for _ in range(50)]
    worth = [additive(candidates[place]) for place in surrogate.order(candidates, [])]
    assert np.mean(worth[:10]) > np.mean(worth[-10:]) + 5.0


def test_a_pending_trial_sends_the_next_elsewhere(plain) -> None:
    """Once the first choice is under way it has little left to promise."""
    language = plain(6, 4)
    surrogate = learned(language, count=30)
    rng = np.random.default_rng(4)
    candidates = [draw(language.groups, rng) for _ in range(30)]
    first = surrogate.order(candidates, [])[0]
    later = surrogate.order(candidates, [candidates[first]])
    assert later.index(first) > 0


def test_failures_rank_below_every_success(plain) -> None:
    """Genes like those that failed come last."""
    language = plain(1, 2)
    surrogate = Surrogate(language.groups)
    for _ in range(5):
        surrogate.add(((0, 0),), None)
        surrogate.add(((0, 1),), -1e9)
    assert surrogate.order([((0, 0),), ((0, 1),)], []) == [1, 0]


def test_the_scale_of_fitness_does_not_matter(plain) -> None:
    """Ranks alone count."""
    language = plain(6, 4)
    first, second = learned(language, count=40), Surrogate(language.groups)
    rng = np.random.default_rng(1)
    for _ in range(40):
        genes = draw(language.groups, rng)
        second.add(genes, np.exp(additive(genes)) - 7.0)
    candidates = [draw(language.groups, rng) for _ in range(30)]
    assert first.order(candidates, []) == second.order(candidates, [])


@pytest.mark.parametrize("fitness", [0.5, None])
def test_equal_results_say_nothing_and_break_nothing(fitness, plain) -> None:
    """All candidates come, in some order."""
    language = plain(6, 4)
    surrogate = Surrogate(language.groups)
    rng = np.random.default_rng(5)
    for _ in range(20):
        surrogate.add(draw(language.groups, rng), fitness)
    candidates = [draw(language.groups, rng) for _ in range(10)]
    assert sorted(surrogate.order(candidates, candidates[:3])) == list(range(10))


def test_many_results_are_thinned_to_the_best_and_the_latest(plain) -> None:
    """The model stays as small as it may be at most."""
    language = plain(8, 4)
    surrogate = learned(language, count=POINTS + 300)
    places = surrogate._places(POINTS + 300)
    assert len(places) <= POINTS
    assert set(range(POINTS // 2 + 300, POINTS + 300)) <= set(places)
    assert int(np.argmax(surrogate._fitness)) in places


def test_what_was_asked_before_changes_nothing(plain) -> None:
    """A search that was resumed asks for the first time what another has asked often."""
    language = plain(8, 4)
    rng = np.random.default_rng(4)
    asked, resumed = Surrogate(language.groups), Surrogate(language.groups)
    candidates = [draw(language.groups, rng) for _ in range(40)]
    for count in range(1, 120):
        genes = draw(language.groups, rng)
        # The fitness changes its nature, so that what is likeliest does.
        fitness = additive(genes) if count < 60 else float(rng.random())
        for surrogate in (asked, resumed):
            surrogate.add(genes, fitness)
        if count > 1:
            asked.order(candidates, [])
        if count % 23 == 0:
            fresh = Surrogate(language.groups)
            fresh._points, fresh._fitness = resumed._points, resumed._fitness
            assert fresh.order(candidates, []) == asked.order(candidates, [])
            assert fresh._chosen == asked._chosen
