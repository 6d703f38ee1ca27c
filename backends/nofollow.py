"""Files in folders that others may have filled: no link in one leads a write elsewhere.

A run folder or a data folder can come from somebody else, with a link where we write: to a
file that would be cut short, or to a folder of which something would be removed. Only the
last part of a path is looked at: a folder that the user names may be a link itself.
"""

import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path


def open_file(path: Path, flags: int) -> int:
    """A descriptor of a regular file, made by the user's umask where ``flags`` say so.

    Raises OSError, for a link (ELOOP) and for anything else that is no file (EINVAL) too.
    """
    # Not blocking: to open a pipe would wait for its other end.
    safe = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags | safe, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    os.set_blocking(descriptor, True)
    return descriptor


def replace_text(path: Path, text: str) -> None:
    """Replace a file in one step, as UTF-8; a link there is replaced, not followed.

    Raises OSError.
    """
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(open_file(draft, flags), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def is_folder(path: Path) -> bool:
    """Whether a path is a folder and no link to one."""
    with suppress(OSError):
        return stat.S_ISDIR(path.lstat().st_mode)
    return False


def is_file(path: Path) -> bool:
    """Whether a path is a regular file and no link to one."""
    with suppress(OSError):
        return stat.S_ISREG(path.lstat().st_mode)
    return False


def make_folder(path: Path) -> None:
    """Make a folder that is empty: what is there in its place is removed first.

    Raises OSError, also where it would stand behind a link.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not is_folder(path.parent):
        raise OSError(errno.ELOOP, "Is a link", str(path.parent))
    remove(path)
    path.mkdir()


def remove(path: Path) -> None:
    """Remove a folder with what is in it, or a link or a file in its place.

    Nothing behind a link is touched, and nothing where ``path``'s own folder is one.
    What cannot be removed stays.
    """
    if not is_folder(path.parent):
        return
    if is_folder(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
