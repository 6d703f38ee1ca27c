"""Caffe's text format into messages, with the place of everything that is wrong.

The language is protobuf's text format as Caffe reads it: a field that is set twice and is not
repeated is an error, and so is one that the schema does not have. Nothing here recurses, so
that no text can exhaust the stack, and every error is a ReadError.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

from ribosome.backends.caffe.lexer import Lexer, nearest, short
from ribosome.backends.caffe.schema import FLAVOURS, Flavour, Message, message
from ribosome.genome.errors import ReadError

_ESCAPE = re.compile(rb"\\([0-7]{1,3}|[xX][0-9a-fA-F]{1,2}|.)", re.DOTALL)
_ESCAPES = dict(zip(b"abfnrtv\\'\"?", b"\a\b\f\n\r\t\v\\'\"?", strict=True))
_LONGEST_NUMBER = 400
_TRUTHS = {"true": True, "True": True, "t": True, "1": True}
_TRUTHS |= {"false": False, "False": False, "f": False, "0": False}
_REALS = {word: float(word) for word in ("inf", "infinity", "nan")}
_WHOLE = {
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """A message, the flavour that it is of, and where its parts stood in the text.

    ``lines`` gives the line, from 1, of every top-level field: ``lines["layer"][2]`` is
    where the third layer begins.
    """

    message: Message
    flavour: Flavour
    lines: Mapping[str, Sequence[int]]


def parse(text: str | bytes, name: str, flavour: Flavour, *, path: str) -> Message:
    """The message of type ``name`` that a text of one flavour describes.

    Raises ReadError with path, line, column and field; nothing else, whatever the text.
    """
    return _Parser(_decoded(text, path), flavour, path).parse(name).message


def parse_any(text: str | bytes, name: str, *, path: str) -> Parsed:
    """The message that a text of either flavour describes, and where its parts stood.

    NVIDIA's flavour is tried first. Raises ReadError where neither fits: the error of the
    flavour that could read further.
    """
    text = _decoded(text, path)
    errors: list[tuple[int, ReadError]] = []
    for flavour in reversed(FLAVOURS):
        parser = _Parser(text, flavour, path)
        try:
            return parser.parse(name)
        except ReadError as error:
            errors.append((parser.place, error))
    raise max(errors, key=lambda pair: pair[0])[1]


def _decoded(text: str | bytes, path: str) -> str:
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise ReadError(
            f"{path}:{line}: not text: byte {error.start} is no UTF-8; give a prototxt "
            "(weights go into --weights)"
        ) from None


@dataclass(frozen=True, slots=True)
class _Field:
    """What the schema says of a field: ``kind`` is message, enum or a scalar's name."""

    name: str
    kind: str
    repeated: bool
    values: Mapping[str, int]  # of an enum
    descriptor: Any  # of a message


_KINDS = {
    1: "double",
    2: "float",
    3: "int64",
    4: "uint64",
    5: "int32",
    8: "bool",
    9: "string",
    11: "message",
    12: "bytes",
    13: "uint32",
    14: "enum",
}


@cache
def _fields(descriptor: Any) -> Mapping[str, _Field]:
    found = {}
    for field in descriptor.fields:
        enum = field.enum_type
        values = {value.name: value.number for value in enum.values} if enum else {}
        kind = _KINDS[field.type]
        found[field.name] = _Field(
            field.name, kind, field.is_repeated, values, field.message_type
        )
    return found


@dataclass(slots=True)
class _Frame:
    """A message that is being filled: its fields, the mark that ends it, what was set."""

    message: Message
    fields: Mapping[str, _Field]
    end: str
    seen: set[str]
    list_of: _Field | None = None  # inside [ ] of this field of messages


