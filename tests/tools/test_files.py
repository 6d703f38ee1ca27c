"""Writing emitted files: never over somebody's work."""

from pathlib import Path

import pytest

from ribosome.genome.errors import RibosomeError
from ribosome.tools.files import write_files


def test_files_are_written_with_their_folders(tmp_path: Path) -> None:
    """Text and bytes, also below the folder."""
    written = write_files(tmp_path / "new", {"a.txt": "é\n", "b/c.bin": b"\0"})
    assert [path.read_bytes() for path in written] == ["é\n".encode(), b"\0"]


def test_the_same_content_is_no_conflict(tmp_path: Path) -> None:
    """Writing twice is allowed."""
    write_files(tmp_path, {"a": "x"})
    write_files(tmp_path, {"a": "x"})
    assert (tmp_path / "a").read_text() == "x"


def test_another_content_stops_everything(tmp_path: Path) -> None:
    """Nothing is written if one file differs."""
    (tmp_path / "b").write_text("mine")
    with pytest.raises(RibosomeError, match=r"b: exists and differs; move it away"):
        write_files(tmp_path, {"a": "x", "b": "y"})
    assert (tmp_path / "b").read_text() == "mine"
    assert not (tmp_path / "a").exists()
