"""The support vector machine of the second phase: fitted, sent, drawn by."""

import math
import subprocess
import sys
import time
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from ribosome.genome.errors import RibosomeError
from ribosome.genome.space import Case, Gene, Genes, Group
from ribosome.search.encoding import Encoding
from ribosome.search.svm import AMONG, NEEDED, Fitted, NotEnough, Svm, draw_good, fit
from ribosome.search.variation import draw


def numbers(groups: int, alleles: int = 16) -> tuple[Group, ...]:
    """Groups of one ordered gene each."""
    gene = Gene("gene", tuple(range(alleles)), (1.0,) * alleles)
    return tuple(Group(f"g{i}", (Case("only", (gene,)),)) for i in range(groups))


def peak(vector) -> float:
    """A fitness with a known best place, (0.5, 0.5); places beyond the second do nothing."""
    return -float(sum((place - 0.5) ** 2 for place in vector[:2]))


def rng(seed: int = 1) -> np.random.Generator:
    """A generator."""
    return np.random.default_rng(seed)


def sampled(
    groups: tuple[Group, ...], count: int, function: Callable = peak
) -> tuple[list[list[float]], list[float]]:
    """Vectors at random and what a function gives them."""
    encoding, generator = Encoding(groups), rng()
    points = [encoding(draw(groups, generator)) for _ in range(count)]
    return points, [function(point) for point in points]


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    """A model of the peak in four dimensions, from 120 results."""
    return fit(*sampled(numbers(4), 120), rng=rng())


CONSTANT = Svm((0.0,), (1.0,), ((0.0,),), (0.0,), -1.0, 1.0)
"""A model of one input that never says good."""


# The model


