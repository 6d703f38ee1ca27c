"""A victim: a folder that is nobody's business, to be found as it was."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Ribosome = Callable[..., Result]


class Victim:
    """A folder with a file and a folder in it; `intact` says whether all is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "precious.txt"
        folder.mkdir()
        self.file.write_text("precious")
        (folder / "7").mkdir()
        (folder / "7" / "thesis.txt").write_text("the only copy")
        self.file.chmod(0o600)
        self._before = self._seen()

    @property
    def intact(self) -> bool:
        """Whether every file is there with what it held, and its mode."""
        return self._seen() == self._before

    def _seen(self) -> dict[str, tuple[int, bytes]]:
        return {
            str(path): (
                path.stat().st_mode,
                path.read_bytes() if path.is_file() else b"",
            )
            for path in sorted(self.folder.rglob("*"))
        }


@pytest.fixture
def victim(tmp_path: Path) -> Victim:
    """Somebody's folder outside the run folder."""
    return Victim(tmp_path / "victim")
