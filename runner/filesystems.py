"""Which kind of file system holds a path: a disk of this node, or one that others share.

The kinds are the words of proc(5), /proc/self/mountinfo. Where there is no such file, nothing
is known, and nothing counts as shared.
"""

import re
from contextlib import suppress
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

_SHARED = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "coda", "ceph"),
        *("lustre", "gpfs", "beegfs", "panfs", "pvfs2", "orangefs", "wekafs", "dvs"),
        *("ocfs2", "gfs2", "glusterfs", "fhgfs", "daos"),
        # Folders of a host that its virtual machines and containers see.
        *("9p", "virtiofs", "vboxsf", "vmhgfs", "prl_fs"),
    )
)
_LOCAL_FUSE = frozenset(
    ("fuse.fuse-overlayfs", "fuse.overlayfs", "fuse.lxcfs", "fuse.bindfs")
)
"""What is a FUSE file system, but only shows a local one. All others may be far away."""


def is_shared(path: Path, mounts: Path = MOUNTS) -> bool:
    """Whether other nodes may have this file system too: NFS, Lustre, GPFS and the like."""
    name = kind(path, mounts)
    fuse = name == "fuse" or name.startswith("fuse.")
    return name in _SHARED or (fuse and name not in _LOCAL_FUSE)


def kind(path: Path, mounts: Path = MOUNTS) -> str:
    """The file system's type, as in "ext4" or "nfs4"; "" where it cannot be known.

    ``path`` need not exist: its file system is that of what there is above it.
    """
    resolved = path.resolve()
    with suppress(OSError):
        resolved.stat()  # an automounter mounts what is looked at
    best, found = -1, ""
    try:
        # A mount point is any bytes: one that is no UTF-8 must not hide the others.
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    for line in lines.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(_unescaped(before.split(" ")[4]))
        # Of two mounts on one point the later one hides the earlier one.
        if resolved.is_relative_to(point) and len(point.parts) >= best:
            best, found = len(point.parts), after.split(" ")[0]
    return found


def same_file_system(one: Path, other: Path) -> bool:
    """Whether two paths lie on one file system; both must exist, else OSError."""
    return one.stat().st_dev == other.stat().st_dev


def _unescaped(text: str) -> str:
    """A path of mountinfo, where a space stands as its octal code, backslash 040."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text)
