"""What the ops of foreign networks compute, against Caffe's rules written in numpy."""

import math
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ribosome.genome.errors import ShapeError, UnsupportedOp
from ribosome.genome.ops import (
    LRN,
    ArgMax,
    BatchNorm,
    Bias,
    Blob,
    Concat,
    Convolution,
    Crop,
    Deconvolution,
    Eltwise,
    Filler,
    Flatten,
    Pooling,
    Power,
    PReLU,
    Reshape,
    Scale,
    Slice,
    Softmax,
)
from tests.backends.pytorch.module_kit import load, network_of, run

torch = pytest.importorskip("torch", reason="install the extra: pip install torch")

RNG = np.random.default_rng(3)
BLOB = Blob(Filler("xavier"))
X = RNG.normal(size=(2, 4, 5, 6)).astype(np.float32)
Y = RNG.normal(size=(2, 4, 5, 6)).astype(np.float32)
Z = RNG.normal(size=(2, 4, 5, 6)).astype(np.float32)
ROWS = RNG.normal(size=(3, 7)).astype(np.float32)
LEAST = np.finfo(np.float32).min


def same(got: Any, expected: Any) -> bool:
    """Equal up to the rounding of single precision."""
    return got.shape == expected.shape and np.allclose(
        got, expected, rtol=1e-5, atol=1e-5
    )


def convolved(x: Any, weight: Any, op: Convolution) -> Any:
    """A convolution, multiply-add by multiply-add."""
    pads = ((0, 0), (0, 0), (op.pad_h, op.pad_h), (op.pad_w, op.pad_w))
    x = np.pad(x, pads)
    (outs, ins, kh, kw), batch = weight.shape, len(x)
    eh, ew = op.dilation_h * (kh - 1) + 1, op.dilation_w * (kw - 1) + 1
    rows = range(0, x.shape[2] - eh + 1, op.stride_h)
    columns = range(0, x.shape[3] - ew + 1, op.stride_w)
    out = np.zeros((batch, outs, len(rows), len(columns)))
    for o, (r, top), (c, left) in product(
        range(outs), enumerate(rows), enumerate(columns)
    ):
        first = o // (outs // op.group) * ins
        window = x[
            :,
            first : first + ins,
            top : top + eh : op.dilation_h,
            left : left + ew : op.dilation_w,
        ]
        out[:, o, r, c] = (window * weight[o]).sum((1, 2, 3))
    return out


def deconvolved(x: Any, weight: Any, op: Deconvolution) -> Any:
    """Every value spread by its kernel, summed, the padding cut off."""
    (_, outs, kh, kw), (batch, ins, h, w) = weight.shape, x.shape
    eh, ew = op.dilation_h * (kh - 1) + 1, op.dilation_w * (kw - 1) + 1
    size = (op.stride_h * (h - 1) + eh, op.stride_w * (w - 1) + ew)
    out = np.zeros((batch, op.num_output, *size))
    for i, r, c in product(range(ins), range(h), range(w)):
        first = i // (ins // op.group) * outs
        top, left = r * op.stride_h, c * op.stride_w
        out[
            :,
            first : first + outs,
            top : top + eh : op.dilation_h,
            left : left + ew : op.dilation_w,
        ] += x[:, i, r, c, None, None, None] * weight[i]
    return out[
        :,
        :,
        op.pad_h : size[0] - op.pad_h or None,
        op.pad_w : size[1] - op.pad_w or None,
    ]


