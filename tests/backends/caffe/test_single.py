"""Single precision against NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.backends.caffe.single import packed, shortest


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_shortest_decimal_is_the_same_number(value: float) -> None:
    """NumPy reads it as the number that it stands for, and so does a shorter one never."""
    text = shortest(value)
    assert text is not None
    assert np.float32(text) == np.float32(value)
    digits = len(text.partition("e")[0].replace(".", "").strip("-0"))
    if digits > 1:
        assert np.float32(f"{value:.{digits - 1}g}") != np.float32(value)


@given(st.floats(-3e38, 3e38))
def test_a_number_is_packed_as_numpy_rounds_it(value: float) -> None:
    """To the nearest number of single precision, lowest byte first."""
    assert packed(value) == np.float32(value).astype("<f4").tobytes()


@pytest.mark.parametrize("value", [1e39, -1e300])
def test_what_single_precision_cannot_hold_is_none(value: float) -> None:
    """Neither bytes nor a text stand for it."""
    assert packed(value) is None
    assert shortest(value) is None
