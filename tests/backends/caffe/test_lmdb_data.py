"""LMDB as it is written: keys, order, room."""

from pathlib import Path

import lmdb
import numpy as np
import pytest

from ribosome.backends.caffe.datum import decode
from ribosome.backends.caffe.lmdb_data import write_lmdb


def records(folder: Path) -> list[tuple[bytes, bytes]]:
    """All of a database, in the order of its keys."""
    with (
        lmdb.open(str(folder), readonly=True, lock=False) as environment,
        environment.begin() as transaction,
    ):
        return list(transaction.cursor())


@pytest.mark.parametrize("block", [1 << 24, 30])
def test_rows_stand_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    """Under keys of eight digits, in one transaction or in many."""
    monkeypatch.setattr("ribosome.backends.caffe.lmdb_data.BLOCK_BYTES", block)
    images = np.random.default_rng(0).integers(0, 256, (25, 1, 3, 4)).astype(np.uint8)
    labels = np.arange(25) * 7 % 5
    told: list[int] = []
    write_lmdb(tmp_path / "x", images, labels, advance=told.append)
    held = records(tmp_path / "x")
    assert [key for key, _ in held] == [f"{row:08d}".encode() for row in range(25)]
    datums = [decode(value) for _, value in held]
    assert np.array_equal([datum.pixels() for datum in datums], images)
    assert [datum.label for datum in datums] == labels.tolist()
    assert sum(told) == 25
    assert len(told) == (1 if block > 1000 else 13)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(
    "size", [1, 13, 50, 64, 200, 390, 784, 1000, 1950, 2000, 2030, 4000, 4100, 9000]
)
def test_there_is_room_for_images_of_every_size(
    tmp_path: Path, dtype: str, size: int
) -> None:
    """Around the sizes where a record takes a page, or pages, of its own."""
    count = min(20_000, max(30, 1_500_000 // size))
    images = np.zeros((count, 1, 1, size), dtype)
    write_lmdb(tmp_path / "x", images, np.zeros(count, np.int64))
    assert len(records(tmp_path / "x")) == count


def test_a_database_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LMDB's own errors are those of the disk."""
    monkeypatch.setattr("ribosome.backends.caffe.lmdb_data._map_size", lambda *_: 8192)
    images = np.zeros((100, 1, 40, 40), np.uint8)
    with pytest.raises(OSError, match="LMDB cannot be written") as caught:
        write_lmdb(tmp_path / "x", images, np.zeros(100, np.int64))
    assert caught.value.filename == str(tmp_path / "x")
