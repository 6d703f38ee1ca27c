"""What a failed trial leaves in its folder beside what we wrote: weights, dumps, anything.

Failures are kept to be read. What a trainer wrote beside its log is not for that, and where
it has filled the disk, every trial after it would fail as well.
"""

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from ribosome.backends.nofollow import remove


def clear(folder: Path, *, keep: Collection[str]) -> None:
    """Remove all from a folder but the files ``keep``, named as paths in the folder.

    A link is removed and not followed. What cannot be removed stays.
    """
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if entry.is_dir(follow_symlinks=False):
                inside = f"{entry.name}/"
                kept = [n.removeprefix(inside) for n in keep if n.startswith(inside)]
                if kept:
                    clear(Path(entry.path), keep=kept)
                    continue
            elif entry.name in keep and entry.is_file(follow_symlinks=False):
                continue
            remove(Path(entry.path))
