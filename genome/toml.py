"""TOML from elsewhere: within bounds, and whatever is wrong with it a ValueError.

Python's parser takes a time that grows with the square of a dotted key's parts, a frame of
its stack for each bracket, and all of the memory that a file fills.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

LARGEST = 1 << 24
"""Bytes of a file."""

_LONG_KEY = re.compile(r"(?<![\w\"'-])(?:[\w\"'-]+[ \t]*\.[ \t]*){32}")


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file says. Raises OSError, and ValueError as `parse_toml`."""
    return parse_toml(read_text(path))


def read_text(path: Path) -> str:
    """A file's text. Raises OSError, and ValueError for a large one or no UTF-8."""
    with path.open("rb") as file:
        held = file.read(LARGEST + 1)
    if len(held) > LARGEST:
        raise ValueError(f"more than {LARGEST >> 20} MiB")
    return held.decode()


def parse_toml(text: str) -> dict[str, Any]:
    """What a TOML text says. Raises ValueError, of which UnicodeDecodeError is one."""
    if _LONG_KEY.search(text):
        raise ValueError("a key of more than 32 parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("brackets that are nested too deep") from None
