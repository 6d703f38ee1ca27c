"""The tokens of protobuf's text format, and errors that say where they stood."""

import difflib
import re
from collections.abc import Sequence
from typing import NoReturn

from ribosome.genome.errors import ReadError

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\f\v]+|\#[^\n]*)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?[fF]?)
        (?![A-Za-z0-9_.]))
    |(?P<string>"[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\\\n]*(?:\\.[^'\\\n]*)*')
    |(?P<mark>[{}<>\[\]:;,-])""",
    re.VERBOSE,
)


def nearest(word: str, known: Sequence[str]) -> str:
    """The end of an error message about an unknown word: what may have been meant."""
    near = difflib.get_close_matches(word[:80], known[-1000:], n=1)
    return f"; did you mean {near[0]}?" if near else ""


class Lexer:
    """The token at hand of a text, and the step to the next one.

    A token is a word, a number (its sign is a mark of its own), a string or a mark.
    """

    def __init__(self, text: str, path: str) -> None:
        self._text = text
        self._path = path
        self._after = 0
        self._counted = (0, 1)  # a place and its line
        self.kind: str | None = None
        """What the token is: word, number, string or mark; None at the end."""
        self.token = ""
        self.place = 0
        """Where the token begins."""

    def next(self) -> None:
        """Go to the next token. Raises ReadError where there is none."""
        place = self._after
        while match := _TOKEN.match(self._text, place):
            kind = match.lastgroup
            if kind != "space":
                self.kind, self.token = kind, match[0]
                self.place, self._after = place, match.end()
                return
            place = match.end()
        self.place = place
        if place < len(self._text):
            self._unknown_token()
        self.kind, self.token, self._after = None, "", place

    def _unknown_token(self) -> NoReturn:
        character = self._text[self.place]
        if character in "\"'":
            self.fail(f"this text has no closing {character}")
        if character.isascii() and (character.isdigit() or character == "."):
            number = re.compile(r"[\w.]*").match(self._text, self.place)
            self.fail(f"{short(number[0] if number else character)} is no number")
        self.fail(f"unexpected character {character!r}")

    def at(self, mark: str) -> bool:
        """Whether the token is this mark."""
        return self.kind == "mark" and self.token == mark

    def take(self, mark: str) -> bool:
        """Whether the token is this mark; if so, go on behind it."""
        if self.kind != "mark" or self.token != mark:
            return False
        self.next()
        return True

    def shown(self, negative: bool = False) -> str:
        """The token as an error message shows it."""
        if self.kind is None:
            return "the end of the file"
        return ("-" if negative else "") + short(self.token)

    def line(self) -> int:
        """The token's line, counted from 1."""
        place, line = self._counted
        if self.place < place:
            place, line = 0, 1
        line += self._text.count("\n", place, self.place)
        self._counted = (self.place, line)
        return line

    def fail(self, what: str) -> NoReturn:
        """Raise ReadError with the place of the token."""
        column = self.place - self._text.rfind("\n", 0, self.place)
        raise ReadError(f"{self._path}:{self.line()}:{column}: {what}") from None


def short(token: str) -> str:
    """A token cut down to what a message has room for."""
    shown = token if len(token) <= 40 else token[:37] + "..."
    return shown if shown.isprintable() else repr(shown)