@pytest.mark.parametrize(
    "op",
    [
        Convolution(6, 3, 2, 1, 1, 1, 0, BLOB, BLOB, group=2),
        Convolution(4, 2, 3, 1, 2, 2, 1, BLOB, BLOB, dilation_h=2),
        Convolution(4, 2, 2, 2, 1, 1, 1, BLOB, BLOB, group=4, dilation_w=3),
    ],
)
def test_convolution(op: Convolution) -> None:
    """Groups see their own channels only; a dilated kernel skips pixels."""
    shape = (op.num_output, 4 // op.group, op.kernel_h, op.kernel_w)
    weight, bias = RNG.normal(size=shape), RNG.normal(size=op.num_output)
    got = run(op, X, weights={"weight": weight, "bias": bias})
    assert same(got, convolved(X, weight, op) + bias[:, None, None])


@pytest.mark.parametrize(
    "op",
    [
        Deconvolution(3, 3, 2, 2, 3, 1, 0, BLOB, BLOB),
        Deconvolution(6, 4, 4, 2, 2, 1, 1, BLOB, BLOB, group=2),
        Deconvolution(
            4, 2, 3, 1, 2, 2, 1, BLOB, BLOB, group=4, dilation_h=2, dilation_w=3
        ),
    ],
)
def test_deconvolution(op: Deconvolution) -> None:
    """The transpose of a convolution, weight (in, out / group, h, w)."""
    shape = (4, op.num_output // op.group, op.kernel_h, op.kernel_w)
    weight, bias = RNG.normal(size=shape), RNG.normal(size=op.num_output)
    got = run(op, X, weights={"weight": weight, "bias": bias})
    assert same(got, deconvolved(X, weight, op) + bias[:, None, None])


def pooled(x: Any, op: Pooling, left: tuple[int, ...]) -> Any:
    """Caffe's loop over the windows, for an output of the shape ``left``."""
    h, w = x.shape[2:]
    out = np.empty((len(x), *left))
    for r, c in product(range(left[1]), range(left[2])):
        top, start = r * op.stride_h - op.pad_h, c * op.stride_w - op.pad_w
        bottom = min(top + op.kernel_h, h + op.pad_h)
        end = min(start + op.kernel_w, w + op.pad_w)
        area = (bottom - top) * (end - start)
        window = x[:, :, max(top, 0) : min(bottom, h), max(start, 0) : min(end, w)]
        if op.method == "MAX":
            out[:, :, r, c] = window.max((2, 3), initial=LEAST)
        else:
            out[:, :, r, c] = window.sum((2, 3)) / area
    return out


SMALL = st.integers(1, 5)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["MAX", "AVE"]),
    *(SMALL,) * 6,
    *(st.integers(0, 4),) * 2,
)
def test_pooling_of_any_size(  # type: ignore[no-untyped-def]
    method, h, w, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w
) -> None:
    """Wide padding and windows beyond the image included; what has no average is refused."""
    op = Pooling(method, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w)
    x = X[:, :, :h, :w]
    try:
        left = network_of(op, x.shape[1:]).output.shape
    except ShapeError:
        beyond = kernel_h > h + 2 * pad_h or kernel_w > w + 2 * pad_w
        assert beyond or pad_h >= kernel_h or pad_w >= kernel_w
        return
    try:
        got = run(op, x)
    except UnsupportedOp:
        starts = (left[1] - 1) * stride_h >= h, (left[2] - 1) * stride_w >= w
        assert method == "AVE"
        assert any(starts)
        assert pad_h == pad_w == 0
        return
    assert same(got, pooled(x, op, left))


def test_a_maximum_of_nothing_is_the_least_float() -> None:
    """Caffe keeps a window that starts at the image's end, and starts from -FLT_MAX."""
    got = run(Pooling("MAX", 1, 1, 3, 3), X[:, :, :4, :4].clip(0.5))
    assert got.shape == (2, 4, 2, 2)
    got = run(Pooling("MAX", 1, 1, 3, 3), X[:, :, :3, :3])
    assert np.all(got[:, :, 1, :] == LEAST)
    assert np.all(got[:, :, 0, 0] == X[:, :, 0, 0])


