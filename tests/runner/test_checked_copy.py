"""Files copied and read back."""

import os
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import pytest

from ribosome.runner import checked_copy
from ribosome.runner.checked_copy import Damaged, copy_checked

CONTENT = os.urandom(1000)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of a few blocks."""
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    os.utime(path, ns=(10**18, 10**18 + 1))
    return path


def test_a_copy_is_what_its_source_was(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes, times and checksum agree, and every block is told of, twice."""
    monkeypatch.setattr(checked_copy, "_BLOCK", 300)
    calls: list[None] = []
    copy = tmp_path / "copy"
    found = copy_checked(source, copy, advance=lambda: calls.append(None))
    assert copy.read_bytes() == CONTENT
    assert found == blake2b(CONTENT).hexdigest()
    assert copy.stat().st_mtime_ns == 10**18 + 1
    assert len(calls) == 2 * 4


def test_a_large_copy_reaches_the_disk_in_parts(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk never has more to do at once than a part, and each is told of."""
    monkeypatch.setattr(checked_copy, "_BLOCK", 100)
    monkeypatch.setattr(checked_copy, "_SYNCED", 300)
    copy = tmp_path / "copy"
    events: list[int | str] = []

    def synchronise(file: int) -> None:
        events.append(os.fstat(file).st_size)

    monkeypatch.setattr(os, "fsync", synchronise)
    copy_checked(source, copy, advance=lambda: events.append("told"))
    assert [event for event in events if event != "told"] == [300, 600, 900, 1000]
    assert all(
        events[at + 1] == "told" for at, event in enumerate(events) if event != "told"
    )


def test_a_copy_that_the_disk_spoils_is_damaged(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read back is compared with what was read from the source."""
    copy = tmp_path / "copy"
    read_back = checked_copy.checksum

    def spoil_first(path: Path, *, advance: Callable[[], object]) -> str:
        with path.open("r+b") as file:
            file.write(b"spoilt")
        return read_back(path, advance=advance)

    monkeypatch.setattr(checked_copy, "checksum", spoil_first)
    with pytest.raises(Damaged, match="differs from"):
        copy_checked(source, copy, advance=lambda: None)


def test_nothing_is_written_over(source: Path, tmp_path: Path) -> None:
    """A file that is there already is somebody's."""
    copy = tmp_path / "copy"
    copy.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        copy_checked(source, copy, advance=lambda: None)
    assert copy.read_bytes() == b"mine"
