"""Which file system a path lies on, by tables of mounts like those of real machines."""

from pathlib import Path

import pytest

from ribosome.runner.filesystems import is_shared, kind, same_file_system

# Optional fields before the dash, a space in a mount point, one mount above another.
TABLE = r"""
22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
23 22 0:41 / /mnt rw - tmpfs tmpfs rw
24 23 0:42 / /mnt/gpfs/alpine rw shared:7 master:2 - gpfs alpine rw
25 24 259:1 / /mnt/gpfs/alpine/nvme rw - xfs /dev/nvme0n1 rw
26 22 0:43 / /mnt/a\040b rw - nfs4 server:/a rw
27 22 0:44 / /mnt/twice rw - nfs server:/b rw
28 27 0:45 / /mnt/twice rw - ext4 /dev/sda1 rw
29 22 0:46 / /mnt/ssh rw - fuse.sshfs me@host: rw
30 22 0:47 / /mnt/ntfs rw - fuseblk /dev/sdb1 rw
31 22 0:48 / /mnt/rootless rw - fuse.fuse-overlayfs overlay rw
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A file with those mounts."""
    path = tmp_path / "mountinfo"
    path.write_text(TABLE.lstrip())
    return path


@pytest.mark.parametrize(
    ("path", "name", "shared"),
    [
        ("/nowhere/data", "ext4", False),
        ("/mnt", "tmpfs", False),
        ("/mnt/gpfs/alpine/me/data", "gpfs", True),
        ("/mnt/gpfs/alpines/me", "tmpfs", False),
        ("/mnt/gpfs/alpine/nvme/data", "xfs", False),
        ("/mnt/a b/data", "nfs4", True),
        ("/mnt/twice/data", "ext4", False),
        ("/mnt/ssh/data", "fuse.sshfs", True),
        ("/mnt/ntfs", "fuseblk", False),
        ("/mnt/rootless", "fuse.fuse-overlayfs", False),
    ],
)
def test_the_nearest_mount_above_a_path_decides(
    table: Path, path: str, name: str, shared: bool
) -> None:
    """The longest mount point counts, of equal ones the last; a path need not exist."""
    assert kind(Path(path), table) == name
    assert is_shared(Path(path), table) is shared


def test_a_link_leads_to_where_it_points(table: Path, tmp_path: Path) -> None:
    """A data folder that is a link lies where the data is."""
    link = tmp_path / "data"
    link.symlink_to("/mnt/gpfs/alpine/data")
    assert kind(link, table) == "gpfs"


def test_without_a_table_nothing_is_shared(tmp_path: Path) -> None:
    """A system without /proc is taken for one with local disks."""
    assert kind(tmp_path, tmp_path / "none") == ""
    assert not is_shared(tmp_path, tmp_path / "none")


def test_proc_is_what_this_machine_says_it_is() -> None:
    """The real table is read as it is."""
    assert kind(Path("/proc/self/status")) == "proc"
    assert not same_file_system(Path("/proc"), Path("/"))
