"""What to show of a log's end in one line: the error of a traceback, or the last lines.

Pure: text in, text out.
"""

import re
from collections.abc import Sequence
from pathlib import PurePath

LINES = 4
"""Lines at the end of a log that are shown."""

LINE_LIMIT = 240
"""Characters of a line that are shown."""

_TRACEBACK = "Traceback (most recent call last)"
_FRAME = re.compile(r'\s+File "(?P<file>[^"]+)", line (?P<line>\d+)')


def excerpt(lines: Sequence[str], *, folder: str = "") -> str:
    """The end of a log; empty where nothing was said.

    A traceback counts by its error, with file and line of the innermost frame below
    ``folder``, the generated code's, or else of the innermost one.
    """
    said = [line for line in lines if line.strip()]
    begin = max((n for n, line in enumerate(said) if _TRACEBACK in line), default=None)
    if begin is None:
        return _joined(said)
    error, place, after = _read(said[begin + 1 :], folder)
    if not error:
        return _joined(said)
    shown = f"{_cut(error)} ({place})" if place else _cut(error)
    # What was said after the error may be the true end, as where a handler died.
    return " | ".join([shown, *map(_cut, after[1 - LINES :])])


def _read(lines: Sequence[str], folder: str) -> tuple[str, str, list[str]]:
    """Error, place, and what follows, of the lines behind a traceback's first."""
    place = generated = ""
    for number, line in enumerate(lines):
        if frame := _FRAME.match(line):
            path = PurePath(frame["file"])
            place = f"{path.name}:{frame['line']}"
            if folder and path.is_relative_to(folder):
                generated = place
        elif not line[0].isspace():
            return line, generated or place, list(lines[number + 1 :])
    return "", "", []


def _joined(said: Sequence[str]) -> str:
    return " | ".join(_cut(line) for line in said[-LINES:])


def _cut(line: str) -> str:
    text = line.strip()
    return text if len(text) <= LINE_LIMIT else text[: LINE_LIMIT - 1] + "…"
