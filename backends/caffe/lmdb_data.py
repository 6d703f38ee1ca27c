"""Writes an LMDB as Caffe's Data layer reads it: Datums under keys that count the images.

Caffe reads a database by its keys, from first to last and then from the first again: the
order of the rows. LMDB is Symas's memory-mapped database: http://www.lmdb.tech/doc/
"""

import math
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lmdb

from ribosome.backends.caffe.datum import encode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEY_DIGITS = 8
"""Digits of a key, as Caffe's own tools write them; more for more images than that."""

BLOCK_BYTES = 1 << 24
"""Pixels, about, that are written in one transaction: memory stays small."""

LARGEST_PAGE = 1 << 15
PAGE_HEADER, NODE_HEADER = 16, 8 + 2
DATUM_HEADER = 64
"""More than all that stands around the pixels of a Datum."""


def write_lmdb(
    folder: Path,
    images: "NDArray[Any]",
    labels: "NDArray[np.int64]",
    *,
    advance: Callable[[int], object] = lambda _: None,
) -> None:
    """Write images (n, channels, height, width), uint8 or float32, into a new LMDB.

    ``folder`` is made. ``labels`` (n,) are class numbers from 0. ``advance`` is told of
    every block of images written. Raises OSError.
    """
    folder.mkdir()
    digits = max(KEY_DIGITS, len(str(len(images) - 1)))
    block = max(1, BLOCK_BYTES // images[0].nbytes)
    blocks = math.ceil(len(images) / block)
    try:
        with lmdb.open(
            str(folder),
            map_size=_map_size(len(images), images[0], digits, blocks),
            mode=0o664,
            sync=False,  # once, at the end: a database that is half there is never used
            meminit=False,
            max_dbs=0,
        ) as environment:
            for first in range(0, len(images), block):
                messages = encode(
                    images[first : first + block], labels[first : first + block]
                )
                records = [
                    (b"%0*d" % (digits, row), message)
                    for row, message in enumerate(messages, start=first)
                ]
                with environment.begin(write=True) as transaction:
                    transaction.cursor().putmulti(records, append=True)
                advance(len(records))
            environment.sync(True)
    except lmdb.Error as error:
        raise OSError(None, f"LMDB cannot be written ({error})", str(folder)) from None


def _map_size(count: int, image: "NDArray[Any]", digits: int, blocks: int) -> int:
    """Bytes that the database cannot exceed: the size of its pages, and their number.

    The file takes only what is used of them, but all of them of an address space.
    """
    page = min(mmap.PAGESIZE, LARGEST_PAGE)
    width = image.nbytes if image.dtype.itemsize == 1 else image.size * 5
    record = NODE_HEADER + digits + DATUM_HEADER + width
    if record > page // 4:
        # In the worst case a page of its own for each record, and for its node another.
        pages = count * (2 + math.ceil((PAGE_HEADER + record) / page))
    else:
        pages = math.ceil(count / ((page - PAGE_HEADER) // record))
    # Each transaction writes the way from the root to its first page anew.
    inner = pages // 8 + 64 * (blocks + 4)
    return (pages + inner) * page
