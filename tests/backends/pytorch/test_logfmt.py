"""Lines of a trainer's log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.backends.pytorch.logfmt import format_line, parse_line


def test_a_line_is_pairs_of_key_and_value() -> None:
    """Numbers and plain words stand without quotes."""
    line = format_line("iteration", iteration=50, loss=0.53125, device="cuda:0")
    assert line == "event=iteration iteration=50 loss=0.53125 device=cuda:0"


def test_a_float_keeps_the_nine_digits_of_float32() -> None:
    """What was a float32 is read back as the same float32."""
    assert format_line("x", loss=2.3025851249694824) == "event=x loss=2.30258512"


@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    """A value may hold anything, and a line of it is one line."""
    line = format_line("failed", message=text)
    assert len(line.splitlines()) == 1
    assert parse_line(line) == {"event": "failed", "message": text}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Traceback (most recent call last):",
        '  File "event=failed", line 3',
        "event=iteration loss",
        'event=failed message="cut o',
        'event=failed message="\\q"',
        "event=done and some words",
        "loss=3 event=iteration",
    ],
)
def test_what_is_not_wholly_logfmt_says_nothing(line: str) -> None:
    """A line that is cut, or that another program wrote, is not half understood."""
    assert parse_line(line) == {}
