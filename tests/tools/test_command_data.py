"""`ribosome data`: list, info, convert."""

import json
from pathlib import Path

import numpy as np
import pytest

from ribosome.backends.data import open_arrays
from ribosome.backends.data_check import check_data


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """40 images of 3 x 4 in four classes, each image of one grey that is its number."""
    images = np.broadcast_to(np.arange(40)[:, None, None], (40, 3, 4))
    np.savez(tmp_path / "numbers.npz", x=images, y=np.arange(40) % 4)
    return tmp_path / "numbers.npz"


def save(source: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    """Replace the source."""
    np.savez(source, x=images, y=labels)
    return source


def test_list_names_the_built_in_sets(ribosome) -> None:
    """Sizes and classes of each."""
    assert (
        "digits: 1,437 images to train and 360 to validate, 1x8x8, 10 classes"
        in ribosome("data", "list").stdout
    )


def test_info_of_the_digits(ribosome) -> None:
    """What networks see, and what guessing gives."""
    output = ribosome("data", "info", "digits").stdout
    assert "networks see pixel * 0.0625" in output
    assert "always guessing '1' is right in 10%" in output


def test_convert_makes_a_sound_folder(ribosome, source: Path, tmp_path: Path) -> None:
    """No image is lost, labels stay with their images, a fifth validates."""
    out = tmp_path / "out"
    result = ribosome("data", "convert", source, "-o", out)
    assert result.exit_code == 0, result.stderr
    assert f'data = "{out}"' in result.stdout
    check_data(str(out))
    arrays = open_arrays(str(out))
    train, val = arrays.train_images[:, 0, 0, 0], arrays.val_images[:, 0, 0, 0]
    assert sorted([*train, *val]) == list(range(40))
    assert np.array_equal(train % 4, arrays.train_labels)
    assert np.bincount(arrays.val_labels).tolist() == [2, 2, 2, 2]
    info = json.loads((out / "data.json").read_text())
    assert (info["name"], info["source"]) == ("numbers", "numbers.npz")


def test_convert_repeats_itself(ribosome, source: Path, tmp_path: Path) -> None:
    """The same seed gives the same bytes, another seed another order."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        ribosome("data", "convert", source, "-o", tmp_path / name, "--seed", seed)
    labels = [
        (tmp_path / name / "train_images.npy").read_bytes() for name in ("a", "b", "c")
    ]
    assert labels[0] == labels[1] != labels[2]


def test_convert_obeys_its_options(ribosome, source: Path, tmp_path: Path) -> None:
    """Name, share and format."""
    out = tmp_path / "out"
    options = ("--name", "mine", "--val-share", 0.5, "--format", "npz")
    result = ribosome("data", "convert", source, "-o", out, *options)
    assert "mine: 20 images to train and 20 to validate" in result.stdout


def test_convert_never_overwrites(
    ribosome, error_of, source: Path, tmp_path: Path
) -> None:
    """A folder that is not empty is left as it is."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    said = error_of(ribosome("data", "convert", source, "-o", tmp_path / "out"))
    assert "exists and is not empty" in said
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_a_folder_that_is_empty_is_taken(ribosome, source: Path, tmp_path) -> None:
    """Made beforehand by mkdir."""
    (tmp_path / "out").mkdir()
    assert ribosome("data", "convert", source, "-o", tmp_path / "out").exit_code == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda x, y: (x, y - 1), "label -1 of image 0 (and 9 more) is out of range"),
        (lambda x, y: (x, y * 2), "class 1 (and 2 more) has no training image"),
        (
            lambda x, y: (x, y * 2**60),
            "label 3458764513820540928 of image 3 would make",
        ),
        (lambda x, y: (x, y * 10**9), "3000000001 classes of 40 images"),
        (lambda x, y: (x, y * 0), "1 class; a classifier needs two or more"),
        (lambda x, _: (x[:3], np.array([0, 0, 1])), "class 1 has 1 image: too few"),
        (lambda x, y: (x[:0], y[:0]), "no images"),
        (
            lambda x, y: (np.where(x == 7, np.nan, x), y),
            "pixel [7, 0, 0, 0] is nan",
        ),
    ],
)
def test_data_that_cannot_be_trained_on(
    ribosome, error_of, source: Path, tmp_path: Path, change, says: str
) -> None:
    """Each is one line that names the place, and no folder is left."""
    with np.load(source) as held:
        images, labels = change(held["x"].astype(float), held["y"])
    save(source, images, labels)
    said = error_of(ribosome("data", "convert", source, "-o", tmp_path / "out"))
    assert says in said
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_info_finds_a_nan_in_a_data_folder(
    ribosome, error_of, source: Path, tmp_path: Path
) -> None:
    """A folder that was made by other means is read whole."""
    save(source, np.arange(480).reshape(40, 3, 4) / 3, np.arange(40) % 4)
    out = tmp_path / "out"
    ribosome("data", "convert", source, "-o", out)
    images = np.load(out / "val_images.npy")
    images[1, 0, 2, 3] = np.inf
    np.save(out / "val_images.npy", images)
    said = error_of(ribosome("data", "info", out))
    assert "val_images.npy: pixel [1, 0, 2, 3] is inf" in said


def test_info_of_a_misspelt_name(ribosome, error_of) -> None:
    """The nearest built-in is offered."""
    assert "did you mean 'digits'?" in error_of(ribosome("data", "info", "digts"))


@pytest.mark.parametrize("size", ["28", "0x3", "axb", "28x28x3", "10000x9"])
def test_a_size_that_is_none(ribosome, source: Path, tmp_path: Path, size: str) -> None:
    """A usage error that says the form."""
    result = ribosome("data", "convert", source, "-o", tmp_path / "o", "--size", size)
    assert result.exit_code == 2
    assert "is not HEIGHTxWIDTH, as in 28x28" in result.stderr


@pytest.mark.parametrize("share", ["0", "1", "-0.5", "nan"])
def test_a_share_that_leaves_nothing(
    ribosome, source: Path, tmp_path: Path, share: str
) -> None:
    """Both parts must have images."""
    result = ribosome(
        "data", "convert", source, "-o", tmp_path / "o", "--val-share", share
    )
    assert result.exit_code == 2


@pytest.mark.parametrize("name", ["two\nlines", "k\udce9se"])
def test_a_name_that_cannot_be_written(
    ribosome, error_of, source: Path, tmp_path: Path, name: str
) -> None:
    """Line breaks, and bytes that are no UTF-8, stand in no file and no source."""
    result = ribosome("data", "convert", source, "-o", tmp_path / "o", "--name", name)
    assert "has a letter that cannot be written; rename it" in error_of(result)
