"""HDF5 as a source: Caffe's data and label, and other names."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from ribosome.genome.errors import DataError
from ribosome.tools.sources import detect, read_source
from ribosome.tools.sources.source import Reading, Source
from tests.tools.sources_kit import pixels

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 1, 4, 5))
LABELS = np.array([0, 1, 2, 0, 1, 2])


def read(path: Path, **reading: object) -> Source:
    """Read a source."""
    return read_source(path, Reading(**reading))


def refusal(path: Path, **reading: object) -> str:
    """The one line that a source is refused with."""
    with pytest.raises(DataError) as caught:
        pixels(read(path, **reading))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(path: Path, **arrays: object) -> Path:
    """Write datasets; as data and label unless named."""
    with h5py.File(path, "w") as file:
        for name, array in (arrays or {"data": IMAGES, "label": LABELS}).items():
            file[name] = array
    return path


@pytest.mark.parametrize(
    ("x", "y"), [("data", "label"), ("images", "labels"), ("x", "y"), ("X", "target")]
)
def test_every_pair_of_names(tmp_path: Path, x: str, y: str) -> None:
    """Whole numbers up to 255 are bytes; labels may be floats, as Caffe has them."""
    path = write(tmp_path / "a.h5", **{x: IMAGES, y: LABELS.astype(np.float32)})
    source = read(path)
    assert source.train.images.dtype == np.uint8
    assert np.array_equal(source.train.images.read([5, 1, 5]), IMAGES[[5, 1, 5]])
    assert source.train.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("images", "dtype"),
    [
        (IMAGES > 9, "uint8"),
        (IMAGES.astype(np.float64), "float32"),
        (IMAGES - 1, "float32"),
        (IMAGES + 200, "float32"),
        (IMAGES.astype(np.float16), "float32"),
    ],
)
def test_the_type_of_the_pixels(tmp_path: Path, images: np.ndarray, dtype: str) -> None:
    """uint8 where every value allows it, in integers; else float32."""
    source = read(write(tmp_path / "a.h5", data=images, label=LABELS))
    held = pixels(source)
    assert held.dtype == source.train.images.dtype == dtype
    assert np.array_equal(held, images)


def test_packed_chunks(tmp_path: Path) -> None:
    """Compressed, in chunks that end nowhere near a block."""
    images = np.arange(1000 * 6, dtype=np.float32).reshape(1000, 1, 2, 3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=images, chunks=(7, 1, 2, 2), compression=4)
        file["label"] = np.arange(1000) % 2
    rows = np.random.default_rng(0).permutation(1000).tolist()
    held = read(tmp_path / "a.h5").train.images.read(rows)
    assert np.array_equal(held, images[rows])


def test_channels_last_and_flat(tmp_path: Path) -> None:
    """As for other arrays; Caffe's own names mean channels first where both would do."""
    images = np.arange(6 * 30).reshape(6, 1, 6, 5)
    for name, array, reading in (
        ("a", images.transpose(0, 2, 3, 1), {}),
        ("b", images.reshape(6, 30), {"size": (6, 5)}),
        ("c", images[:, 0], {}),
    ):
        path = write(tmp_path / f"{name}.h5", x=array, y=LABELS)
        assert np.array_equal(pixels(read(path, **reading)), images)
    both = IMAGES.reshape(6, 1, 5, 4)
    caffe = write(tmp_path / "d.h5", data=both, label=LABELS)
    assert np.array_equal(pixels(read(caffe)), both)
    assert "which axis has the channels?" in refusal(
        write(tmp_path / "e.h5", x=both, y=LABELS)
    )
    assert "6 flat images of 20 pixels" in refusal(
        write(tmp_path / "f.h5", x=IMAGES.reshape(6, 20), y=LABELS)
    )


def test_labels_that_are_names(tmp_path: Path) -> None:
    """They become class numbers in the order of the alphabet."""
    source = read(write(tmp_path / "a.h5", x=IMAGES, y=["b", "a", "c", "b", "a", "c"]))
    assert source.class_names == ("a", "b", "c")
    assert source.train.labels.tolist() == [1, 0, 2, 1, 0, 2]


