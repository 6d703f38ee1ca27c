"""Shape inference against sizes counted by hand, window by window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.genome.errors import ShapeError
from ribosome.genome.ops import (
    LRN,
    Blob,
    ChannelSlice,
    Concat,
    Convolution,
    Filler,
    GlobalPooling,
    InnerProduct,
    Input,
    Pooling,
    ReLU,
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


@pytest.mark.parametrize(
    ("op", "inputs", "shape"),
    [
        (Input(3, 4, 5), [], (3, 4, 5)),
        (InnerProduct(9, WEIGHT, None), [(3, 4, 5)], (9,)),
        (InnerProduct(9, WEIGHT, None), [(60,)], (9,)),
        (GlobalPooling("AVE"), [(3, 4, 5)], (3, 1, 1)),
        (ChannelSlice(1, 3), [(3, 4, 5)], (2, 4, 5)),
        (Concat(), [(3, 4, 5), (2, 4, 5)], (5, 4, 5)),
        (Concat(), [(3,), (2,)], (5,)),
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
        (ChannelSlice(2, 4), [(3, 4, 5)], "cuts channels 2 to 4 of 3"),
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
