"""The lock of a run folder: one holder, who is named, and none after a kill."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ribosome.genome.errors import RunError
from ribosome.runner.lock import FolderLock

HOLDER = (
    "import signal, sys; from pathlib import Path\n"
    "from ribosome.runner.lock import FolderLock\n"
    "lock = FolderLock(Path(sys.argv[1])); print('held', flush=True); signal.pause()\n"
)


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    """While it lives it is named by its pid; after SIGKILL the folder is free at once."""
    command = [sys.executable, "-P", "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=rf"host \S+, pid {holder.pid}, since "):
            FolderLock(tmp_path)
        holder.send_signal(signal.SIGKILL)
    FolderLock(tmp_path).release()


def test_who_gave_it_back_is_not_named(tmp_path: Path) -> None:
    """A lock that is free names nobody, so that no error ever names a former holder."""
    FolderLock(tmp_path).release()
    assert (tmp_path / "lock").read_text() == ""


def test_a_lock_whose_file_was_removed_is_taken_anew(tmp_path: Path) -> None:
    """A look at it makes the file again, and others are kept out as before."""
    lock = FolderLock(tmp_path)
    (tmp_path / "lock").unlink()
    lock.check()
    with pytest.raises(RunError, match=f"another search.*pid {os.getpid()}"):
        FolderLock(tmp_path)
    lock.release()


def test_who_takes_a_removed_lock_first_has_the_folder(tmp_path: Path) -> None:
    """The former holder is told of the new one."""
    former = FolderLock(tmp_path)
    (tmp_path / "lock").unlink()
    holder = FolderLock(tmp_path)
    with pytest.raises(RunError, match="another search is writing here"):
        former.check()
    holder.release()
    former.release()


def test_a_look_at_the_file_does_not_free_it(tmp_path: Path) -> None:
    """The lock is the open file's: a process that opens and closes it again keeps it."""
    lock = FolderLock(tmp_path)
    (tmp_path / "lock").read_text()
    with pytest.raises(RunError, match="another search"):
        FolderLock(tmp_path)
    lock.release()


def test_the_lock_is_one_that_network_file_systems_pass_on(tmp_path: Path) -> None:
    """It is a lock of bytes (POSIX), as other nodes see it, and not of flock(2)."""
    lock = FolderLock(tmp_path)
    inode = (tmp_path / "lock").stat().st_ino
    kinds = [
        line.split()[1]
        for line in Path("/proc/locks").read_text().splitlines()
        if f":{inode} " in line
    ]
    assert kinds == ["OFDLCK"]
    lock.release()


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Lustre without -o flock: an error says what to do, and no file stays open."""

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    before = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with pytest.raises(RunError, match=r"cannot lock files .*-o flock"):
        FolderLock(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
