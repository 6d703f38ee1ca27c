"""One copy of a data folder on a node, shared by every process that trains from it.

It is a folder of the user's own, `ribosome-<uid>-<fingerprint of the data>`, in the node's
storage. Who uses it holds a shared lock on the folder, and who ends looks whether it is
the last one, and removes it; an exclusive lock on a file in it says who copies. Both locks
are the kernel's: they end with their process, however it ends, so what a killed one leaves
is finished by the next one, or removed by the next run on that node.
"""

import fcntl
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from ribosome.backends.data import INFO_FILE
from ribosome.genome.errors import RunError
from ribosome.runner.checked_copy import Damaged, copy_checked
from ribosome.runner.data_files import DataFile, look

DATA = "data"
"""The copied data folder, in the folder of the copy."""

MARK = "copied.json"
COPYING = "copying"
FAILED = "failed"
_UNFINISHED = "unfinished"

STALLED_S = 120.0
"""A copying process that shows no progress for so long is not waited for."""

_LOOK_S = 0.05
_TELL_S = 1.0
_MARGIN = 1.05
_PRIVATE = 0o700


class NodeCopy:
    """The copy of the data folder ``source`` in ``room``, a folder of this node's storage.

    Raises RunError, and from every method too, for what stands in the way of a copy, and
    OSError for a file system that does.
    """

    def __init__(self, room: Path, source: Path) -> None:
        self._room = room
        self._source = source
        self._files = look(source)
        self._handle: int | None = None
        self._told = 0.0
        self._going: Callable[[], object] = lambda: None
        _check_room(room)
        self.folder = room / f"{_prefix()}{_fingerprint(source, self._files)}"

    @property
    def data(self) -> Path:
        """The copied data folder."""
        return self.folder / DATA

    @property
    def bytes(self) -> int:
        """The size of the data."""
        return sum(file.size for file in self._files)

    def use(self, *, going: Callable[[], object] = lambda: None) -> int:
        """Have the copy until `release`; the bytes that this process read from the source.

        Waits while another process copies. One that fails says so to those that wait: they
        do not try again, and raise what it raised. ``going`` is called for every block and
        at every look; what it raises ends this, and is no failure.
        """
        self._going = going
        self._hold()
        try:
            with self._alone() as lock:
                if self._is_complete():
                    return 0
                self._raise_failure()
                try:
                    self._make(lock)
                except (RunError, OSError) as error:
                    self._tell_failure(error)
                    raise
            return self.bytes
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give the copy back; the last process of the node that does so removes it."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        _remove_unused(self.folder, handle)

    def _hold(self) -> None:
        """Take the shared lock on a folder that nobody has removed in the meantime."""
        deadline = time.monotonic() + STALLED_S
        while time.monotonic() < deadline:
            with suppress(FileExistsError):
                self.folder.mkdir(mode=_PRIVATE)
            try:
                handle = _open_own(self.folder)
            except FileNotFoundError:
                continue  # its last user has just removed it
            try:
                if _try_lock(handle, fcntl.LOCK_EX):
                    # Nobody is here, so this is not news: a killed process left it.
                    (self.folder / FAILED).unlink(missing_ok=True)
                if _try_lock(handle, fcntl.LOCK_SH) and _is_at(handle, self.folder):
                    self._handle = handle
                    return
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)
            self._wait()
        raise RunError(f"{self.folder} is being removed, without an end")

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """One process at a time; gives up on one that makes no progress."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = os.open(self.folder / COPYING, flags, 0o600)
        try:
            seen, since = 0, time.monotonic()
            while not _try_lock(lock, fcntl.LOCK_EX):
                if (now := os.fstat(lock).st_mtime_ns) != seen:
                    seen, since = now, time.monotonic()
                elif time.monotonic() - since > STALLED_S:
                    raise RunError(
                        f"the process of this node that copies it to {self._room} "
                        "makes no progress"
                    )
                self._wait()
            yield lock
        finally:
            os.close(lock)

    def _is_complete(self) -> bool:
        """Whether the mark is there, says this source, and every file has its size."""
        try:
            mark = json.loads((self.folder / MARK).read_bytes())
            return mark["source"] == str(self._source) and all(
                (self.data / file.name).stat().st_size == file.size
                for file in self._files
            )
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _make(self, lock: int) -> None:
        remove_stale(self._room, keep=self.folder)
        unfinished = self.folder / _UNFINISHED
        for left in (unfinished, self.data):
            shutil.rmtree(left, ignore_errors=True)
        held = os.statvfs(self._room)
        need = int(_MARGIN * self.bytes)
        if held.f_bavail * held.f_frsize < need:
            raise RunError(f"{self._room} has no room for its {need / 1e6:,.1f} MB")
        sums = self._copy(unfinished, lock)
        if look(self._source) != self._files:
            raise RunError("it was changed while it was copied")
        unfinished.rename(self.data)
        mark = {"source": str(self._source), "bytes": self.bytes, "blake2b": sums}
        new = self.folder / f"{MARK}.new"
        new.write_text(json.dumps(mark, indent=1) + "\n", encoding="utf-8")
        new.rename(self.folder / MARK)

    def _copy(self, target: Path, lock: int) -> dict[str, str]:
        """Copy every file, a damaged one once more; their checksums by name."""
        target.mkdir()

        def copy(file: DataFile) -> str:
            return copy_checked(
                self._source / file.name,
                target / file.name,
                advance=lambda: self._tell_progress(lock),
            )

        sums = {}
        for file in self._files:
            try:
                sums[file.name] = copy(file)
            except Damaged:
                (target / file.name).unlink()
                sums[file.name] = copy(file)
        return sums

    def _wait(self) -> None:
        self._going()
        time.sleep(_LOOK_S)

    def _tell_progress(self, lock: int) -> None:
        self._going()
        if time.monotonic() - self._told > _TELL_S:
            self._told = time.monotonic()
            os.utime(lock)

    def _tell_failure(self, error: Exception) -> None:
        with suppress(OSError):
            shutil.rmtree(self.folder / _UNFINISHED, ignore_errors=True)
            (self.folder / FAILED).write_text(reason(error), encoding="utf-8")

    def _raise_failure(self) -> None:
        try:
            said = (self.folder / FAILED).read_text(encoding="utf-8")
        except OSError:
            return
        raise RunError(said)


def reason(error: Exception) -> str:
    """What stands in the way of a copy, in one line."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return str(error)


