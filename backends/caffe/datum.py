"""Datum, the message that Caffe's Data layer reads: one image and its label.

Written and read by hand, at the speed of slicing: one image is one message in a database
of millions. Field numbers are those of ``caffe.proto``: channels 1, height 2, width 3,
data 4 (uint8 pixels, or a compressed image), label 5, float_data 6, encoded 7. The wire
format: https://protobuf.dev/programming-guides/encoding/
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ribosome.backends.caffe.wire import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    Octets,
    read_varint,
    varint,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

DATA, FLOAT_DATA = 4, 6
FLOAT_TAG = FLOAT_DATA << 3 | FIXED32
FLOAT_FIELD = np.dtype([("tag", "u1"), ("value", "<f4")])


class Datum(NamedTuple):
    """One image as it stands in a database; a view of the message where it can be.

    ``data`` are the pixels in the order channels, height, width, or the file of a
    compressed image if ``encoded``. ``float_data`` holds the pixels if ``data`` is empty.
    """

    channels: int
    height: int
    width: int
    label: int
    data: Octets
    float_data: "NDArray[np.float32]"
    encoded: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width), as the message says; not so if it is encoded."""
        return (self.channels, self.height, self.width)

    def pixels(self) -> "NDArray[Any]":
        """The image, (channels, height, width), of uint8 or float32.

        Raises ValueError where it is encoded, or has not as many pixels as its shape.
        """
        if self.encoded:
            raise ValueError("a compressed image, not pixels")
        flat: NDArray[Any] = self.float_data
        if len(self.data):
            flat = np.frombuffer(self.data, np.uint8)
        channels, height, width = self.shape
        wanted = channels * height * width
        if min(self.shape) < 1 or len(flat) != wanted:
            raise ValueError(
                f"{len(flat)} pixels, but its shape is {channels}x{height}x{width}"
            )
        return flat.reshape(self.shape)


def encode(images: "NDArray[Any]", labels: "NDArray[np.int64]") -> list[bytes]:
    """The Datums of images (n, channels, height, width), uint8 or float32, and labels (n,).

    uint8 pixels become ``data``, others ``float_data``, one field for each pixel, as
    Caffe's own tools write them. Labels are those of a data folder: 0 or more.
    """
    count = len(images)
    _, channels, height, width = images.shape
    head = b"".join(
        bytes((field << 3 | VARINT,)) + varint(value)
        for field, value in ((1, channels), (2, height), (3, width))
    )
    label_of = {int(label): b"\x28" + varint(int(label)) for label in np.unique(labels)}
    if images.dtype == np.uint8:
        size = channels * height * width
        head += b"\x22" + varint(size)
        raw = images.tobytes()
        return [
            head + raw[start : start + size] + label_of[label]
            for start, label in zip(
                range(0, count * size, size), labels.tolist(), strict=True
            )
        ]
    fields = np.empty((count, channels * height * width), FLOAT_FIELD)
    fields["tag"] = FLOAT_TAG
    fields["value"] = images.reshape(count, -1)
    return [
        head + label_of[label] + row.tobytes()
        for row, label in zip(fields, labels.tolist(), strict=True)
    ]


def decode(message: Octets) -> Datum:
    """One Datum. Raises ValueError for bytes that are none, or a damaged one.

    Unknown fields are skipped; of a field that stands there twice the last one counts.
    """
    numbers = [0] * 8  # by field
    data: Octets = b""
    floats: list[NDArray[np.float32]] = []
    at, end = 0, len(message)
    while at < end:
        tag = message[at]
        at += 1
        if tag >= 0x80:
            tag, at = read_varint(message, at - 1)
        field, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value = message[at] if at < end else 0x80
            at += 1
            if value >= 0x80:
                value, at = read_varint(message, at - 1)
            if field < 8:
                numbers[field] = value
        elif wire == BYTES:
            size, at = read_varint(message, at)
            if size > end - at:
                raise ValueError(f"field {field} of {size} bytes goes beyond its end")
            if field == DATA:
                data = message[at : at + size]
            elif field == FLOAT_DATA:
                if size % 4:
                    raise ValueError(f"float_data of {size} bytes are no floats")
                floats.append(np.frombuffer(message[at : at + size], "<f4"))
            at += size
        elif tag == FLOAT_TAG:
            run = _floats(message, at - 1, end)
            floats.append(run)
            at += 5 * len(run) - 1
        elif wire in (FIXED32, FIXED64):
            at += 4 if wire == FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire} at byte {at} is none of a Datum's")
        if not field or at > end:
            raise ValueError("cut off" if field else f"field 0 at byte {at}")
    return Datum(
        _int32(numbers[1]),
        _int32(numbers[2]),
        _int32(numbers[3]),
        _int32(numbers[5]),
        data,
        (floats[0] if len(floats) == 1 else np.concatenate(floats))
        if floats
        else _NO_FLOATS,
        bool(numbers[7]),
    )


def _floats(message: Octets, at: int, end: int) -> "NDArray[np.float32]":
    """The floats of the fields from ``at`` on, as long as their tag is the same."""
    most = (end - at) // 5
    fields = np.frombuffer(message[at : at + 5 * most], FLOAT_FIELD)
    others = np.flatnonzero(fields["tag"] != FLOAT_TAG)
    values: NDArray[np.float32] = fields["value"]
    run = values[: others[0]] if len(others) else values
    if not len(run):
        raise ValueError("cut off, or a tag of more bytes than it needs")
    return run


def _int32(value: int) -> int:
    """What a varint means as an int32: its low 32 bits, signed."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


_NO_FLOATS = np.empty(0, np.float32)
