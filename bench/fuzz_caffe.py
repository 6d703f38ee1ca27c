"""Damaged files: nothing but Ribosome's own errors may come of them, and that soon.

``python -m bench.fuzz_caffe`` reads 100,000 mutants of prototxt (networks of both forms and
solvers) and prints how many were read all the same, how many were refused, and the slowest.
"""

import argparse
import random
import re
import time
from collections.abc import Callable, Sequence

from ribosome.backends.caffe.phases import Phase
from ribosome.backends.caffe.read import read_network
from ribosome.backends.caffe.read_solver import read_solver
from ribosome.backends.caffe.schema import message
from ribosome.genome.errors import ReadError
from tests.backends.caffe.networks import EVERYTHING, LENET, SOLVER, V1

NETWORKS = (LENET, V1, EVERYTHING)
PHASES: tuple[Phase, ...] = ("TRAIN", "TEST")
_NUMBER = re.compile(rb"-?\d[\d.]*")
_WORD = re.compile(rb"[A-Za-z_]\w*")
_EXTREMES = (
    b"0 1 -1 2147483647 4294967295 -2147483648 4294967296 999999999999999999999999999999 "
    b"1e999 -1e-999 nan inf 0x7f 017 1.5f 3e38"
).split()
_PIECES = (
    *b"{ } < > [ ] : ; , - # \" ' \\".split(),
    *(
        b"\0",
        b"\xff",
        b"\xc3\xa9",
        b"\n",
        b'"\\377"',
        b"{" * 99,
        b"[1, 2]",
        b"axis: -9",
    ),
    *(
        b"layer {",
        b"layers {",
        b"param {",
        b"shape { dim: 0 dim: -1 }",
        b'type: "Slice"',
    ),
    *(
        b'include { stage: "x" }',
        b"exclude { phase: TEST }",
        b'bottom: "data"',
        b'top: "conv"',
    ),
)


def mutant(text: bytes, draw: random.Random, others: Sequence[bytes]) -> bytes:
    """A text with one to four damages; every second one leaves the grammar whole."""
    damages = draw.choice((_DAMAGES, _SOUND))
    for _ in range(draw.randint(1, 4)):
        text = draw.choice(damages)(text, draw, others)
    return text


def _span(text: bytes, draw: random.Random, most: int = 80) -> tuple[int, int]:
    begin = draw.randint(0, len(text))
    return begin, min(len(text), begin + draw.randint(0, most))


def _drop(text: bytes, draw: random.Random, _: Sequence[bytes]) -> bytes:
    begin, end = _span(text, draw)
    return text[:begin] + text[end:]


def _repeat(text: bytes, draw: random.Random, _: Sequence[bytes]) -> bytes:
    begin, end = _span(text, draw, 400)
    return text[:end] + text[begin:end] + text[end:]


def _byte(text: bytes, draw: random.Random, _: Sequence[bytes]) -> bytes:
    begin, _end = _span(text, draw)
    return text[:begin] + bytes([draw.randrange(256)]) + text[begin + 1 :]


def _insert(text: bytes, draw: random.Random, _: Sequence[bytes]) -> bytes:
    begin, _end = _span(text, draw)
    return text[:begin] + draw.choice(_PIECES) + text[begin:]


def _cut(text: bytes, draw: random.Random, _: Sequence[bytes]) -> bytes:
    return text[: _span(text, draw)[0]]


def _splice(text: bytes, draw: random.Random, others: Sequence[bytes]) -> bytes:
    other = draw.choice(others)
    return text[: _span(text, draw)[0]] + other[_span(other, draw)[0] :]