@pytest.mark.parametrize(("groups", "count"), [(1, 40), (4, 120), (30, 300)])
def test_the_decision_is_that_of_scikit_learn(groups: int, count: int) -> None:
    """Plain numbers decide as scikit-learn does, in one dimension or thirty."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    points, fitness = sampled(numbers(groups), count)
    found = fit(points, fitness, rng=rng())
    theirs = make_pipeline(StandardScaler(), SVC(C=found.c, gamma=found.gamma))
    theirs.fit(points, [value >= found.threshold for value in fitness])
    others, _ = sampled(numbers(groups, 101), 200)
    expected = theirs.decision_function(others)
    assert found.svm.decisions(np.array(others)) == pytest.approx(expected, rel=1e-9)


def test_one_decision_is_as_among_many(fitted: Fitted) -> None:
    """To the last bit, so that the size of a batch decides nothing."""
    points, _ = sampled(numbers(4), 100)
    together = fitted.svm.decisions(points).tolist()
    assert [fitted.svm.decision(point) for point in points] == together


def test_a_model_travels_as_plain_numbers(fitted: Fitted) -> None:
    """What msgspec encodes and decodes decides to the last bit as before."""
    for codec in (msgspec.json, msgspec.msgpack):
        back = codec.decode(codec.encode(fitted), type=Fitted)
        assert back == fitted


# Fitting


def test_good_are_the_upper_quantile(fitted: Fitted) -> None:
    """A quarter of 120 results is good, from the 30th best on."""
    _, fitness = sampled(numbers(4), 120)
    threshold = sorted(fitness, reverse=True)[29]
    assert fitted.threshold == threshold
    assert fitted.good == sum(value >= threshold for value in fitness)
    assert fitted.good + fitted.bad == 120


@pytest.mark.parametrize(
    ("good", "count"), [(0.5, 50), (0.7, 30), (0.75, 25), (0.9, 10), (0.955, 5)]
)
def test_the_quantile_is_a_setting(good: float, count: int) -> None:
    """Of 100 different results so many are good; a part of one counts as one."""
    fitness = [float(i) for i in range(100)]
    found = fit([[value] for value in fitness], fitness, good=good, rng=rng())
    assert (found.good, found.threshold) == (count, 100.0 - count)


def test_failures_are_bad() -> None:
    """None, infinities and what is not a number count among the bad, not in the quantile."""
    failures = [None, math.nan, math.inf, -math.inf] * 10
    fitness = [*(float(i) for i in range(40)), *failures]
    found = fit([[float(i)] for i in range(80)], fitness, rng=rng())
    assert (found.good, found.bad, found.threshold) == (10, 70, 30.0)


@pytest.mark.parametrize(
    ("fitness", "good"),
    [
        ([1.0] * 60 + [0.5] * 40, 60),  # saturated: the best are all equal
        ([0.1] * 80 + [0.2] * 10 + [0.3] * 10, 20),  # most stayed at chance level
        ([0.9] * 10 + [0.5] * 30 + [0.1] * 60, 40),  # 10 or 40: both are 15 away
        ([0.9] * 10 + [0.5] * 31 + [0.1] * 59, 10),
        ([0.9] * 4 + [0.5] * 60 + [0.1] * 36, 64),  # 4 are nearer but too few
        ([0.9] * 5 + [0.5] * 95, 5),
    ],
)
def test_equal_results_are_good_together_or_not(fitness, good: int) -> None:
    """A quantile that cuts through equal results takes the nearer share that can be fitted."""
    points = [[i / 100] for i in range(100)]
    assert fit(points, fitness, rng=rng()).good == good


def test_with_equal_results_those_that_did_not_fail_are_good() -> None:
    """All that succeeded were the same: 30 good, 20 failures."""
    fitness = [0.5] * 30 + [None] * 20
    found = fit([[float(i)] for i in range(50)], fitness, rng=rng())
    assert (found.good, found.bad) == (30, 20)
    assert found.svm.decision([5.0]) > 0 > found.svm.decision([45.0])


@pytest.mark.parametrize(
    ("fitness", "said"),
    [
        ([], "0 good and 0 bad"),
        ([None] * 30, "0 good and 30 bad"),
        ([math.nan] * 30, "0 good and 30 bad"),
        ([0.5] * 30, "30 good and 0 bad"),
        ([0.5] * 30 + [None] * 4, "30 good and 4 bad"),
        ([float(i) for i in range(16)], "4 good and 12 bad"),
        ([0.9] * 4 + [0.5] * 40, "4 good and 40 bad"),
    ],
)
def test_too_few_of_a_kind_are_refused(fitness, said: str) -> None:
    """The message says how many there are and how many are needed."""
    with pytest.raises(NotEnough, match=f"{said} .* {NEEDED} of each") as refusal:
        fit([[float(i)] for i in range(len(fitness))], fitness, rng=rng())
    assert isinstance(refusal.value, RibosomeError)
    assert "\n" not in str(refusal.value)


def test_genes_that_cannot_vary_are_refused() -> None:
    """Vectors without places say nothing, however many there are."""
    with pytest.raises(NotEnough, match="no hyperparameter varies"):
        fit([[]] * 40, [float(i) for i in range(40)], rng=rng())


def test_five_of_each_are_enough() -> None:
    """Five folds of one good and three bad results each."""
    fitness = [float(i) for i in range(20)]
    found = fit([[value] for value in fitness], fitness, rng=rng())
    assert (found.good, found.bad) == (5, 15)


def test_a_fit_follows_from_its_generator(fitted: Fitted) -> None:
    """The same seed gives the same model to the last bit."""
    assert fit(*sampled(numbers(4), 120), rng=rng()) == fitted


def test_a_constant_input_is_harmless() -> None:
    """A hyperparameter that never varied changes no decision, and none is NaN."""
    points, fitness = sampled(numbers(2), 100)
    found = fit([[*point, 0.7] for point in points], fitness, rng=rng())
    without = fit(points, fitness, rng=rng())
    assert found.svm.decision([0.5, 0.5, 0.7]) == pytest.approx(
        without.svm.decision([0.5, 0.5])
    )


def test_points_that_are_all_the_same_are_fitted() -> None:
    """Nothing to learn is no error; the accuracy says that it is a guess."""
    found = fit([[0.5, 0.5]] * 40, [float(i) for i in range(40)], rng=rng())
    assert found.accuracy <= 0.5
    assert math.isfinite(found.svm.decision([0.5, 0.5]))


def test_the_accuracy_is_that_of_new_results(fitted: Fitted) -> None:
    """The cross-validated accuracy is about what 4,000 new vectors give."""
    points, fitness = sampled(numbers(4, 33), 4000)
    good = np.array(fitness) >= fitted.threshold
    said = fitted.svm.decisions(points) > 0
    accuracy = (said[good].mean() + (~said[~good]).mean()) / 2
    assert fitted.accuracy == pytest.approx(accuracy, abs=0.1)
    assert fitted.accuracy > 0.75


def test_the_number_of_threads_changes_nothing() -> None:
    """Another process with other numbers of threads finds the same model."""
    program = (
        "from tests.search.test_svm import *\n"
        "print(repr(fit(*sampled(numbers(4), 120), rng=rng())))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={
                "PATH": "",
                "OMP_NUM_THREADS": threads,
                "OPENBLAS_NUM_THREADS": threads,
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "3")
    }
    assert len(printed) == 1
    assert "Fitted" in printed.pop()


def test_two_thousand_results_are_fitted_in_time() -> None:
    """A long phase costs its master a minute of one core at most."""
    began = time.process_time()
    found = fit(*sampled(numbers(4), 2000), rng=rng())
    assert found.accuracy > 0.95
    assert time.process_time() - began < 60


# Drawing


def test_without_a_model_genes_are_drawn_at_random() -> None:
    """The very genes that a random draw gives, and nothing calls them good."""
    groups = numbers(4)
    assert draw_good(groups, None, rng()) == (draw(groups, rng()), False)


def test_among_one_the_first_good_draw_is_taken(fitted: Fitted) -> None:
    """A plain rejection sampler on the same random numbers takes the same genes."""
    groups, encoding = numbers(4), Encoding(numbers(4))
    for seed in range(50):
        generator = rng(seed)
        while True:
            genes = draw(groups, generator)
            if fitted.svm.decision(encoding(genes)) > 0:
                break
        assert draw_good(groups, fitted.svm, rng(seed), among=1) == (genes, True)


def test_the_best_of_the_first_good_draws_is_taken(fitted: Fitted) -> None:
    """Of so many good ones that with the largest decision value."""
    groups, encoding = numbers(4), Encoding(numbers(4))
    for seed in range(20):
        generator, good = rng(seed), []
        while len(good) < AMONG:
            genes = draw(groups, generator)
            value = fitted.svm.decision(encoding(genes))
            good += [(value, genes)] if value > 0 else []
        assert draw_good(groups, fitted.svm, rng(seed)) == (max(good)[1], True)


def test_draws_beat_random_ones_where_the_truth_is_known(fitted: Fitted) -> None:
    """In closed form: 3 in 4 random draws miss the best quarter, 1 in 4 of the model's may."""
    groups, encoding, generator = numbers(4), Encoding(numbers(4)), rng(5)
    drawn = [draw_good(groups, fitted.svm, generator)[0] for _ in range(200)]
    hits = [peak(encoding(genes)) >= fitted.threshold for genes in drawn]
    assert np.mean(hits) > 0.75