def remove_stale(room: Path, *, keep: Path | None = None) -> None:
    """Remove what processes of this user that were killed have left in a node's storage."""
    for folder in room.glob(f"{_prefix()}*"):
        if folder != keep:
            with suppress(OSError, RunError):
                _remove_unused(folder, _open_own(folder))


def _prefix() -> str:
    return f"ribosome-{os.geteuid()}-"


def _fingerprint(source: Path, files: tuple[DataFile, ...]) -> str:
    """Another one once the data is changed."""
    state = blake2b(repr((str(source), files)).encode(), digest_size=8)
    state.update((source / INFO_FILE).read_bytes())
    return state.hexdigest()


def _check_room(room: Path) -> None:
    """Nobody can put another folder in the place of ours, once it is there."""
    held = room.stat()
    if not stat.S_ISDIR(held.st_mode):
        raise RunError(f"{room} is no folder")
    if not os.access(room, os.W_OK | os.X_OK):
        raise RunError(f"{room} is not writable")
    if held.st_mode & stat.S_IWOTH and not held.st_mode & stat.S_ISVTX:
        raise RunError(f"{room} is writable by everybody and has no sticky bit")


def _open_own(folder: Path) -> int:
    """Open a folder that only this user can write to, and no link to one."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(folder, flags)
    except FileNotFoundError:
        raise
    except OSError as error:  # a link, a file
        raise RunError(f"{folder} is not a folder of ours: {error.strerror}") from None
    held = os.fstat(handle)
    if held.st_uid != os.geteuid() or held.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        os.close(handle)
        raise RunError(f"{folder} belongs to somebody else, or others can write to it")
    return handle


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(handle: int, folder: Path) -> bool:
    """Whether the path still leads to the opened folder."""
    try:
        return os.path.samestat(os.fstat(handle), folder.lstat())
    except FileNotFoundError:
        return False


def _remove_unused(folder: Path, handle: int) -> None:
    """Remove a folder unless somebody uses it; closes the handle."""
    try:
        if _try_lock(handle, fcntl.LOCK_EX) and _is_at(handle, folder):
            # Without its mark, what is half removed is no copy.
            (folder / MARK).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        pass  # what remains is removed by the next run
    finally:
        os.close(handle)