def _set(text: bytes, draw: random.Random, _: Sequence[bytes]) -> bytes:
    """Set another field of one of the layers' parameters, to anything of its type."""
    found = list(_PARAMETERS.finditer(text))
    if not found:
        return text
    match = draw.choice(found)
    layer = message("LayerParameter", "nvcaffe").DESCRIPTOR
    field = draw.choice(layer.fields_by_name[match[1].decode()].message_type.fields)
    if field.enum_type:
        value = draw.choice(field.enum_type.values).name.encode()
    elif field.message_type:
        value = draw.choice(
            (b'{ type: "gaussian" std: 2 }', b"{ dim: 0 dim: -1 }", b"{}")
        )
    else:
        value = draw.choice((*_EXTREMES, *_SMALL, b"true", b'"conv"'))
    return b"%s %s: %s %s" % (
        *(text[: match.end()], field.name.encode(), value, text[match.end() :]),
    )


def _line(text: bytes, draw: random.Random, _: Sequence[bytes]) -> bytes:
    """Drop a line that opens and closes nothing or as much, or say it twice."""
    lines = text.splitlines(keepends=True)
    place = draw.randrange(len(lines))
    if lines[place].count(b"{") == lines[place].count(b"}"):
        lines[place : place + 1] = draw.choice(([], lines[place : place + 1] * 2))
    return b"".join(lines)


def _swap(pattern: "re.Pattern[bytes]", with_what: Sequence[bytes]) -> "_Damage":
    """Put something else, or another match of the text, where a match stands."""

    def damage(text: bytes, draw: random.Random, _: Sequence[bytes]) -> bytes:
        found = list(pattern.finditer(text))
        if not found:
            return text
        match = draw.choice(found)
        new = draw.choice(with_what) if with_what else draw.choice(found)[0]
        return text[: match.start()] + new + text[match.end() :]

    return damage


_Damage = Callable[[bytes, random.Random, Sequence[bytes]], bytes]
_QUOTED = re.compile(rb'"[^"]*"')
_PARAMETERS = re.compile(rb"(\w+_param) \{")
_SMALL = tuple(str(number).encode() for number in range(-4, 9))
_DAMAGES: tuple[_Damage, ...] = (
    *(_drop, _repeat, _byte, _insert, _cut, _splice, _swap(_NUMBER, _EXTREMES)),
    *(
        _swap(_NUMBER, _EXTREMES),
        _swap(_NUMBER, ()),
        _swap(_WORD, ()),
        _swap(_QUOTED, ()),
    ),
)
_SOUND: tuple[_Damage, ...] = (
    *(
        _set,
        _set,
        _line,
        _swap(_QUOTED, ()),
        _swap(_NUMBER, ()),
        _swap(_NUMBER, _SMALL),
    ),
)


def read_mutants(count: int, seed: int) -> tuple[int, float]:
    """How many of so many mutants were read, and the seconds that the slowest took.

    An error that is no ReadError, or has more than one line, comes through.
    """
    draw = random.Random(seed)
    networks = [text.encode() for text in NETWORKS]
    solver = SOLVER.encode()
    read, slowest = 0, 0.0
    for number in range(count):
        source = solver if number % 5 == 0 else draw.choice(networks)
        text = mutant(source, draw, [*networks, solver])
        began = time.perf_counter()
        try:
            if source is solver:
                read_solver(text, path="mutant", batch_size=64)
            else:
                shape = (1, 28, 28) if source is networks[0] else None
                phase = draw.choice(PHASES)
                read_network(text, path="mutant", phase=phase, shape=shape)
            read += 1
        except ReadError as error:
            if "\n" in str(error):
                raise AssertionError(f"more than one line: {error}") from error
        except Exception as error:
            error.add_note(f"seed {seed}, mutant {number}: {text!r}")
            raise
        slowest = max(slowest, time.perf_counter() - began)
    return read, slowest


def main() -> None:
    """Print what came of all mutants."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--mutants", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    began = time.perf_counter()
    read, slowest = read_mutants(given.mutants, given.seed)
    seconds = time.perf_counter() - began
    print(
        f"prototxt reader: {given.mutants:,} mutants in {seconds:.0f} s: {read:,} read, "
        f"{given.mutants - read:,} refused, slowest {slowest * 1000:.0f} ms, no traceback"
    )


if __name__ == "__main__":
    main()
