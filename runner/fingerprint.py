"""Which data a run is trained on, told without the path that they lie at."""

import hashlib
from pathlib import Path

from ribosome.backends.data import FILES

_SAMPLES = 16
_SAMPLE_BYTES = 1 << 18


def data_fingerprint(folder: str) -> str:
    """The same for every copy of a data folder, in hexadecimal.

    Made of ``data.json``, the sizes of the arrays, and samples of them from their beginning
    to their end: 16 MiB at most, because a run must not read terabytes before it begins.
    Raises OSError.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in FILES:
        path = Path(folder, name)
        size = path.stat().st_size
        digest.update(f"{name} {size}\n".encode())
        last = max(0, size - _SAMPLE_BYTES)
        with path.open("rb") as file:
            for start in sorted({last * i // (_SAMPLES - 1) for i in range(_SAMPLES)}):
                file.seek(start)
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()