def test_an_encoding_at_hand_changes_nothing(fitted: Fitted) -> None:
    """It saves time, no more."""
    groups = numbers(4)
    assert draw_good(groups, fitted.svm, rng()) == draw_good(
        groups, fitted.svm, rng(), encoding=Encoding(groups)
    )


def test_a_model_that_never_says_good_ends() -> None:
    """After the attempts the best of what was tried is taken: here the nearest to 0."""
    never = Svm((0.0,), (1.0,), ((0.0,),), (0.5,), -1.0, 1.0)
    genes, is_good = draw_good(numbers(1, 1000), never, rng(), attempts=1000)
    generator = rng()
    tried: list[Genes] = [draw(numbers(1, 1000), generator) for _ in range(1000)]
    assert not is_good
    assert genes == min(tried)


def test_equally_bad_draws_end_with_the_first() -> None:
    """No attempt is better than another."""
    groups = numbers(1)
    assert draw_good(groups, CONSTANT, rng()) == (draw(groups, rng()), False)


def test_fewer_good_draws_than_wanted_do() -> None:
    """The attempts end; the best of the good ones so far is taken."""
    rare = Svm((0.0,), (1.0,), ((0.0,),), (1.0,), -0.9999, 1.0)
    genes, is_good = draw_good(numbers(1, 1000), rare, rng(), attempts=500)
    generator = rng()
    assert genes == min(draw(numbers(1, 1000), generator) for _ in range(500))
    assert is_good


def test_a_model_of_other_genes_is_refused() -> None:
    """A model of one input says nothing of two genes."""
    with pytest.raises(ValueError, match="1 inputs for genes of 2"):
        draw_good(numbers(2), CONSTANT, rng())


@pytest.mark.parametrize("option", ["attempts", "among"])
def test_no_attempt_is_no_draw(option: str) -> None:
    """Neither 0 attempts nor the best of 0 draws can be had."""
    with pytest.raises(ValueError, match=f"{option} = 0"):
        draw_good(numbers(1), CONSTANT, rng(), **{option: 0})


def test_drawing_needs_no_scikit_learn(fitted: Fitted) -> None:
    """A worker imports neither it nor scipy: numpy is enough."""
    program = (
        "import sys, numpy, msgspec\n"
        "from ribosome.search.svm import Svm, draw_good\n"
        "from ribosome.genome.space import Case, Gene, Group\n"
        "assert 'numpy' in sys.modules\n"
        "gene = Gene('gene', tuple(range(16)), (1.0,) * 16)\n"
        "groups = [Group(f'g{i}', (Case('only', (gene,)),)) for i in range(4)]\n"
        "svm = msgspec.json.decode(sys.stdin.read(), type=Svm)\n"
        "print(draw_good(groups, svm, numpy.random.default_rng(1)))\n"
        "print({name.split('.')[0] for name in sys.modules} & {'sklearn', 'scipy'})"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        input=msgspec.json.encode(fitted.svm).decode(),
        capture_output=True,
        text=True,
        check=True,
    )
    expected = draw_good(numbers(4), fitted.svm, rng())
    assert answer.stdout.splitlines() == [str(expected), "set()"]
