"""Writes emitted files without losing anybody's work."""

from collections.abc import Mapping
from pathlib import Path

from ribosome.genome.errors import RibosomeError


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> list[Path]:
    """Write files by relative path into a folder, which is made; returns the paths.

    A file that is there with another content stops all of it, before anything is
    written: raises RibosomeError.
    """
    paths = {
        folder / name: held.encode() if isinstance(held, str) else held
        for name, held in files.items()
    }
    for path, held in paths.items():
        if path.exists() and path.read_bytes() != held:
            raise RibosomeError(
                f"{path}: exists and differs; move it away, or choose another folder"
            )
    for path, held in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(held)
    return list(paths)
