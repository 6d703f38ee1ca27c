"""`ribosome data convert --to lmdb | hdf5`, and back."""

from pathlib import Path

import numpy as np
import pytest

from ribosome.backends.data import find_data, open_arrays, read_info
from ribosome.tools.sources import read_source
from ribosome.tools.sources.source import Reading
from tests.tools.sources_kit import pixels


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """40 images of 3 x 4 in four classes, each image of one grey that is its number."""
    images = np.broadcast_to(np.arange(40)[:, None, None], (40, 3, 4))
    np.savez(tmp_path / "numbers.npz", x=images, y=np.arange(40) % 4)
    return tmp_path / "numbers.npz"


@pytest.mark.parametrize("layer", ["lmdb", "hdf5"])
def test_there_and_back(ribosome, tmp_path: Path, layer: str) -> None:
    """Images, labels, order, names, and what networks see are what they were."""
    there = tmp_path / "there"
    result = ribosome("data", "convert", "digits", "-o", there, "--to", layer)
    assert result.exit_code == 0, result.output
    ending = "train_lmdb" if layer == "lmdb" else "train.txt"
    assert f"train     {there / ending}" in result.stdout
    back = tmp_path / "back"
    ribosome("data", "convert", there, "-o", back, "--keep-order")
    digits = find_data("digits")
    wanted, held = open_arrays(digits), open_arrays(str(back))
    info = read_info(str(back))
    for images, original, labels, numbers in (
        (
            held.train_images,
            wanted.train_images,
            held.train_labels,
            wanted.train_labels,
        ),
        (held.val_images, wanted.val_images, held.val_labels, wanted.val_labels),
    ):
        assert np.array_equal(labels, numbers)
        assert np.array_equal(
            images.astype(np.float32) * np.float32(info.scale),
            original.astype(np.float32) * np.float32(0.0625),
        )
        assert images.dtype == (original.dtype if layer == "lmdb" else np.float32)
    assert info.class_names == read_info(digits).class_names
    assert (info.mean, info.scale) == ((), 0.0625 if layer == "lmdb" else 1.0)


def test_what_to_write_into_a_prototxt(ribosome, tmp_path: Path) -> None:
    """LMDB holds the pixels as they are; HDF5 what is made of them."""
    said = ribosome("data", "convert", "digits", "-o", tmp_path / "a", "--to", "lmdb")
    assert "transform_param { scale: 0.0625 }" in said.stdout
    said = ribosome("data", "convert", "digits", "-o", tmp_path / "b", "--to", "hdf5")
    assert "HDF5Data needs no transform_param" in said.stdout


def test_foreign_data_becomes_lmdb_at_once(
    ribosome, source: Path, tmp_path: Path
) -> None:
    """The same rows as by way of a data folder, of which nothing is left."""
    ribosome("data", "convert", source, "-o", tmp_path / "folder", "--seed", 3)
    options = ("--to", "lmdb", "--seed", 3)
    result = ribosome("data", "convert", source, "-o", tmp_path / "lmdb", *options)
    assert "numbers: 32 images to train and 8 to validate" in result.stdout
    arrays = open_arrays(str(tmp_path / "folder"))
    assert np.array_equal(
        pixels(read_source(tmp_path / "lmdb", Reading())), arrays.train_images
    )
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"folder", "lmdb", "numbers.npz"}


def test_order_is_kept_when_asked(ribosome, source: Path, tmp_path: Path) -> None:
    """Both parts of a split stand in the order of the source."""
    ribosome("data", "convert", source, "-o", tmp_path / "a", "--keep-order")
    arrays = open_arrays(str(tmp_path / "a"))
    for images in (arrays.train_images, arrays.val_images):
        numbers = images[:, 0, 0, 0].tolist()
        assert numbers == sorted(numbers)
    ribosome("data", "convert", source, "-o", tmp_path / "b")
    shuffled = open_arrays(str(tmp_path / "b")).val_images[:, 0, 0, 0].tolist()
    assert numbers == sorted(shuffled) != shuffled


@pytest.mark.parametrize("layer", ["lmdb", "hdf5"])
def test_info_of_what_caffe_reads(ribosome, tmp_path: Path, layer: str) -> None:
    """Format, shape, numbers of images, classes, and how to search on it."""
    ribosome("data", "convert", "digits", "-o", tmp_path / "x", "--to", layer)
    said = ribosome("data", "info", tmp_path / "x").stdout
    dtype = "uint8" if layer == "lmdb" else "float32"
    assert f"{layer.upper()} of 1x8x8 {dtype} images" in said
    assert "train     1,437 images" in said
    assert "val       360 images" in said
    assert "classes   10" in said


def test_a_data_folder_needs_no_conversion(ribosome, error_of, tmp_path: Path) -> None:
    """What can be done with it instead is said."""
    said = error_of(
        ribosome("data", "convert", find_data("digits"), "-o", tmp_path / "a")
    )
    assert "a data folder already" in said
    assert "--to lmdb" in said


@pytest.mark.parametrize(
    "option", [("--seed", 2), ("--keep-order",), ("--size", "8x8"), ("--name", "x")]
)
def test_options_that_would_change_a_data_folder(
    ribosome, tmp_path: Path, option: tuple[object, ...]
) -> None:
    """They are a usage error, not passed over."""
    result = ribosome(
        "data", "convert", "digits", "-o", tmp_path / "a", "--to", "lmdb", *option
    )
    assert result.exit_code == 2
    assert f"leave {option[0]} out" in result.stderr


def test_hdf5_is_not_written_where_caffe_cannot_read_it(
    ribosome, error_of, tmp_path: Path
) -> None:
    """A path with a space is refused at once."""
    out = tmp_path / "my data"
    said = error_of(ribosome("data", "convert", "digits", "-o", out, "--to", "hdf5"))
    assert "no path with a space in it" in said
    assert not out.exists()


@pytest.mark.parametrize("to", ["folder", "lmdb", "hdf5"])
def test_nothing_is_overwritten(ribosome, error_of, tmp_path: Path, to: str) -> None:
    """A folder that is not empty is left as it is."""
    (tmp_path / "mine.txt").write_text("x")
    said = error_of(ribosome("data", "convert", "digits", "-o", tmp_path, "--to", to))
    assert "exists and is not empty" in said


@pytest.mark.parametrize("layer", ["lmdb", "hdf5"])
def test_an_empty_folder_is_taken(ribosome, tmp_path: Path, layer: str) -> None:
    """Made beforehand by mkdir."""
    (tmp_path / "x").mkdir()
    result = ribosome("data", "convert", "digits", "-o", tmp_path / "x", "--to", layer)
    assert result.exit_code == 0, result.output
