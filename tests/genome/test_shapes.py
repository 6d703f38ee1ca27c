"""Shape inference against sizes counted by hand, window by window."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.genome.errors import ShapeError
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
    GlobalPooling,
    InnerProduct,
    Input,
    Pooling,
    PReLU,
    ReLU,
    Reshape,
    Scale,
    Slice,
    Softmax,
)
from ribosome.genome.shapes import infer

WEIGHT = Blob(Filler("xavier"))
SIZES = st.integers(1, 40)


def _conv(kernel: int, stride: int, pad: int) -> Convolution:
    return Convolution(7, kernel, kernel, stride, stride, pad, pad, WEIGHT, None)


@given(SIZES, SIZES, SIZES, st.integers(0, 20))
def test_convolution_counts_the_whole_windows(
    size: int, kernel: int, stride: int, pad: int
) -> None:
    """As many windows as lie whole in the padded image, a stride apart."""
    padded = size + 2 * pad
    windows = len(range(0, padded - kernel + 1, stride))
    if windows == 0:
        with pytest.raises(ShapeError, match="exceeds its padded input"):
            infer(_conv(kernel, stride, pad), [(3, size, size)], name="conv")
    else:
        shape = infer(_conv(kernel, stride, pad), [(3, size, size)])
        assert shape == (7, windows, windows)


@given(SIZES, st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_a_dilated_kernel_spans_what_it_skips(
    size: int, kernel: int, stride: int, dilation: int
) -> None:
    """As many windows as a kernel of the first to the last pixel read would have."""
    dilated = Convolution(
        7,
        *(kernel, 1),
        *(stride, 1),
        *(0, 0),
        WEIGHT,
        None,
        dilation_h=dilation,
    )
    places = range(0, size - dilation * (kernel - 1), stride)
    if not places:
        with pytest.raises(ShapeError, match="exceeds its padded input"):
            infer(dilated, [(3, size, 4)])
    else:
        assert infer(dilated, [(3, size, 4)]) == (7, len(places), 4)


@given(
    SIZES, st.integers(1, 9), st.integers(1, 9), st.integers(0, 9), st.integers(1, 3)
)
def test_deconvolution_turns_convolution_back(
    size: int, kernel: int, stride: int, pad: int, dilation: int
) -> None:
    """It leaves the smallest image that the same convolution makes its input of."""
    shared = (kernel, kernel, stride, stride, pad, pad, WEIGHT, None, 1)
    back = Deconvolution(2, *shared, dilation, dilation)
    there = Convolution(3, *shared, dilation, dilation)
    try:
        _, large, _ = infer(back, [(3, size, size)])
    except ShapeError:
        assert stride * (size - 1) + dilation * (kernel - 1) + 1 <= 2 * pad
        return
    assert infer(there, [(2, large, large)]) == (3, size, size)
    with pytest.raises(ShapeError) if size == 1 else nullcontext():
        assert infer(there, [(2, large - 1, large - 1)])[1] == size - 1


@given(SIZES, SIZES, SIZES)
def test_pooling_covers_every_pixel(size: int, kernel: int, stride: int) -> None:
    """Without padding: the fewest windows, a stride apart, whose last reaches the end."""
    if kernel > size:
        return
    windows = 1
    while (windows - 1) * stride + kernel < size:
        windows += 1
    op = Pooling("MAX", kernel, kernel, stride, stride)
    assert infer(op, [(3, size, size)]) == (3, windows, windows)


def test_a_last_window_that_is_all_padding_is_dropped() -> None:
    """Caffe: with padding, a window that starts behind image and padding does not count."""
    op = Pooling("AVE", 2, 2, 3, 3, 1, 1)
    assert infer(op, [(1, 6, 6)]) == (1, 3, 3)
    assert infer(op, [(1, 5, 5)]) == (1, 2, 2)  # a third would start at 6 of 5 + 1


def test_padding_on_one_axis_drops_windows_on_both() -> None:
    """Caffe asks once whether there is padding, and then looks at height and width."""
    assert infer(Pooling("MAX", 1, 1, 3, 3), [(1, 6, 6)]) == (1, 3, 3)
    assert infer(Pooling("MAX", 2, 1, 3, 3, 1, 0), [(1, 6, 6)]) == (1, 3, 2)


@pytest.mark.parametrize(
    ("op", "inputs", "shape"),
    [
        (Input(3, 4, 5), [], (3, 4, 5)),
        (InnerProduct(9, WEIGHT, None), [(3, 4, 5)], (9,)),
        (InnerProduct(9, WEIGHT, None), [(60,)], (9,)),
        (GlobalPooling("AVE"), [(3, 4, 5)], (3, 1, 1)),
        (Slice(1, 3), [(3, 4, 5)], (2, 4, 5)),
        (Concat(), [(3, 4, 5), (2, 4, 5)], (5, 4, 5)),
        (Concat(), [(3,), (2,)], (5,)),
        (Concat(2), [(3, 4, 5), (3, 4, 1)], (3, 4, 6)),
        (Slice(1, 3, axis=2), [(3, 4, 5)], (3, 4, 2)),
        (LRN("ACROSS_CHANNELS", 3, 1.0, 0.75), [(3, 4, 5)], (3, 4, 5)),
        (PReLU(WEIGHT), [(3,)], (3,)),
        (Eltwise("SUM", (1.0, -1.0)), [(3, 4, 5)] * 2, (3, 4, 5)),
        (Eltwise("MAX"), [(3,)] * 3, (3,)),
        (Flatten(), [(3, 4, 5)], (60,)),
        (Flatten(1), [(3, 4, 5)], (3, 20)),
        (Flatten(0, 1), [(3, 4, 5)], (12, 5)),
        (Flatten(1, 1), [(3, 4, 5)], (3, 4, 5)),
        (Flatten(), [(3,)], (3,)),
        (Reshape((0, -1)), [(3, 4, 5)], (3, 20)),
        (Reshape((-1, 1, 1)), [(60,)], (60, 1, 1)),
        (Reshape((2, 0, 0, -1)), [(3, 4, 5, 6)], (2, 4, 5, 9)),
        (Reshape((6, 10)), [(3, 4, 5)], (6, 10)),
        (Reshape((0, -1)), [(3, 1)], (3, 1)),
        (Crop(), [(3, 9, 9), (2, 4, 5)], (3, 4, 5)),
        (Crop(1, (5, 4)), [(3, 9, 9), (2, 4, 5)], (3, 4, 5)),
        (Crop(0, (1, 5, 4)), [(3, 9, 9), (2, 4, 5)], (2, 4, 5)),
        (Crop(2), [(3, 9, 9), (2, 4, 5)], (3, 9, 5)),
        (Softmax(2), [(3, 4, 5)], (3, 4, 5)),
        (ArgMax(), [(10,)], (1, 1)),
        (ArgMax(5, values=True), [(10,)], (2, 5)),
        (ArgMax(5), [(3, 4)], (1, 5)),
        (ArgMax(5, values=True), [(3, 4, 5)], (2, 5, 1)),
        (ArgMax(2, axis=0), [(3, 4, 5)], (2, 4, 5)),
        (ArgMax(2, values=True, axis=2), [(3, 4, 5)], (3, 4, 2)),
        (ReLU(), [(3, 4, 5)], (3, 4, 5)),
    ],
)
def test_other_ops(
    op: object, inputs: list[tuple[int, ...]], shape: tuple[int]
) -> None:
    """What each op leaves, by its definition."""
    assert infer(op, inputs) == shape  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("op", "inputs", "message"),
    [
        (_conv(3, 1, 0), [(60,)], "Convolution here: needs a map"),
        (GlobalPooling("MAX"), [(60,)], "needs a map"),
        (LRN("ACROSS_CHANNELS", 3, 1.0, 0.75), [(60,)], "LRN here: needs a map"),
        (Slice(2, 4), [(3, 4, 5)], "cuts channels 2 to 4 of 3"),
        (Slice(2, 7, axis=2), [(3, 4, 5)], "Slice here: cuts axis 2 from 2 to 7 of 5"),
        (Slice(0, 1, axis=3), [(3, 4, 5)], "has no axis 3"),
        (Slice(0, 1, axis=-1), [(3, 4, 5)], "has no axis -1"),
        (Concat(1), [(3, 4, 5), (2, 4, 5)], "differ beyond axis 1"),
        (Concat(), [(3, 4), (3,)], "differ beyond the channels"),
        (Concat(3), [(3, 4, 5)], "has no axis 3"),
        (Eltwise("SUM"), [(3, 4)], "takes two inputs or more, got 1"),
        (Eltwise("SUM"), [(3, 4), (4, 3)], r"differ in shape: \(3, 4\), \(4, 3\)"),
        (Eltwise("SUM", (1.0,)), [(3,)] * 2, "has 1 coefficients for 2 inputs"),
        (Eltwise("PROD", (1.0, 1.0)), [(3,)] * 2, "belong to SUM, not to PROD"),
        (Flatten(1), [(3,)], "has no axis 1"),
        (Flatten(2, 1), [(3, 4, 5)], "its end_axis 1 comes before its axis 2"),
        (Flatten(0, 3), [(3, 4, 5)], "has no axis 3"),
        (Reshape(()), [(1,)], "leaves no axis"),
        (Reshape((-1, -1)), [(4,)], "one -1, nothing else"),
        (Reshape((-2,)), [(4,)], "one -1, nothing else"),
        (Reshape((4, 0)), [(4,)], "keeps axis 1, which its input"),
        (Reshape((3, -1)), [(4,)], "does not hold the 4 values"),
        (Reshape((8, -1)), [(4,)], "does not hold the 4 values"),
        (Reshape((5,)), [(4,)], "does not hold the 4 values"),
        (Crop(), [(3, 9, 9)], "takes two inputs"),
        (Crop(), [(3, 9, 9), (9,)], "differ in their number of axes"),
        (Crop(1, (1, 2, 3)), [(3, 9, 9), (3, 4, 5)], "has 3 offsets for 2 axes"),
        (Crop(1, ()), [(3, 9, 9), (3, 4, 5)], "has 0 offsets for 2 axes"),
        (
            Crop(1, (6, 0)),
            [(3, 9, 9), (3, 4, 5)],
            "a cut of 4 from 6 .* the 9 of axis 1",
        ),
        (Crop(1, (-1, 0)), [(3, 9, 9), (3, 4, 5)], "a cut of 4 from -1"),
        (Crop(3), [(3, 9, 9), (3, 4, 5)], "has no axis 3"),
        (Softmax(1), [(3,)], "has no axis 1"),
        (ArgMax(0), [(3,)], "top_k is 0, it is 1 to the 3 values"),
        (ArgMax(13), [(3, 4)], "top_k is 13, it is 1 to the 12 values"),
        (ArgMax(4, axis=0), [(3, 4)], "top_k is 4, it is 1 to the 3 values"),
        (ArgMax(1, axis=2), [(3, 4)], "has no axis 2"),
        (PReLU(WEIGHT), [()], "needs channels"),
        (Scale(WEIGHT, None), [()], "needs channels"),
        (Bias(WEIGHT), [()], "needs channels"),
        (BatchNorm(None, None), [()], "needs channels"),
        (Concat(), [(3, 4, 5), (3, 4, 6)], "differ beyond the channels"),
        (Concat(), [], "has no inputs"),
        (ReLU(), [(3,), (3,)], "takes one input, got 2"),
        (Input(1, 2, 3), [(3,)], "takes no input"),
    ],
)
def test_inputs_that_do_not_fit(
    op: object, inputs: list[tuple[int, ...]], message: str
) -> None:
    """Each misfit is a ShapeError that names op and node."""
    with pytest.raises(ShapeError, match=message):
        infer(op, inputs, name="here")  # type: ignore[arg-type]


CONVOLUTION = Convolution(4, 3, 3, 1, 1, 0, 0, WEIGHT, None)
DECONVOLUTION = Deconvolution(4, 3, 3, 1, 1, 0, 0, WEIGHT, None)
POOLING = Pooling("MAX", 3, 3, 1, 1)


@pytest.mark.parametrize("op", [CONVOLUTION, DECONVOLUTION, POOLING])
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("kernel_h", 0, "a kernel is 1 or more, not 0 x 3"),
        ("kernel_w", -1, "a kernel is 1 or more, not 3 x -1"),
        ("stride_h", 0, "a stride is 1 or more, not 0 x 1"),
        ("stride_w", -2, "a stride is 1 or more, not 1 x -2"),
        ("pad_h", -1, "a padding is 0 or more, not -1 x 0"),
        ("pad_w", -1, "a padding is 0 or more, not 0 x -1"),
    ],
)
def test_windows_that_no_input_fits(
    op: Pooling, field: str, value: int, message: str
) -> None:
    """Kernels and strides below 1 and padding below 0 are refused, whatever the input."""
    with pytest.raises(ShapeError, match=f"here: {message}"):
        infer(replace(op, **{field: value}), [(4, 9, 9)], name="here")


@pytest.mark.parametrize("op", [CONVOLUTION, DECONVOLUTION])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_output": 0}, "num_output is 1 or more, not 0"),
        ({"group": 0}, "group 0 does not divide"),
        ({"group": 3, "num_output": 6}, "group 3 .* its 4 input channels"),
        ({"group": 2, "num_output": 5}, "group 2 .* its 5 outputs"),
        ({"dilation_h": 0}, "a dilation is 1 or more, not 0 x 1"),
        ({"dilation_w": -1}, "a dilation is 1 or more, not 1 x -1"),
    ],
)
def test_channels_that_do_not_fit(
    op: Convolution, fields: dict[str, int], message: str
) -> None:
    """A group divides the channels on both sides."""
    with pytest.raises(ShapeError, match=message):
        infer(replace(op, **fields), [(4, 9, 9)], name="here")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (replace(POOLING, pad_h=3), "padding is smaller than its kernel, not 3 x 0"),
        (replace(POOLING, pad_w=4), "padding is smaller than its kernel, not 0 x 4"),
        (
            replace(DECONVOLUTION, pad_h=6),
            "its padding 6 x 0 leaves nothing of 11 x 11",
        ),
        (InnerProduct(0, WEIGHT, None), "num_output is 1 or more"),
    ],
)
def test_sizes_that_leave_nothing(op: Pooling, message: str) -> None:
    """Where Caffe aborts, or would leave an empty blob."""
    with pytest.raises(ShapeError, match=message):
        infer(op, [(4, 9, 9)], name="here")


def test_an_image_has_pixels() -> None:
    """Every size of the input is 1 or more."""
    with pytest.raises(ShapeError, match="Input here: every size is 1 or more"):
        infer(Input(3, 0, 4), [], name="here")
