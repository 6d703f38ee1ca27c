"""Ops and solvers in words."""

from dataclasses import replace

import pytest

from ribosome.genome.ops import (
    ELU,
    LRN,
    OPS,
    ArgMax,
    BatchNorm,
    Bias,
    Blob,
    Concat,
    Convolution,
    Crop,
    Deconvolution,
    Dropout,
    Eltwise,
    Filler,
    Flatten,
    GlobalPooling,
    InnerProduct,
    Input,
    Jitter,
    Op,
    Pooling,
    Power,
    PReLU,
    ReLU,
    Reshape,
    Scale,
    Sigmoid,
    Slice,
    Softmax,
    TanH,
)
from ribosome.genome.solver import LearningRate, Solver
from ribosome.tools import describe

MSRA = Blob(Filler("msra"))
CASES: list[tuple[Op, str]] = [
    (Input(3, 4, 5), "input"),
    (Jitter(0.01), "jitter 0.01"),
    (Slice(1, 2), "channel 1"),
    (Slice(1, 4), "channels 1-3"),
    (Slice(1, 4, axis=2), "axis 2, values 1-3"),
    (Slice(1, 2, axis=2), "axis 2, value 1"),
    (
        Convolution(64, 3, 5, 2, 1, 1, 2, MSRA, None),
        "convolution 64, 3x5, stride 2x1, pad 1x2, msra",
    ),
    (Convolution(8, 1, 1, 1, 1, 0, 0, MSRA, None), "convolution 8, 1x1, msra"),
    (
        Convolution(8, 3, 3, 1, 1, 0, 0, MSRA, None, 2, 2, 1),
        "convolution 8, 3x3, dilation 2x1, group 2, msra",
    ),
    (Pooling("AVE", 3, 2, 2, 2), "average pooling 3x2, stride 2"),
    (GlobalPooling("MAX"), "max pooling, global"),
    (LRN("WITHIN_CHANNEL", 3, 0.1, 0.75), "LRN within, 3, alpha 0.1, beta 0.75"),
    (
        LRN("ACROSS_CHANNELS", 3, 0.1, 0.75, k=2.0),
        "LRN across, 3, alpha 0.1, beta 0.75, k 2",
    ),
    (BatchNorm(MSRA, MSRA), "batch norm, scale"),
    (BatchNorm(None, None), "batch norm"),
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
    (Concat(axis=1), "concat, axis 1"),
    (
        Deconvolution(21, 4, 4, 2, 2, 1, 1, Blob(Filler("bilinear")), None, group=21),
        "deconvolution 21, 4x4, stride 2, pad 1, group 21, bilinear",
    ),
    (PReLU(MSRA), "PReLU"),
    (PReLU(MSRA, shared=True), "PReLU, one slope"),
    (Power(), "power 1"),
    (Power(2.0, 0.5, -1.0), "power 2, scale 0.5, shift -1"),
    (Scale(MSRA, MSRA), "scale and shift"),
    (Scale(MSRA, None), "scale"),
    (Bias(MSRA), "bias"),
    (Eltwise("SUM"), "sum"),
    (Eltwise("SUM", (1.0, -0.5)), "sum by 1, -0.5"),
    (Eltwise("PROD"), "product"),
    (Eltwise("MAX"), "maximum"),
    (Flatten(), "flatten"),
    (Flatten(1), "flatten, axis 1 to the last"),
    (Flatten(0, 1), "flatten, axis 0 to 1"),
    (Reshape((0, -1)), "reshape to 0x-1"),
    (Crop(1, (5, 4)), "crop from axis 1 on, at 5x4"),
    (Softmax(), "softmax"),
    (Softmax(axis=2), "softmax, axis 2"),
    (ArgMax(), "places of the 1 largest"),
    (ArgMax(5, values=True), "places and values of the 5 largest"),
    (ArgMax(5, axis=1), "places of the 5 largest, axis 1"),
    (ArgMax(5, values=True, axis=1), "values of the 5 largest, axis 1"),
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