@pytest.mark.parametrize("x", [X, ROWS])
def test_prelu(x: Any) -> None:
    """A slope per channel, or one for all."""
    slopes = np.linspace(-0.5, 0.5, x.shape[1])
    own = slopes.reshape(-1, *(1,) * (x.ndim - 2))
    got = run(PReLU(BLOB), x, weights={"slope": slopes})
    assert same(got, np.where(x > 0, x, own * x))
    got = run(PReLU(BLOB, shared=True), x, weights={"slope": np.array(0.3)})
    assert same(got, np.where(x > 0, x, 0.3 * x))


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (Power(), X),
        (Power(2.0), X**2),
        (Power(-1.0, 0.5, 9.0), (9 + X / 2) ** -1.0),
        (Power(1.0, 2.0, -3.0), 2 * X - 3),
        (Power(3.0, 1.0, 1.0), (X + 1) ** 3),
        (Power(3.0, -2.0), (-2 * X) ** 3),
        (Power(0.0, 3.0, 1.0), np.ones_like(X)),
        (Power(2.0, 0.0, 3.0), np.full_like(X, 9.0)),
        (Power(1.0, 0.0, 3.0), np.full_like(X, 3.0)),
        (Power(math.inf, 0.0, 0.5), np.zeros_like(X)),
    ],
)
def test_power(op: Power, expected: Any) -> None:
    """(shift + scale * x) ^ power."""
    assert same(run(op, X), expected)


def test_power_does_not_look_at_what_counts_for_nothing() -> None:
    """Caffe: with a scale or power of 0 even NaN becomes a number."""
    nan = np.full_like(X, np.nan)
    assert np.all(run(Power(0.0), nan) == 1.0)
    assert np.all(run(Power(2.0, 0.0, 3.0), nan) == 9.0)


@pytest.mark.parametrize("x", [X, ROWS])
def test_scale_and_bias(x: Any) -> None:
    """A factor and a term per channel, on maps and on vectors."""
    factor, term = RNG.normal(size=(2, x.shape[1]))
    wide = (-1, *(1,) * (x.ndim - 2))
    blobs = {"scale": factor, "shift": term}
    expected = x * factor.reshape(wide)
    assert same(run(Scale(BLOB, None), x, weights={"scale": factor}), expected)
    expected = expected + term.reshape(wide)
    assert same(run(Scale(BLOB, BLOB), x, weights=blobs), expected)
    expected = x + term.reshape(wide)
    assert same(run(Bias(BLOB), x, weights={"shift": term}), expected)


@pytest.mark.parametrize("x", [X, ROWS, X[:, :, :, 0]])
def test_batch_norm_without_scale(x: Any) -> None:
    """(x - mean) / sqrt(variance + eps), whatever the number of axes."""
    mean, variance = RNG.normal(size=x.shape[1]), RNG.uniform(0.5, 2, x.shape[1])
    wide = (-1, *(1,) * (x.ndim - 2))
    got = run(
        BatchNorm(None, None, eps=0.1), x, weights={"mean": mean, "variance": variance}
    )
    expected = (x - mean.reshape(wide)) / np.sqrt(variance.reshape(wide) + 0.1)
    assert same(got, expected)


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (Eltwise("SUM"), X + Y + Z),
        (Eltwise("SUM", (1.0, -1.0, 0.5)), X - Y + Z / 2),
        (Eltwise("SUM", (-1.0, -0.25, 0.0)), -X - Y / 4),
        (Eltwise("SUM", (-2.0, 1.0, -1.0)), -2 * X + Y - Z),
        (Eltwise("PROD"), X * Y * Z),
        (Eltwise("MAX"), np.maximum(np.maximum(X, Y), Z)),
    ],
)
def test_eltwise_of_three(op: Eltwise, expected: Any) -> None:
    """Sum by coefficients, product, maximum."""
    assert same(run(op, X, Y, Z), expected)


def test_eltwise_of_two_and_of_one_twice() -> None:
    """Two inputs may be the same."""
    assert same(run(Eltwise("MAX"), X, Y), np.maximum(X, Y))
    assert same(run(Eltwise("SUM", (1.0, -1.0)), ROWS, ROWS), 0 * ROWS)


