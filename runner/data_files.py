"""The files of a data folder, told apart by name, size and time: a look, and no reading."""

from dataclasses import dataclass, field
from pathlib import Path

from ribosome.backends.data import FILES


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of a data folder as it was when it was looked at.

    A copy that was given its time is equal to it; ``ctime_ns`` tells the two apart.
    """

    name: str
    size: int
    mtime_ns: int
    ctime_ns: int = field(compare=False, repr=False)


def look(folder: Path) -> tuple[DataFile, ...]:
    """The files of a data folder as they are now. Raises OSError where one is missing."""
    found = []
    for name in FILES:
        held = (folder / name).stat()
        times = held.st_mtime_ns, held.st_ctime_ns
        found.append(DataFile(name, held.st_size, *times))
    return tuple(found)
