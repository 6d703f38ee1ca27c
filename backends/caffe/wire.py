"""Protobuf's wire format, as far as weights and images need it.

Nothing is copied: a 500 MB caffemodel is mostly floats, and protobuf's own classes would
make a Python number of each. The format: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator
from typing import TypeAlias

Octets: TypeAlias = bytes | memoryview
"""A message, or a view of one that stands in a file or a database."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""The wire types; groups, which nobody uses, are none of them."""

_MOST_VARINT = 10


class WireError(ValueError):
    """Bytes that are no message; the message says what is wrong with them."""


def fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Every field of a message: its number, its wire type, and its value.

    The value is an int for a VARINT and a view for the rest: 4 or 8 bytes of a fixed width
    number, or what BYTES holds. Raises WireError for bytes that are no message.
    """
    place, end = 0, len(message)
    while place < end:
        tag, place = read_varint(message, place)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise WireError("a field of number 0")
        if kind == VARINT:
            value, place = read_varint(message, place)
            yield number, kind, value
            continue
        if kind == BYTES:
            size, place = read_varint(message, place)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            raise WireError(f"a field of wire type {kind}")
        if size > end - place:
            raise WireError(f"a field of {size} bytes where {end - place} are left")
        yield number, kind, message[place : place + size]
        place += size


def read_varint(message: Octets, place: int) -> tuple[int, int]:
    """The number at a place, of 64 bits without a sign, and where it ends.

    Raises WireError where the message ends before, or the number has more bytes.
    """
    value = 0
    for shift in range(0, 7 * _MOST_VARINT, 7):
        if place >= len(message):
            raise WireError("cut off inside a number")
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (1 << 64) - 1, place
    raise WireError(f"a number of more than {_MOST_VARINT} bytes")


def varints(packed: memoryview) -> list[int]:
    """The numbers of a packed field, as signed numbers of 64 bits."""
    place, found = 0, []
    while place < len(packed):
        value, place = read_varint(packed, place)
        found.append(signed(value))
    return found


def signed(value: int) -> int:
    """A varint as a signed number of 64 bits."""
    return value - (1 << 64) if value >> 63 else value


def varint(value: int) -> bytes:
    """A number from 0 on as it stands in a file."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def bytes_field(number: int, size: int) -> bytes:
    """What stands before the ``size`` bytes of a field."""
    return varint(number << 3 | BYTES) + varint(size)
