"""The end of a log in one line: where an error was raised, or what was said last."""

import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from ribosome.runner.excerpt import LINE_LIMIT, LINES, excerpt


def lines_of(text: str) -> list[str]:
    """The lines of a log."""
    return text.splitlines()


def test_the_last_lines_are_shown() -> None:
    """Without a traceback the end of the log is shown, empty lines left out."""
    lines = [*map(str, range(20)), "", "  "]
    assert excerpt(lines) == " | ".join(str(n) for n in range(20 - LINES, 20))


def test_nothing_said_is_nothing_shown() -> None:
    """An empty log has an empty excerpt."""
    assert excerpt(["", " "]) == ""


def test_long_lines_are_cut() -> None:
    """One long line does not push the others out."""
    shown = excerpt(["x" * 10_000, "the end"])
    assert shown == "x" * (LINE_LIMIT - 1) + "… | the end"


def test_a_traceback_says_where() -> None:
    """The error, with file and line of the frame that raised it."""

    def fail() -> None:
        raise KeyError("fan_in")

    with pytest.raises(KeyError) as caught:
        fail()
    text = "".join(traceback.format_exception(caught.value))
    number = traceback.extract_tb(caught.value.__traceback__)[-1].lineno
    shown = excerpt(["before", *lines_of(text)])
    assert shown == f"KeyError: 'fan_in' (test_excerpt.py:{number})"


def test_the_generated_codes_frame_counts(tmp_path: Path) -> None:
    """Of the frames of a real traceback the innermost below the folder is named."""
    network = tmp_path / "network.py"
    network.write_text("import json\n\ndef forward():\n    return json.loads('{')\n")
    done = subprocess.run(
        [sys.executable, "-c", "import network; network.forward()"],
        env={"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = lines_of(done.stderr)
    assert excerpt(lines, folder=str(tmp_path)).endswith("(network.py:4)")
    assert "(decoder.py:" in excerpt(lines)


def test_the_last_traceback_of_a_chain_counts() -> None:
    """Of an error in the handling of another one the second is shown."""
    text = "".join(
        f'Traceback (most recent call last):\n  File "/x/{n}.py", line {n}, in f\n'
        f"    call()\n    ^^^^^^\nError{n}: no\n\n"
        for n in (1, 2)
    )
    assert excerpt(lines_of(text)) == "Error2: no (2.py:2)"


def test_words_after_a_traceback_are_shown() -> None:
    """A message of several lines, or what came after the error, is not lost."""
    text = (
        'Traceback (most recent call last):\n  File "/x/a.py", line 3, in f\n'
        "RuntimeError: first\nsecond\nSegmentation fault\n"
    )
    assert excerpt(lines_of(text)) == (
        "RuntimeError: first (a.py:3) | second | Segmentation fault"
    )


@pytest.mark.parametrize(
    "text",
    [
        "Traceback (most recent call last):",
        'Traceback (most recent call last):\n  File "a',
        "Traceback (most recent call last):\n\x00\x01",
        'Traceback (most recent call last):\n  File "a", line 99999999999999999',
    ],
)
def test_a_torn_traceback_is_shown_all_the_same(text: str) -> None:
    """A trainer that dies while it prints one leaves something to show."""
    assert excerpt(lines_of(text))
