"""Ops and solvers in words."""

from dataclasses import replace

import pytest

from ribosome.genome.ops import (
    ELU,
    LRN,
    OPS,
    BatchNorm,
    Blob,
    ChannelSlice,
    Concat,
    Convolution,
    Dropout,
    Filler,
    GlobalPooling,
    InnerProduct,
    Input,
    Jitter,
    Op,
    Pooling,
    ReLU,
    Sigmoid,
    TanH,
)
from ribosome.genome.solver import LearningRate, Solver
from ribosome.tools import describe

MSRA = Blob(Filler("msra"))
CASES: list[tuple[Op, str]] = [
    (Input(3, 4, 5), "input"),
    (Jitter(0.01), "jitter 0.01"),
    (ChannelSlice(1, 2), "channel 1"),
    (ChannelSlice(1, 4), "channels 1-3"),
    (
        Convolution(64, 3, 5, 2, 1, 1, 2, MSRA, None),
        "convolution 64, 3x5, stride 2x1, pad 1x2, msra",
    ),
    (Convolution(8, 1, 1, 1, 1, 0, 0, MSRA, None), "convolution 8, 1x1, msra"),
    (Pooling("AVE", 3, 2, 2, 2), "average pooling 3x2, stride 2"),
    (GlobalPooling("MAX"), "max pooling, global"),
    (LRN("WITHIN_CHANNEL", 3, 0.1, 0.75), "LRN within, 3, alpha 0.1, beta 0.75"),
    (BatchNorm(MSRA, MSRA), "batch norm, scale"),
    (
        InnerProduct(10, Blob(Filler("gaussian", std=0.01)), None),
        "inner product 10, gaussian 0.01",
    ),
    (ReLU(), "ReLU"),
    (ReLU(0.1), "leaky ReLU 0.1"),
    (ELU(), "ELU"),
    (Sigmoid(), "sigmoid"),
    (TanH(), "tanh"),
    (Dropout(0.5), "dropout 0.5"),
    (Concat(), "concat"),
]
SOLVER = Solver(
    "SGD", 0.01, LearningRate(), batch_size=32, momentum=0.9, weight_decay=0.0005
)


@pytest.mark.parametrize(("op", "words"), CASES)
def test_ops(op: Op, words: str) -> None:
    """The main fields; what is usual (stride 1, pad 0) is left out."""
    assert describe.op(op) == words


def test_every_op_has_words() -> None:
    """No op of the set is missing here, nor in `describe`."""
    assert {type(op) for op, _ in CASES} == set(OPS)


def test_a_solver_is_one_line() -> None:
    """Type, rate, policy, momentum, decay and batch; zero clipping is left out."""
    assert describe.solver(SOLVER) == (
        "SGD, base lr 0.01, fixed rate, momentum 0.9, weight decay 0.0005, batch 32"
    )


def test_rmsprop_has_no_momentum() -> None:
    """RMSProp is described by its own decay, and clipping where there is any."""
    words = describe.solver(replace(SOLVER, type="RMSProp", clip_gradients=5.0))
    assert "momentum" not in words
    assert "decay of squares 0.99" in words
    assert "gradients clipped at 5" in words


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (LearningRate("step", 0.1, fraction=0.25), "times 0.1 after every 0.25"),
        (LearningRate("exp", 0.01), "falling to 0.01 of it"),
        (LearningRate("inv", 10, 0.75), "gamma 10, power 0.75"),
        (LearningRate("poly", power=2), "polynomial decay (power 2)"),
        (LearningRate("sigmoid", -10, fraction=0.5), "gamma -10 at 0.5 of the run"),
    ],
)
def test_policies(rate: LearningRate, words: str) -> None:
    """Each policy with the numbers that it uses."""
    assert words in describe.policy(replace(SOLVER, learning_rate=rate))


def test_shapes() -> None:
    """Maps and vectors."""
    assert describe.shape((3, 14, 7)) == "3x14x7"
    assert describe.shape((10,)) == "10"
