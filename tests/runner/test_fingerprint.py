"""The fingerprint of data: of what is in a folder, not of where it lies."""

from pathlib import Path

import pytest

from ribosome.backends.data import FILES
from ribosome.runner import fingerprint
from ribosome.runner.fingerprint import data_fingerprint


def folder(path: Path, *, size: int = 100) -> str:
    """A folder with all files of a data folder, each of that many different bytes."""
    path.mkdir()
    for name in FILES:
        (path / name).write_bytes(bytes(i % 251 for i in range(size)))
    return str(path)


def test_a_copy_has_the_same(tmp_path: Path) -> None:
    """Neither path nor times count."""
    one, two = folder(tmp_path / "one"), folder(tmp_path / "two")
    assert data_fingerprint(one) == data_fingerprint(two)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, 49, 99])
def test_every_byte_of_small_files_counts(
    tmp_path: Path, name: str, place: int
) -> None:
    """One changed byte of a file makes other data of it."""
    one = folder(tmp_path / "one")
    before = data_fingerprint(one)
    changed = bytearray((tmp_path / "one" / name).read_bytes())
    changed[place] ^= 1
    (tmp_path / "one" / name).write_bytes(changed)
    assert data_fingerprint(one) != before


def test_large_files_are_sampled_from_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not more than the samples is read, the first and the last bytes among them."""
    monkeypatch.setattr(fingerprint, "_SAMPLE_BYTES", 10)
    one = folder(tmp_path / "one", size=10_000)
    before, images = data_fingerprint(one), tmp_path / "one" / "train_images.npy"
    data = images.read_bytes()
    changes = {0: True, 9_999: True, 5_000: False}
    for place, counts in changes.items():
        images.write_bytes(data[:place] + b"\xff" + data[place + 1 :])
        assert (data_fingerprint(one) != before) == counts
    images.write_bytes(data + b"x")
    assert data_fingerprint(one) != before