class _Parser(Lexer):
    def __init__(self, text: str, flavour: Flavour, path: str) -> None:
        super().__init__(text, path)
        self._flavour = flavour
        self._lines: dict[str, list[int]] = {}

    def parse(self, name: str) -> Parsed:
        """The message that the whole text describes."""
        made = message(name, self._flavour)()
        stack = [_Frame(made, _fields(made.DESCRIPTOR), "", set())]
        self.next()
        while stack:
            frame = stack[-1]
            if frame.list_of is not None:
                self._list_goes_on(stack)
            elif self.token == frame.end and self.kind in (None, "mark"):
                stack.pop()
                if frame.end:
                    self.next()
                    self._skip_separator(stack)
            elif self.kind is None:
                self.fail(f"the file ends inside {_title(frame)}: a {frame.end} lacks")
            else:
                self._field(frame, stack)
        lacking = made.FindInitializationErrors()
        if lacking:
            self.fail(f"{lacking[0]} is not set, but must be")
        return Parsed(made, self._flavour, self._lines)

    def _field(self, frame: _Frame, stack: list[_Frame]) -> None:
        if self.kind != "word":
            self.fail(
                f"a field's name is wanted in {_title(frame)}, not {self.shown()}"
            )
        field = frame.fields.get(self.token)
        if field is None:
            self._unknown(frame)
        if not field.repeated:
            if field.name in frame.seen:
                self.fail(
                    f"{_title(frame)}.{field.name} is set twice: Caffe takes one; "
                    "leave one out"
                )
            frame.seen.add(field.name)
        if len(stack) == 1:
            self._lines.setdefault(field.name, []).append(self.line())
        self.next()
        colon = self.take(":")
        if field.kind == "message":
            if field.repeated and self.at("["):
                self.next()
                stack.append(_Frame(frame.message, {}, "]", set(), field))
            else:
                self._open(field, frame.message, stack)
            return
        if not colon:
            self.fail(f"{_title(frame)}.{field.name} wants a colon and a value")
        if field.repeated and self.take("["):
            self._scalars(field, frame)
        else:
            self._scalar(field, frame)
        if self.token in (",", ";") and self.kind == "mark":
            self.next()

    def _open(self, field: _Field, parent: Message, stack: list[_Frame]) -> None:
        end = {"{": "}", "<": ">"}.get(self.token) if self.kind == "mark" else None
        if end is None:
            self.fail(f"{field.name} is a message: {{ is wanted, not {self.shown()}")
        child = getattr(parent, field.name)
        child = child.add() if field.repeated else child
        if not field.repeated:
            child.SetInParent()
        self.next()
        stack.append(_Frame(child, _fields(field.descriptor), end, set()))

    def _list_goes_on(self, stack: list[_Frame]) -> None:
        frame = stack[-1]
        if self.take("]"):
            stack.pop()
            self._skip_separator(stack)
        elif frame.list_of is not None:
            self._open(frame.list_of, frame.message, stack)

    def _skip_separator(self, stack: list[_Frame]) -> None:
        if not (stack and self.kind == "mark" and self.token in (",", ";")):
            return
        self.next()
        if stack[-1].list_of is not None and self.at("]"):
            self.fail("a value is wanted behind the comma")

    def _scalars(self, field: _Field, frame: _Frame) -> None:
        if self.take("]"):
            return
        while True:
            self._scalar(field, frame)
            if self.take("]"):
                return
            if not self.take(","):
                self.fail(f"a comma or ] is wanted in {field.name}, not {self.shown()}")

    def _scalar(self, field: _Field, frame: _Frame) -> None:
        begin = self.place
        value = self._value(field, frame)
        try:
            if field.repeated:
                getattr(frame.message, field.name).append(value)
            else:
                setattr(frame.message, field.name, value)
        except (ValueError, TypeError, OverflowError):
            self.place = begin
            self.fail(f"{_title(frame)}.{field.name} does not hold such a value")

    def _value(self, field: _Field, frame: _Frame) -> Any:
        what = f"{_title(frame)}.{field.name}"
        if field.kind in ("string", "bytes"):
            return self._string(field, what)
        negative = self.take("-")
        kind, token = self.kind, self.token
        if kind not in ("word", "number"):
            self.fail(f"{what} wants {_wanted(field)}, not {self.shown()}")
        if len(token) > _LONGEST_NUMBER:
            self.fail(f"{what} wants {_wanted(field)}, not {len(token)} characters")
        value: bool | int | float | None
        if field.kind == "enum":
            value = self._enum(field, what, negative)
        elif field.kind == "bool":
            value = None if negative else _TRUTHS.get(token)
        elif field.kind in _WHOLE:
            value = self._integer(field, what, negative)
        else:
            value = _real(token, kind, negative)
        if value is None:
            self.fail(f"{what} wants {_wanted(field)}, not {self.shown(negative)}")
        self.next()
        return value

    def _integer(self, field: _Field, what: str, negative: bool) -> int | None:
        value = _whole(self.token, negative) if self.kind == "number" else None
        low, high = _WHOLE[field.kind]
        if value is not None and not low <= value <= high:
            self.fail(f"{what} is out of range: {low} to {high}")
        return value

    def _enum(self, field: _Field, what: str, negative: bool) -> int | None:
        if self.kind == "word" and not negative:
            if self.token not in field.values:
                near = nearest(self.token.upper(), list(field.values))
                near = near or f"; known: {', '.join(field.values)}"
                self.fail(f"{what} cannot be {self.shown()}{near}")
            return field.values[self.token]
        value = _whole(self.token, negative) if self.kind == "number" else None
        return value if value in field.values.values() else None

    def _string(self, field: _Field, what: str) -> str | bytes:
        if self.kind != "string":
            self.fail(f'{what} wants a text in "quotes", not {self.shown()}')
        begin, parts = self.place, []
        while self.kind == "string":
            parts.append(self.token[1:-1])
            self.next()
        raw = "".join(parts).encode("utf-8", "surrogatepass")
        if b"\\" in raw:
            raw = _ESCAPE.sub(_unescaped, raw)
        if field.kind == "bytes":
            return raw
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self.place = begin
            self.fail(f"{what} is not UTF-8")

    def _unknown(self, frame: _Frame) -> NoReturn:
        title, word = _title(frame), self.token
        for other in FLAVOURS:
            if other != self._flavour:
                there = _fields(message(title, other).DESCRIPTOR) if title else {}
                if word in there:
                    whose = "NVCaffe's" if other == "nvcaffe" else "BVLC Caffe's"
                    self.fail(
                        f"{title} has no field {word} in {self._flavour}: it is {whose}"
                    )
        near = nearest(word, list(frame.fields))
        self.fail(f"{title} has no field {short(word)}{near}")


def _title(frame: _Frame) -> str:
    return str(frame.message.DESCRIPTOR.name)


def _wanted(field: _Field) -> str:
    if field.kind == "bool":
        return "true or false"
    if field.kind == "enum":
        return f"one of {', '.join(field.values)}"
    return "a whole number" if field.kind in _WHOLE else "a number"


def _whole(token: str, negative: bool) -> int | None:
    digits = token.lower()
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    try:
        value = int(digits, base)
    except ValueError:
        return None
    return -value if negative else value


def _real(token: str, kind: str | None, negative: bool) -> float | None:
    if kind == "word":
        value = _REALS.get(token.lower())
    elif token[:2] in ("0x", "0X"):
        value = float(int(token, 16))
    else:
        value = float(token.rstrip("fF"))
    return -value if negative and value is not None else value


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if code[0] in b"01234567":
        return bytes([int(code, 8) & 255])
    if len(code) > 1:
        return bytes([int(code[1:], 16)])
    return bytes([_ESCAPES.get(code[0], code[0])])
