"""Datum: the bytes of protobuf's own class, and what is read from any bytes."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.backends.caffe.datum import decode, encode
from ribosome.backends.caffe.schema import message

DATUM = message("Datum", "caffe")
LABELS = [0, 1, 127, 128, 1000, 2**31 - 1]


def images(dtype: str) -> np.ndarray:
    """Six images of 2 x 3 x 4."""
    drawn = np.random.default_rng(1).integers(0, 256, (6, 2, 3, 4))
    return drawn.astype(dtype) - (0 if dtype == "uint8" else np.float32(0.7))


def refusal(octets: bytes) -> str:
    """What is said of bytes that are no Datum."""
    with pytest.raises(ValueError, match=r".") as caught:
        decode(octets)
    return str(caught.value)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_bytes_are_those_of_protobuf(dtype: str) -> None:
    """Each image is what the schema's own class writes of the same fields."""
    held = images(dtype)
    for image, label, made in zip(
        held, LABELS, encode(held, np.array(LABELS)), strict=True
    ):
        wanted = DATUM(channels=2, height=3, width=4, label=label)
        if dtype == "uint8":
            wanted.data = image.tobytes()
        else:
            wanted.float_data.extend(image.ravel().tolist())
        assert made == wanted.SerializeToString()


@pytest.mark.parametrize("view", [bytes, memoryview])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_what_is_written_is_read(dtype: str, view: type) -> None:
    """Pixels, type and label, from bytes and from a view of them."""
    held = images(dtype)
    for image, label, made in zip(
        held, LABELS, encode(held, np.array(LABELS)), strict=True
    ):
        datum = decode(view(made))
        assert datum.pixels().dtype == dtype
        assert np.array_equal(datum.pixels(), image)
        assert (datum.label, datum.shape) == (label, (2, 3, 4))


def test_packed_floats_are_read() -> None:
    """Other writers pack float_data into one field; its parts follow one another."""
    values = np.array([1.5, -2, 3], "<f4").tobytes()
    packed = b"\x32\x08" + values[:8] + b"\x35" + values[8:]
    datum = decode(b"\x08\x01\x10\x01\x18\x03" + packed)
    assert datum.pixels().tolist() == [[[1.5, -2, 3]]]


def test_numbers_are_read_as_protobuf_reads_them() -> None:
    """A negative label, a number of more bytes than it needs, a field given twice."""
    negative = DATUM(label=-3).SerializeToString()
    assert decode(negative).label == -3
    for octets in (b"\x28\x85\x80\x00", b"\x28\x07\x28\x05", b"\xa8\x80\x00\x05"):
        assert decode(octets).label == DATUM.FromString(octets).label == 5


def test_unknown_fields_are_skipped() -> None:
    """Of every wire type, before and behind what is known."""
    unknown = b"\x41" + b"x" * 8 + b"\x4d" + b"x" * 4 + b"\x52\x02xx" + b"\x80\x01\x09"
    datum = decode(unknown + b"\x28\x07" + unknown + b"\x38\x01")
    assert (datum.label, datum.encoded) == (7, True)


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (b"\x08", "cut off"),
        (b"\x08\x80", "cut off"),
        (b"\x22\x05abc", "field 4 of 5 bytes goes beyond its end"),
        (b"\x22\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "goes beyond its end"),
        (b"\x35\x00\x00", "cut off"),
        (b"\x32\x03abc", "float_data of 3 bytes are no floats"),
        (b"\x28" + b"\xff" * 11, "more than 10 bytes"),
        (b"\x0b\x0c", "wire type 3"),
        (b"\x00\x01", "field 0"),
        (b"\xb5\x00\x00\x00\x00\x00", "a tag of more bytes than it needs"),
    ],
)
def test_damage_is_named(octets: bytes, says: str) -> None:
    """A ValueError says what is wrong."""
    assert says in refusal(octets)


@pytest.mark.parametrize("shape", [(2, 3, 4), (0, 0, 0), (-1, -1, 1)])
def test_pixels_that_are_no_image(shape: tuple[int, int, int]) -> None:
    """Too few or too many for the shape that it says, or a shape that is none."""
    channels, height, width = shape
    datum = decode(
        DATUM(
            channels=channels, height=height, width=width, data=b"x"
        ).SerializeToString()
    )
    with pytest.raises(ValueError, match="1 pixels, but its shape is"):
        datum.pixels()


def test_a_compressed_image_has_no_pixels() -> None:
    """They are in a file in its data."""
    with pytest.raises(ValueError, match="compressed"):
        decode(DATUM(data=b"x", encoded=True).SerializeToString()).pixels()


@given(st.binary(max_size=60), st.integers(0, 5), st.data())
def test_no_bytes_raise_anything_else(
    noise: bytes, which: int, data: st.DataObject
) -> None:
    """Noise, and sound messages with bytes changed: a Datum or a ValueError."""
    dtype = data.draw(st.sampled_from(["uint8", "float32"]))
    changed = bytearray(encode(images(dtype), np.array(LABELS))[which])
    at = data.draw(st.integers(0, len(changed)))
    changed[at : at + data.draw(st.integers(0, 4))] = noise[:4]
    for octets in (noise, bytes(changed)):
        with suppress(ValueError):
            decode(octets).pixels()


@given(st.binary(max_size=40))
def test_what_protobuf_reads_is_read_alike(octets: bytes) -> None:
    """Where both take the bytes for a Datum they agree on its fields."""
    from google.protobuf.message import DecodeError

    try:
        ours = decode(octets)
        theirs = DATUM.FromString(octets)
    except (ValueError, DecodeError):
        return
    assert ours.shape == (theirs.channels, theirs.height, theirs.width)
    assert (ours.label, ours.encoded) == (theirs.label, theirs.encoded)
    assert bytes(ours.data) == theirs.data
    floats = np.array(theirs.float_data, np.float32)
    assert np.array_equal(ours.float_data, floats, equal_nan=True)
