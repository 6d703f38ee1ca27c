"""Solver files: Caffe's absolute fields become the IR's relative ones, and back."""

import struct

import numpy as np
import pytest

from ribosome.backends.caffe.read_solver import read_solver
from ribosome.backends.caffe.solver import solver_fields
from ribosome.genome.decode import decode
from ribosome.genome.errors import ReadError
from ribosome.genome.solver import LearningRate, Solver
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS
from ribosome.search.variation import draw
from tests.backends.caffe.networks import SOLVER


def read(text: str) -> Solver:
    """The solver of a text for batches of 64."""
    return read_solver(text, path="s", batch_size=64)[0]


def test_lenets_solver_is_read() -> None:
    """Gamma 0.0001 over 10,000 iterations is 1 over the run."""
    solver, facts = read_solver(SOLVER, path="s", batch_size=64)
    assert solver == Solver(
        "SGD",
        0.01,
        LearningRate("inv", gamma=1.0, power=0.75),
        64,
        momentum=0.9,
        weight_decay=0.0005,
    )
    assert (facts.max_iterations, facts.test_iterations, facts.display) == (
        10000,
        100,
        100,
    )
    assert facts.net == "train_val.prototxt"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ('lr_policy: "fixed"', LearningRate()),
        (
            'lr_policy: "step" gamma: 0.1 stepsize: 300',
            LearningRate("step", gamma=0.1, fraction=0.3),
        ),
        ('lr_policy: "exp" gamma: 0.9954054174', LearningRate("exp", gamma=0.01)),
        ('lr_policy: "poly" power: 2', LearningRate("poly", power=2.0)),
        (
            'lr_policy: "sigmoid" gamma: -0.01 stepsize: 500',
            LearningRate("sigmoid", gamma=-10.0, fraction=0.5),
        ),
    ],
)
def test_every_policy_becomes_the_shortest_relative_one(
    policy: str, expected: LearningRate
) -> None:
    """Of a run of 1,000 iterations."""
    assert read(f"base_lr: 0.1 max_iter: 1000 {policy}").learning_rate == expected


def test_the_schedule_of_what_was_read_is_the_files() -> None:
    """Random numbers of a file come back in single precision, stepsizes exactly."""
    rng = np.random.default_rng(5)
    for _ in range(200):
        length = int(rng.integers(2, 500_000))
        gamma, step = float(rng.uniform(0.99, 1.0)), int(rng.integers(1, length + 1))
        for policy in ("step", "exp", "inv", "sigmoid"):
            exponent = 1.0 - 1.0 / length if policy == "exp" else gamma
            text = (
                f'base_lr: 0.1 max_iter: {length} lr_policy: "{policy}" '
                f"gamma: {exponent!r} power: 0.5 stepsize: {step}"
            )
            schedule = read(text).schedule(length)
            assert struct.pack("f", schedule.gamma) == struct.pack("f", exponent), text
            if policy in ("step", "sigmoid"):
                assert schedule.stepsize == step


def test_solvers_of_random_genomes_are_read_back() -> None:
    """What our own emitter writes becomes the same solver again."""
    space, rng = load_space("menndl"), np.random.default_rng(3)
    for _ in range(100):
        solver = decode(space, draw(space.groups, rng), DIGITS).solver
        text = solver_fields(solver, 300, "caffe") + "max_iter: 300"
        found, _facts = read_solver(text, path="s", batch_size=solver.batch_size)
        assert found == solver


@pytest.mark.parametrize(
    ("old", "kind"),
    [
        ("SGD", "SGD"),
        ("NESTEROV", "Nesterov"),
        ("RMSPROP", "RMSProp"),
        ("ADAM", "Adam"),
    ],
)
def test_the_old_enum_of_types_is_read(old: str, kind: str) -> None:
    """``solver_type``, before there was ``type``."""
    text = f'base_lr: 1 max_iter: 9 lr_policy: "fixed" solver_type: {old}'
    assert read(text).type == kind


def test_batches_of_several_passes_count_as_one() -> None:
    """iter_size passes are averaged into one update."""
    assert (
        read('base_lr: 1 max_iter: 9 lr_policy: "fixed" iter_size: 4').batch_size == 256
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('type: "AdaDelta"', "s:2: solver: type: AdaDelta cannot be read"),
        ("solver_type: ADAGRAD", "s:2: solver: solver_type: AdaGrad cannot be read"),
        ('type: "Adm"', "type: Adm cannot be read; did you mean Adam?"),
        ('lr_policy: "multistep"', "s:2: solver: lr_policy: multistep cannot be read"),
        ("", "s:1: solver: lr_policy: is missing"),
        ('lr_policy: "step" gamma: 0.1', "stepsize: must be 1 or more, not 0"),
        ('lr_policy: "exp" gamma: -1', "gamma: no setting relative to max_iter"),
        ('lr_policy: "exp" gamma: 3e38', "gamma: no setting relative to max_iter"),
        ('lr_policy: "inv" gamma: nan', "gamma: nan is no finite number"),
        ('regularization_type: "L1"', "regularization_type: only L2"),
        ('type: "RMSProp" momentum: 0.9', "momentum: Caffe's RMSProp takes none"),
        ('type: "SGD" solver_type: SGD', "type is given as well"),
        ("larc: true", "larc: only False"),
        ("min_lr: 0.1", "min_lr: only 0"),
    ],
)
def test_what_the_ir_lacks_is_refused(text: str, error: str) -> None:
    """With line and field."""
    with pytest.raises(ReadError, match=error):
        read(f"base_lr: 0.1 max_iter: 100\n{text}")


def test_a_solver_without_an_end_is_refused() -> None:
    """max_iter is 0 by default."""
    with pytest.raises(ReadError, match="max_iter: must be 1 or more, not 0"):
        read('base_lr: 0.1 lr_policy: "fixed"')
