"""Single precision, in which Caffe holds its numbers."""

import struct


def packed(value: float) -> bytes | None:
    """A number in single precision, 4 bytes; None where that cannot hold it."""
    try:
        return struct.pack("<f", value)
    except OverflowError:
        return None


def shortest(value: float) -> str | None:
    """The shortest decimal of the same number to Caffe; None beyond single precision."""
    single = packed(value)
    if single is None:
        return None
    # Nine digits tell every number of single precision from its neighbours.
    texts = (f"{value:.{digits}g}" for digits in range(1, 9))
    same = (text for text in texts if packed(float(text)) == single)
    return next(same, f"{value:.9g}")
