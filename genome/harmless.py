"""Text from elsewhere that is shown: nothing in it moves a cursor or turns a line round.

Names, messages and genomes come in files that other people have written. An escape sequence
in one can hide or forge lines of a terminal, and a control of writing direction those of an
editor ("Trojan Source", Boucher and Anderson 2021, https://trojansource.codes).
"""

import re

# Controls (with DEL and C1), line separators, lone surrogates, controls of direction.
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def is_harmless(text: str) -> bool:
    """Whether a text is one line that shows as it is written."""
    return _HARMFUL.search(text) is None


def harmless(text: str) -> str:
    """The text with everything else written out, as in ``\\x1b`` and ``\\u202e``."""
    return _HARMFUL.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
