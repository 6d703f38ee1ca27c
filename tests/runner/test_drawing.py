"""Hyperparameters are drawn by a worker: from a model and a seed, and nothing else."""

import subprocess
import sys

import numpy as np
import pytest
from test_worker import SETUP, Master, Scripted, serve

from ribosome.genome.codec import from_text, pack, to_text
from ribosome.genome.hyperparameters import tuning_space
from ribosome.genome.language import NetworkLanguage
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS
from ribosome.runner.drawing import Draws
from ribosome.runner.evaluator import Evaluator
from ribosome.runner.messages import (
    Forget,
    Model,
    Result,
    Stop,
    Work,
    decode_to_worker,
    encode,
    sanitised,
)
from ribosome.runner.models import ModelRecord, decode_fitted, encode_fitted
from ribosome.runner.noop import noop_fitness
from ribosome.search.encoding import Encoding
from ribosome.search.svm import Fitted, Svm, draw_good
from ribosome.search.variation import draw

LENET = load_space("lenet")
TEMPLATE = to_text(
    LENET,
    NetworkLanguage(LENET, DIGITS).canonical(
        draw(LENET.groups, np.random.default_rng(1))
    ),
)
SPACE = tuning_space(LENET, from_text(LENET, TEMPLATE))
SIZE = Encoding(SPACE.groups).size
SVM = Svm(
    centre=(0.5,) * SIZE,
    scale=(0.25,) * SIZE,
    support=((0.0,) * SIZE, (1.0,) * SIZE),
    coefficients=(1.0, -0.5),
    intercept=-0.01,
    gamma=0.05,
)


def drawn(svm: Svm | None, seed: int) -> bytes:
    """What the search draws itself."""
    rng = np.random.default_rng(seed)
    return pack(SPACE, draw_good(SPACE.groups, svm, rng)[0])


def results(master: Master) -> list[Result]:
    """The results that a worker has reported."""
    return [event for event in master.events if isinstance(event, Result)]


@pytest.mark.parametrize("svm", [None, SVM])
def test_a_worker_draws_and_says_what(svm: Svm | None) -> None:
    """What the search draws with the trial's seed; its bytes are what was evaluated."""
    works = [Work(trial, b"", 40 + trial, model=3) for trial in (1, 2)]
    master = Master(SETUP, Model(3, TEMPLATE, svm), *works, Stop())
    serve(master)
    assert [result.genome for result in results(master)] == [
        drawn(svm, 41),
        drawn(svm, 42),
    ]
    assert [result.fitness for result in results(master)] == [
        noop_fitness(drawn(svm, 41)),
        noop_fitness(drawn(svm, 42)),
    ]


def test_the_evaluator_is_told_the_template() -> None:
    """With the genome that was drawn, or the one that the master has sent."""
    seen: list[Work] = []

    def look(work: Work) -> Result:
        seen.append(work)
        return Result(work.trial, "ok", 0.5)

    given = drawn(None, 7)
    works = Work(1, b"", 9, model=1), Work(2, given, 9, model=1), Work(3, b"x", 9)
    master = Master(SETUP, Model(1, TEMPLATE), *works, Stop())
    serve(master, Scripted(look))
    assert [(work.template, work.genome) for work in seen] == [
        (TEMPLATE, drawn(None, 9)),
        (TEMPLATE, given),
        ("", b"x"),
    ]
    assert [result.genome for result in results(master)] == [drawn(None, 9), b"", b""]


def test_a_draw_that_fails_is_the_trials_end() -> None:
    """The worker goes on; the result says what was wrong, and has no genome."""
    short = Svm((0.0,), (1.0,), ((0.0,),), (1.0,), 0.0, 1.0)
    master = Master(
        SETUP,
        Model(1, TEMPLATE, short),
        Model(2, TEMPLATE),
        Work(1, b"", 1, model=1),
        Work(2, b"", 1, model=9),
        Work(3, b"", 1, model=2),
        Forget(9),
        Stop(),
    )
    serve(master)
    first, second, third = results(master)
    assert (first.ending, first.genome) == ("crashed", b"")
    assert "a model of 1 inputs" in first.message
    assert (second.ending, second.genome) == ("crashed", b"")
    assert third.genome == drawn(None, 1)


def test_an_evaluator_that_fails_keeps_what_was_drawn() -> None:
    """It is needed to learn from the failure."""

    def fail(_: Work) -> Result:
        raise ValueError("no")

    evaluator: Evaluator = Scripted(fail)
    master = Master(SETUP, Model(1, TEMPLATE), Work(1, b"", 1, model=1), Stop())
    serve(master, evaluator)
    (result,) = results(master)
    assert (result.ending, result.genome) == ("crashed", drawn(None, 1))


def test_a_model_travels_as_plain_numbers() -> None:
    """Exactly, in a few kilobytes."""
    model = Model(7, TEMPLATE, SVM)
    assert decode_to_worker(encode(model)) == model
    assert len(encode(model)) < 30 * SIZE + 400
    assert sanitised(Result(1, "ok", 0.5, genome=b"abc")).genome == b"abc"


def test_a_model_is_kept_as_plain_numbers() -> None:
    """Exactly, as JSON; what none can be is refused."""
    fitted = Fitted(SVM, 1.0, 0.05, 0.8, 10, 30, 0.9)
    assert decode_fitted(encode_fitted(fitted).decode()) == fitted
    assert decode_fitted("null") is None
    model = ModelRecord(2, TEMPLATE, fitted, 40)
    assert model.message(among=3) == Model(2, TEMPLATE, SVM, among=3)
    for svm in (
        Svm((0.0,), (1.0, 1.0), ((0.0,),), (1.0,), 0.0, 1.0),
        Svm((0.0,), (1.0,), ((0.0, 0.0),), (1.0,), 0.0, 1.0),
        Svm((0.0,), (1.0,), ((0.0,),), (1.0, 2.0), 0.0, 1.0),
        Svm((0.0,), (1.0,), (), (), 0.0, 1.0),
    ):
        text = encode_fitted(Fitted(svm, 1.0, 1.0, 0.5, 1, 1, 0.5)).decode()
        with pytest.raises(ValueError, match="differ in length"):
            decode_fitted(text)
    for text in ("", "[]", '{"svm": null}', encode_fitted(fitted).decode()[:-2]):
        with pytest.raises(ValueError):  # noqa: PT011 (of whatever reads JSON)
            decode_fitted(text)


def test_a_genome_of_the_wrong_length_has_a_problem() -> None:
    """Of the right one too, if its number is beyond the space."""
    draws = Draws(LENET)
    draws.learn(Model(1, TEMPLATE))
    good = drawn(None, 3)
    assert draws.problem(1, good) == ""
    for bad in (b"", good[1:], good + b"\0", b"\xff" * len(good)):
        assert draws.problem(1, bad).startswith("genome is")


def test_who_draws_needs_no_scikit_learn() -> None:
    """A worker node may not have it."""
    code = (
        "import sys\n"
        "from ribosome.genome.space_file import load_space\n"
        "from ribosome.runner.drawing import Draws\n"
        "from ribosome.runner.messages import Model, decode_to_worker\n"
        "draws = Draws(load_space('lenet'))\n"
        f"draws.learn(decode_to_worker({encode(Model(1, TEMPLATE, SVM))!r}))\n"
        "print(draws.draw(1, 5).hex())\n"
        "assert not {'sklearn', 'scipy', 'torch'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == drawn(SVM, 5).hex()
