"""A copy of a journal as it is at one moment, for a reader that may not put it right."""

import shutil
from contextlib import suppress
from pathlib import Path

from ribosome.genome.errors import RunError

_BESIDE = ("", "-wal", "-journal")
"""What belongs to the file, by the end of its name. The shared memory is made anew."""

_COPIES = 5


def copy_journal(path: Path, folder: Path) -> None:
    """Copy a journal as it is at one moment. Raises RunError."""
    files = [path.with_name(path.name + end) for end in _BESIDE]
    try:
        for _ in range(_COPIES):
            before = [_version(file) for file in files]
            for file in files:
                copy = folder / file.name
                copy.unlink(missing_ok=True)
                with suppress(FileNotFoundError):
                    shutil.copyfile(file, copy)
            if [_version(file) for file in files] == before:
                return
    except OSError as error:
        raise RunError(
            f"{path}: cannot be read: copying it to {folder} failed "
            f"({error.strerror}); make room there, or check that you may read it"
        ) from None
    raise RunError(
        f"{path}: cannot be read by you while a search writes to it; try again when it "
        "has ended, or get the right to write to its folder"
    )


def _version(file: Path) -> tuple[int, int, int] | None:
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
