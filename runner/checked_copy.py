"""Copies a file and reads the copy back: what a node's trials read must be what was there."""

import os
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from ribosome.genome.errors import RunError

_BLOCK = 4 << 20
_SYNCED = 256 << 20
"""Bytes that are made to reach the device at once: so many take any disk seconds, all of a
large file minutes, in which nobody could be told that the copy goes on."""


class Damaged(RunError):
    """A copy that is not what was read."""


def copy_checked(source: Path, target: Path, *, advance: Callable[[], object]) -> str:
    """Copy a file to one that is not there yet; its checksum, BLAKE2b in hexadecimal.

    The checksum is taken of what is read and, by reading the copy back from the device,
    of what was written. ``advance`` is called for every block of either, at most `_SYNCED`
    bytes of the device's work after the last time. The copy has the times of its source.
    Raises Damaged if the two differ, OSError for either disk.
    """
    taken, waiting = blake2b(), 0
    with source.open("rb", buffering=0) as file, target.open("xb") as copy:
        for block in _blocks(file.fileno()):
            taken.update(block)
            copy.write(block)
            waiting += len(block)
            if waiting >= _SYNCED:
                _synchronise(copy)
                waiting = 0
            advance()
        _synchronise(copy)
        held = os.fstat(file.fileno())
        os.utime(copy.fileno(), ns=(held.st_atime_ns, held.st_mtime_ns))
    if checksum(target, advance=advance) != taken.hexdigest():
        raise Damaged(f"{target} differs from {source} after copying")
    return taken.hexdigest()


def checksum(path: Path, *, advance: Callable[[], object]) -> str:
    """The BLAKE2b of a file in hexadecimal, read from the device where that can be had."""
    found = blake2b()
    with path.open("rb", buffering=0) as file:
        # Without this the page cache would answer, which has never seen the disk.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for block in _blocks(file.fileno()):
            found.update(block)
            advance()
    return found.hexdigest()


def _synchronise(file: BinaryIO) -> None:
    """Have everything that was written reach the device."""
    file.flush()
    os.fsync(file.fileno())


def _blocks(file: int) -> Iterator[bytes]:
    while block := os.read(file, _BLOCK):
        yield block
