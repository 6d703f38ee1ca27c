"""Genomes as bytes and as text.

Bytes: a mixed-radix number whose digits are the groups' values, the first group in front,
big-endian, in the fewest bytes that hold the size of the space. Text: the space, its
version, the bytes in Crockford's base 32 in lower case, and a checksum over both and over the
meaning of the space, so that a genome is not read with another space of the same name::

    menndl-1-0h3k…-7m2q

A genome of a tuning space (`ribosome.genome.hyperparameters`) has the text of its template
in front, which alone tells what the space is, then its own letters and checksum::

    menndl-1-0h3k…-7m2q~8d20…-k3p1
"""

import re
from functools import lru_cache
from math import prod
from operator import mul
from zlib import crc32

from ribosome.genome.errors import GenomeError
from ribosome.genome.space import Genes, Group, Space

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no i, l, o, u
_AS_DIGITS = bytes.maketrans(bytes(range(32)), _DIGITS.encode())
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
_TEXT = re.compile(
    r"([a-z][a-z0-9_]*)-([0-9]{1,6})-[0-9a-z]+-[0-9a-z]{4}(?:~[0-9a-z]+-[0-9a-z]{4})?"
)
_TUNED = "~"
"""What stands behind a template: safe in URLs, no digit of base 32."""

_CHECK_LETTERS = 4
_CACHE = 512
"""Values that are kept per group: a child shares most of them with a parent."""


def pack(space: Space, genes: Genes) -> bytes:
    """The bytes of a genome: always ``space.genome_bytes`` of them."""
    shares = [
        share[values] for share, values in zip(_shares(space), genes, strict=True)
    ]
    return sum(shares).to_bytes(space.genome_bytes, "big")


def unpack(space: Space, data: bytes) -> Genes:
    """The genes of a packed genome.

    Raises GenomeError for a wrong length and for a number beyond the size of the space.
    """
    if len(data) != space.genome_bytes:
        what = "truncated" if len(data) < space.genome_bytes else "padded"
        raise GenomeError(
            f"genome is {what}: it has {len(data)} bytes, those of {_title(space)} have "
            f"{space.genome_bytes}; copy it again, whole"
        )
    number = int.from_bytes(data, "big")
    if number >= space.size:
        raise GenomeError(
            f"genome is no valid code of {_title(space)}: its number is beyond the size "
            "of the space; copy it again, whole"
        )
    genes: list[tuple[int, ...]] = []
    for group in reversed(space.groups):
        number, value = divmod(number, group.size)
        genes.append(_values(group, value))
    genes.reverse()
    return tuple(genes)


def to_text(space: Space, genes: Genes) -> str:
    """The text form: fixed length, safe in URLs and file names."""
    return as_text(space, pack(space, genes))


def as_text(space: Space, data: bytes) -> str:
    """The text form of a genome that `pack` has packed."""
    number = int.from_bytes(data, "big") << 5 * _CHECK_LETTERS | _check(space, data)
    letters = _letters(number, _length(space) + _CHECK_LETTERS)
    body, check = letters[:-_CHECK_LETTERS], letters[-_CHECK_LETTERS:]
    if space.template:
        return f"{space.template}{_TUNED}{body}-{check}"
    return f"{space.name}-{space.version}-{body}-{check}"


def from_text(space: Space, text: str) -> Genes:
    """The genes of a genome's text form, upper or lower case.

    Raises GenomeError for another space, version or template, a wrong length or a wrong
    checksum.
    """
    text = text.strip().lower()
    name, version = space_named_by(text)
    if (name, version) != (space.name, space.version):
        raise GenomeError(
            f"genome is of space {name} {version}, not of {_title(space)}; "
            "name its own space with --space, or use a genome of this one"
        )
    template, letters = split_tuned(text)
    if template != space.template:
        raise GenomeError(_other_template(space, template))
    body, check = letters.split("-")[-2:]
    if len(body) != _length(space):
        what = "truncated" if len(body) < _length(space) else "padded"
        raise GenomeError(
            f"genome is {what}: {len(body)} letters stand before its checksum, "
            f"{_title(space)} has {_length(space)}; copy it again, whole"
        )
    number = 0
    for letter in body:
        if letter not in _VALUES:
            raise GenomeError(
                f"genome has the letter {letter!r}, which base 32 does not use (nor i, l, "
                "o and u); copy it again"
            )
        number = number * 32 + _VALUES[letter]
    data = (number & ((1 << 8 * space.genome_bytes) - 1)).to_bytes(
        space.genome_bytes, "big"
    )
    if number >> 8 * space.genome_bytes or check != _letters(
        _check(space, data), _CHECK_LETTERS
    ):
        raise GenomeError(
            f"genome's checksum is wrong: it was changed on the way, or made with another "
            f"space file than this {_title(space)}; copy it again, or name the space file "
            "that it was made with"
        )
    return unpack(space, data)


