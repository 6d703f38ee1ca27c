"""Writes emitted files without losing anybody's work."""

from collections.abc import Mapping
from pathlib import Path

from ribosome.genome.errors import RibosomeError


def check_room(folder: Path, files: Mapping[str, str | bytes | None]) -> None:
    """Check that files by relative path can be written into a folder, which is made.

    A file that is there with another content stands in the way, and any that is there
    where the content is not known yet (None): raises RibosomeError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, held in files.items():
        path = folder / name
        if path.is_symlink():
            raise RibosomeError(
                f"{path}: is a link, which is not written through; remove it, or choose "
                "another folder"
            )
        if path.exists() and (held is None or path.read_bytes() != _bytes(held)):
            raise RibosomeError(
                f"{path}: exists{'' if held is None else ' and differs'}; move it away, "
                "or choose another folder"
            )


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> list[Path]:
    """Write files by relative path into a folder, which is made; returns the paths.

    Raises RibosomeError, before anything is written, as `check_room` does.
    """
    check_room(folder, files)
    paths = [folder / name for name in files]
    for path, held in zip(paths, files.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_bytes(held))
    return paths


def _bytes(held: str | bytes) -> bytes:
    return held.encode() if isinstance(held, str) else held
