"""HDF5 as it is written: values, files, their list."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from ribosome.backends.caffe.hdf5_data import write_hdf5

IMAGES = np.random.default_rng(0).integers(0, 256, (25, 2, 3, 4)).astype(np.uint8)
LABELS = np.arange(25) % 3


def write(folder: Path, images: np.ndarray = IMAGES, **options: object) -> list[Path]:
    """Write one part; the files of its list."""
    settings: dict = {"mean": (), "scale": 1.0, "final": folder, **options}
    write_hdf5(folder, "train", images, LABELS, **settings)
    return [Path(line) for line in (folder / "train.txt").read_text().splitlines()]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_values_are_what_a_network_sees(tmp_path: Path, dtype: str) -> None:
    """(pixel - mean) * scale in single precision, labels as floats."""
    images = IMAGES.astype(dtype) if dtype == "uint8" else IMAGES / np.float32(7)
    (file,) = write(tmp_path, images, mean=(3.3, 100.1), scale=0.0123)
    mean = np.float32([3.3, 100.1])[:, None, None]
    wanted = (images.astype(np.float32) - mean) * np.float32(0.0123)
    with h5py.File(file) as held:
        assert held["data"].dtype == held["label"].dtype == np.float32
        assert np.array_equal(held["data"][()], wanted)
        assert np.array_equal(held["label"][()], LABELS)


def test_large_data_is_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into files that sort in order, of at most so many bytes each."""
    monkeypatch.setattr("ribosome.backends.caffe.hdf5_data.FILE_BYTES", 2 * 4 * 25)
    monkeypatch.setattr("ribosome.backends.caffe.hdf5_data.BLOCK", 1)
    told: list[int] = []
    files = write(tmp_path, advance=told.append)
    assert len(files) == 13
    assert files == sorted(tmp_path.glob("*.h5"))
    read = []
    for file in files:
        with h5py.File(file) as held:
            assert held["data"].nbytes + held["label"].nbytes <= 200
            read += list(zip(held["data"][()], held["label"][()], strict=True))
    assert np.array_equal([image for image, _ in read], IMAGES)
    assert [label for _, label in read] == LABELS.tolist()
    assert told == [1] * 25


def test_the_list_names_where_the_files_will_be(tmp_path: Path) -> None:
    """The folder is renamed once it is whole."""
    assert write(tmp_path, final=Path("/over/there")) == [Path("/over/there/train.h5")]


def test_the_same_data_gives_the_same_bytes(tmp_path: Path) -> None:
    """No time of writing stands in a file."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name)
    a, b = ((tmp_path / name / "train.h5").read_bytes() for name in ("a", "b"))
    assert a == b