def test_shapes_change_and_values_stay() -> None:
    """Flatten, Reshape, Slice, Concat and Crop on axes of their own."""
    assert same(run(Flatten(), X), X.reshape(2, -1))
    assert same(run(Flatten(0, 1), X), X.reshape(2, 20, 6))
    assert same(run(Flatten(1), X), X.reshape(2, 4, 30))
    assert same(run(Reshape((0, 3, -1)), X), X.reshape(2, 4, 3, 10))
    assert same(run(Slice(1, 3, axis=2), X), X[..., 1:3])
    assert same(run(Concat(axis=1), X, Y), np.concatenate((X, Y), 2))
    assert same(run(Crop(1, (1, 2)), X, Y[:, :, :3, :4]), X[:, :, 1:4, 2:6])
    assert same(run(Crop(0, (1,)), X, Y[:, :3, :4, :5]), X[:, 1:, 1:, 1:])
    assert same(run(Crop(2, (1,)), X, Y[:, :2, :1, :3]), X[..., 1:4])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax(axis: int) -> None:
    """Exponents over their sum along the axis."""
    e = np.exp(X)
    assert same(run(Softmax(axis), X), e / e.sum(axis + 1, keepdims=True))


def test_arg_max_of_an_image() -> None:
    """Places among all values of the image, and with ``values`` these behind them."""
    order = np.argsort(-X.reshape(2, -1), axis=1)[:, :3]
    largest = np.take_along_axis(X.reshape(2, -1), order, 1)
    assert same(run(ArgMax(3), X), order[:, None, :, None])
    both = np.stack((order, largest), 1)
    assert same(run(ArgMax(3, values=True), X), both[..., None])
    assert same(run(ArgMax(), ROWS), ROWS.argmax(1)[:, None, None])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_arg_max_along_an_axis(axis: int) -> None:
    """Places, or with ``values`` the values, as many as top_k."""
    order = np.argsort(-X, axis=axis + 1).take(range(2), axis=axis + 1)
    largest = np.take_along_axis(X, order, axis + 1)
    assert same(run(ArgMax(2, axis=axis), X), order)
    assert same(run(ArgMax(2, values=True, axis=axis), X), largest)


def test_of_equal_values_the_last_comes_first() -> None:
    """Caffe sorts pairs of value and place, both falling."""
    x = np.array([[1.0, 5.0, 2.0, 5.0, 5.0]])
    assert run(ArgMax(4), x).tolist() == [[[4.0, 3.0, 1.0, 2.0]]]


def test_lrn_with_k() -> None:
    """X / (k + alpha / n * sum of x^2 over n channels)^beta."""
    squares = np.pad(X**2, ((0, 0), (1, 1), (0, 0), (0, 0)))
    total = squares[:, :-2] + squares[:, 1:-1] + squares[:, 2:]
    got = run(LRN("ACROSS_CHANNELS", 3, 0.9, 0.75, k=2.0), X)
    assert same(got, X / (2 + 0.9 / 3 * total) ** 0.75)


@pytest.mark.parametrize(
    ("size", "line"),
    [
        (2, [1.0, 0.0]),
        (3, [0.25, 0.75, 0.75]),
        (4, [0.25, 0.75, 0.75, 0.25]),
        (5, [1 / 3, 2 / 3, 1.0, 2 / 3, 1 / 3]),
    ],
)
def test_a_bilinear_filler_interpolates(size: int, line: list[float]) -> None:
    """Caffe's formula, 1 - |x / f - c| on both axes, worked out by hand."""
    blob = Blob(Filler("bilinear"))
    op = Deconvolution(3, size, size, 2, 2, 0, 0, blob, None, group=3)
    weight = load(network_of(op, (3, 4, 4))).op.weight.detach().numpy()
    assert same(weight, np.broadcast_to(np.outer(line, line), (3, 1, size, size)))


@pytest.mark.parametrize("kind", ["xavier", "msra"])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_fan_in_of_groups(kind: Any, transposed: bool) -> None:
    """Caffe's fan-in is the values of a blob by its first axis, transposed or not."""
    made = (Deconvolution if transposed else Convolution)(
        64, 3, 3, 1, 1, 0, 0, Blob(Filler(kind)), None, group=4
    )
    weight = load(network_of(replace(made), (32, 4, 4))).op.weight
    fan_in = (64 if transposed else 32) // 4 * 9
    expected = math.sqrt((1 if kind == "xavier" else 2) / fan_in)
    assert weight.std().item() == pytest.approx(expected, rel=0.05)
