"""One master per run folder, held by a lock that the kernel drops with the process.

A lock on a range of bytes, of an open file (fcntl(2), "open file description locks"): the one
kind that NFS, Lustre and GPFS pass on to all of their nodes as it is. SQLite's own locks are
of ranges as well, so that where this one cannot be had, the journal could not be kept either:
hence an error, and no lock file instead, which a killed master would leave behind.
"""

import fcntl
import os
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path

from ribosome.backends.nofollow import open_file
from ribosome.genome.errors import RunError
from ribosome.genome.harmless import harmless

LOCK = "lock"

# struct flock: l_type, l_whence, l_start, l_len (0: to the end), l_pid (0, as it must be).
_WHOLE_FILE = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


class FolderLock:
    """Holds a run folder for this process, until `release` or the process's end.

    Raises RunError, with host, pid and time of the holder, if another master has the folder.
    A killed holder leaves no lock behind: it is the kernel's, not the file's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = _taken(folder)

    def check(self) -> None:
        """Lock the folder anew if somebody has removed the file: users do, to be rid of it.

        Raises RunError if another master was faster.
        """
        with suppress(OSError):
            there = (self._folder / LOCK).lstat()
            if os.path.samestat(os.fstat(self._file), there):
                return
        taken = _taken(self._folder)
        os.close(self._file)
        self._file = taken

    def release(self) -> None:
        """Let another master have the folder."""
        with suppress(OSError):
            os.ftruncate(self._file, 0)
        os.close(self._file)


def _taken(folder: Path) -> int:
    """The descriptor of a folder's lock file, locked. Raises RunError."""
    path = folder / LOCK
    try:
        file = open_file(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be opened: {error.strerror}; a search must be able to "
            "write to its folder"
        ) from None
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _WHOLE_FILE)
    except (BlockingIOError, PermissionError):  # fcntl(2) allows both
        holder = harmless(os.pread(file, 300, 0).decode(errors="replace"))
        os.close(file)
        raise RunError(
            f"{folder}: another search is writing here ({holder or 'just started'}); "
            "wait for it, stop it, or take another folder"
        ) from None
    except OSError as error:
        os.close(file)
        raise RunError(
            f"{folder}: this file system cannot lock files ({error.strerror}), and no "
            "journal is safe without; take a folder on another one, or have this one "
            "mounted with locks (Lustre: -o flock)"
        ) from None
    since = time.strftime("%Y-%m-%d %H:%M:%S %z")
    holder = f"host {socket.gethostname()}, pid {os.getpid()}, since {since}"
    with suppress(OSError):  # a full disk: the journal will say so
        os.ftruncate(file, 0)
        os.pwrite(file, holder.encode(), 0)
    return file
