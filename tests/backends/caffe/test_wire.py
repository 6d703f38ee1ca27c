"""Protobuf's wire format, against protobuf."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.backends.caffe.schema import message
from ribosome.backends.caffe.wire import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    WireError,
    bytes_field,
    fields,
    signed,
    varint,
    varints,
)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_packed_numbers_are_read(numbers: list[int]) -> None:
    """Of every size, and negative ones as well."""
    shape = message("BlobShape", "caffe")(dim=numbers)
    found = list(fields(memoryview(shape.SerializeToString())))
    assert [n for _, _, packed in found for n in varints(packed)] == numbers  # type: ignore[arg-type]


@given(st.integers(0, 2**63 - 1), st.binary(max_size=300))
def test_fields_are_read_in_order(number: int, data: bytes) -> None:
    """A message's numbers and bytes, with their field numbers."""
    datum = message("Datum", "caffe")(data=data, float_data=[1.5])
    raw = datum.SerializeToString() + varint(9 << 3 | VARINT) + varint(number)
    raw += varint(10 << 3 | FIXED64) + bytes(8)
    found = [
        (number, kind, value if isinstance(value, int) else bytes(value))
        for number, kind, value in fields(memoryview(raw))
    ]
    assert found == [
        (4, BYTES, data),
        (6, FIXED32, b"\x00\x00\xc0\x3f"),
        (9, VARINT, number),
        (10, FIXED64, bytes(8)),
    ]


@given(st.binary(max_size=300))
def test_bytes_are_written_as_protobuf_writes_them(data: bytes) -> None:
    """A field's head and its content."""
    written = bytes_field(4, len(data)) + data
    assert written == message("Datum", "caffe")(data=data).SerializeToString()


def test_a_varint_of_the_upper_half_is_negative() -> None:
    """Two's complement in 64 bits."""
    assert [signed(n) for n in (0, 2**63 - 1, 2**63, 2**64 - 1)] == [
        *(0, 2**63 - 1, -(2**63), -1),
    ]


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Nothing but WireError."""
    with contextlib.suppress(WireError):
        list(fields(memoryview(data)))


@pytest.mark.parametrize(
    "data", [b"\x08", b"\x22\x05abc", b"\x0b", b"\x25\x00", b"\x00"]
)
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    """A number or a field that ends too soon, a wire type or number that is none."""
    with pytest.raises(WireError):
        list(fields(memoryview(data)))