def test_both_parts_in_one_file(tmp_path: Path) -> None:
    """x_train, y_train, x_test, y_test."""
    source = read(
        write(
            tmp_path / "a.h5",
            x_train=IMAGES,
            y_train=LABELS,
            x_test=IMAGES[:2],
            y_test=LABELS[:2],
        )
    )
    assert source.val is not None
    assert np.array_equal(pixels(source, "val"), IMAGES[:2])


def test_a_pair_of_files(tmp_path: Path) -> None:
    """train.h5 beside test.h5; their folder says the same."""
    train = write(tmp_path / "train.h5")
    write(tmp_path / "test.h5", data=IMAGES[:2], label=LABELS[:2])
    for path in (train, tmp_path):
        source = read(path)
        assert source.val is not None
        assert (len(source.train.labels), len(source.val.labels)) == (6, 2)


@pytest.mark.parametrize("form", ["absolute", "relative", "moved"])
def test_a_list_of_files(tmp_path: Path, form: str) -> None:
    """In its order; the files may have moved with their list."""
    for name, rows in (("b", slice(0, 4)), ("a", slice(4, 6))):
        write(tmp_path / f"{name}.h5", data=IMAGES[rows], label=LABELS[rows])
    prefix = {"absolute": f"{tmp_path}/", "relative": "", "moved": "/gone/"}[form]
    listed = tmp_path / "my_train.txt"
    listed.write_text(f"{prefix}b.h5\n{prefix}a.h5\n")
    for path in (listed, tmp_path):
        source = read(path)
        assert source.train.labels.tolist() == LABELS.tolist()
        assert np.array_equal(
            source.train.images.read([5, 0, 3, 4]), IMAGES[[5, 0, 3, 4]]
        )


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"pictures": IMAGES}, "holds pictures; name the images x, images, data"),
        ({"data": IMAGES, "label": LABELS[:3]}, "6 images but 3 labels"),
        ({"data": IMAGES, "label": LABELS + 0.5}, "label 0.5 of image 0"),
        ({"data": IMAGES, "label": np.zeros((6, 2))}, "labels of shape (6, 2)"),
        ({"data": IMAGES[:0], "label": LABELS[:0]}, "no images"),
        ({"data": np.float32(3), "label": LABELS}, "no images"),
        ({"data": ["a"] * 6, "label": LABELS}, "they must be numbers"),
        ({"data": np.zeros((6, 1, 1, 2, 2)), "label": LABELS}, "images of shape (6,"),
    ],
)
def test_arrays_that_are_no_images(tmp_path: Path, arrays: dict, says: str) -> None:
    """Each is one line that names the file."""
    said = refusal(write(tmp_path / "a.h5", **arrays))
    assert says in said
    assert str(tmp_path / "a.h5") in said


def test_a_file_that_is_damaged(tmp_path: Path) -> None:
    """Cut off, or no HDF5 at all."""
    path = write(tmp_path / "a.h5")
    path.write_bytes(path.read_bytes()[:-100])
    assert "a.h5: not an HDF5 file that can be read (" in refusal(path)
    path.write_text("no HDF5")
    assert "a.h5: not an HDF5 file that can be read (" in refusal(path)


def test_a_list_that_lists_what_is_not_there(tmp_path: Path) -> None:
    """The file is named, and the list."""
    path = tmp_path / "a.txt"
    path.write_text("gone.h5\n")
    assert f"{path}: lists gone.h5, which is not there" in refusal(path)


def test_files_of_different_shapes(tmp_path: Path) -> None:
    """One list is one set of images."""
    write(tmp_path / "a.h5")
    write(tmp_path / "b.h5", data=IMAGES[:, :, :3], label=LABELS)
    path = tmp_path / "list.txt"
    path.write_text("a.h5 b.h5")
    assert "images of (1, 4, 5) in one file and of (1, 3, 5) in another" in refusal(
        path
    )


def test_by_its_first_bytes_or_its_name(tmp_path: Path) -> None:
    """A file without a suffix is found; a text that lists no HDF5 is none."""
    assert detect(write(tmp_path / "data")) == "hdf5"
    (tmp_path / "notes.txt").write_text("hello")
    assert detect(tmp_path / "notes.txt") == ""
