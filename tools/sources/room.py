"""Room for what a packed file holds: a small one may unpack to any size."""

import os
from pathlib import Path

from ribosome.genome.errors import DataError


def check_room(path: Path, octets: int) -> None:
    """Raises DataError for a file that would fill more than half of the memory."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if octets > memory // 2:
        raise DataError(
            f"{path}: holds {octets / 1e9:,.1f} GB unpacked, and this machine has "
            f"{memory / 1e9:,.1f} GB of memory; make smaller files of it, or HDF5"
        )
