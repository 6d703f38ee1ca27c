"""One master per run folder, held by a lock that the kernel drops with the process."""

import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path

from ribosome.genome.errors import RunError

LOCK = "lock"


class FolderLock:
    """Holds a run folder for this process, until `release` or the process's end.

    Raises RunError, with host and pid of the holder, if another master has the folder.
    A killed holder leaves no lock behind: it is the kernel's, not the file's.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RunError(
                f"{path}: cannot be opened: {error.strerror}; a search must be able to "
                "write to its folder"
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 1000, 0).decode(errors="replace").strip()
            os.close(self._file)
            raise RunError(
                f"{folder}: another search is writing here ({holder or 'just started'}); "
                "wait for it, stop it, or take another folder"
            ) from None
        except OSError as error:
            os.close(self._file)
            raise RunError(
                f"{folder}: this file system cannot lock files ({error.strerror}); "
                "take a folder on another one"
            ) from None
        holder = f"host {socket.gethostname()}, pid {os.getpid()}\n"
        with suppress(OSError):  # a full disk: the journal will say so
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, holder.encode(), 0)

    def release(self) -> None:
        """Let another master have the folder."""
        os.close(self._file)