def space_named_by(text: str) -> tuple[str, int]:
    """The name and version of the space that a genome's text form names."""
    match = _TEXT.fullmatch(text.strip().lower())
    if match is None:
        raise GenomeError(
            f"{_shorten(text)!r} is no genome: one reads SPACE-VERSION-LETTERS-CHECKSUM; "
            "`ribosome random` prints some"
        )
    return match[1], int(match[2])


def split_tuned(text: str) -> tuple[str, str]:
    """A text's template, empty where it has none, and what stands behind that."""
    template, _, letters = text.strip().lower().rpartition(_TUNED)
    return template, letters


class _Shares(dict[tuple[int, ...], int]):
    """What the values of one group add to a genome's number, of which ``unit`` is one."""

    def __init__(self, group: Group, unit: int) -> None:
        self._group = group
        self._unit = unit

    def __missing__(self, values: tuple[int, ...]) -> int:
        if len(self) >= _CACHE:
            self.clear()
        which, *indices = values
        place: int = sum(map(mul, self._group.cases[which].strides, indices))
        number = self[values] = self._unit * (self._group.offsets[which] + place)
        return number


@lru_cache(maxsize=16)
def _shares(space: Space) -> list[_Shares]:
    """For each group what its values add to a genome's number."""
    sizes = [group.size for group in space.groups]
    units = [prod(sizes[place + 1 :]) for place in range(len(sizes))]
    return list(map(_Shares, space.groups, units))


def _values(group: Group, number: int) -> tuple[int, ...]:
    which = group.case_of(number)
    number -= group.offsets[which]
    values: list[int] = []
    for gene in reversed(group.cases[which].genes):
        number, index = divmod(number, len(gene.alleles))
        values.append(index)
    values.append(which)
    values.reverse()
    return tuple(values)


def _check(space: Space, data: bytes) -> int:
    return crc32(space.fingerprint + data) & ((1 << 5 * _CHECK_LETTERS) - 1)


def _length(space: Space) -> int:
    return (space.genome_bytes * 8 + 4) // 5


def _letters(number: int, length: int) -> str:
    """A number in base 32, in so many letters."""
    for low, high, shift in _spreading(length):
        number = number & low | (number & high) << shift
    return number.to_bytes(length, "big").translate(_AS_DIGITS).decode()


@lru_cache(maxsize=16)
def _spreading(length: int) -> list[tuple[int, int, int]]:
    """The steps that move each 5 bits of a number into a byte of their own.

    All digits move at once, a few times as fast as one by one. First the upper half of the
    number moves away from the lower, by 3 bits for each digit of that, then the upper half
    of either, and so on. A step is the bits that stay, those that move, and how far.
    """
    steps = []
    half = 1 << (length - 1).bit_length()
    while half := half // 2:
        pieces = range(0, 8 * length, 16 * half)
        low = sum((1 << 5 * half) - 1 << begin for begin in pieces)
        steps.append((low, low << 5 * half, 3 * half))
    return steps


def _title(space: Space) -> str:
    title = f"space {space.name} {space.version}"
    return f"{title}, tuned from {space.template}" if space.template else title


def _other_template(space: Space, template: str) -> str:
    """What is wrong with a genome that has this template, which the space has not."""
    if not space.template:
        return (
            f"genome is tuned: its values lie between the alleles of {_title(space)}; "
            f"`ribosome encode GENOME --space {space.name} --nearest` prints the nearest "
            "genome that has none of them"
        )
    found = f"is tuned from {template}" if template else "is not tuned"
    return f"genome {found}, this is {_title(space)}; take a genome with that template"


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
