"""Readers of foreign data: npz, IDX, image folders, and what is none of them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ribosome.genome.errors import DataError
from ribosome.tools.sources import FORMATS, read_source
from ribosome.tools.sources.source import Reading, Source
from tests.tools.sources_kit import pixels, write_idx, write_image, write_mnist

IMAGES = np.arange(6 * 5 * 6 * 3, dtype=np.int64).reshape(6, 5, 6, 3) % 256
LABELS = np.array([0, 1, 2, 0, 1, 2])


def read(path: Path, *, format: str = "auto", **reading: object) -> Source:
    """Read a source."""
    return read_source(path, Reading(**reading), format=format)


def refusal(path: Path, **reading: object) -> str:
    """The one line that a source is refused with."""
    with pytest.raises(DataError) as caught:
        read(path, **reading)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def npz(tmp_path: Path):
    """Write an .npz of those arrays."""

    def write(**arrays: object) -> Path:
        np.savez(tmp_path / "x.npz", **arrays)
        return tmp_path / "x.npz"

    return write


@pytest.mark.parametrize(
    ("x", "y"),
    [("x", "y"), ("images", "labels"), ("data", "target"), ("X", "Y")],
)
def test_npz_by_every_name(npz, x: str, y: str) -> None:
    """The names that people use, upper or lower case."""
    source = read(npz(**{x: IMAGES, y: LABELS}))
    assert np.array_equal(pixels(source), IMAGES.transpose(0, 3, 1, 2))
    assert source.train.labels.tolist() == LABELS.tolist()
    assert source.val is None


@pytest.mark.parametrize(
    ("x", "y", "part"),
    [
        ("x_{}", "y_{}", "test"),
        ("x_{}", "y_{}", "val"),
        ("{}_images", "{}_labels", "val"),
    ],
)
def test_npz_with_validation_images_of_its_own(npz, x: str, y: str, part: str) -> None:
    """Keras's and MedMNIST's names; (n, 1) labels count as (n,)."""
    arrays = {
        x.format("train"): IMAGES,
        y.format("train"): LABELS[:, None],
        x.format(part): IMAGES[:2],
        y.format(part): LABELS[:2],
    }
    source = read(npz(**arrays))
    assert len(source.train.labels) == 6
    assert source.val is not None
    assert source.val.labels.tolist() == [0, 1]


def test_npz_without_images(npz) -> None:
    """What it holds and what was looked for."""
    said = refusal(npz(pictures=IMAGES))
    assert "holds pictures; name the images x, images, data" in said


def test_npz_with_python_objects_is_not_unpickled(npz) -> None:
    """Objects could run code: they are refused."""
    said = refusal(npz(x=np.array([object()] * 3), y=LABELS[:3]))
    assert "x holds Python objects, which are not loaded" in said


def test_npz_that_is_damaged(tmp_path: Path) -> None:
    """A file that was cut off, and one with other bytes in it."""
    path = tmp_path / "x.npz"
    np.savez(path, x=IMAGES, y=LABELS)
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    assert "not an .npz, or a damaged one; save it again" in refusal(path)
    path.write_bytes(whole.replace(IMAGES[0, 0].tobytes(), b"!" * IMAGES[0, 0].nbytes))
    assert "not an .npz that can be read (Bad CRC" in refusal(path)


def test_npy_that_calls_itself_npz(tmp_path: Path) -> None:
    """One array has no labels beside it."""
    np.save(tmp_path / "x.npy", IMAGES)
    path = (tmp_path / "x.npy").rename(tmp_path / "x.npz")
    assert "not an .npz, or a damaged one" in refusal(path)


def test_a_pickle_is_not_advertised(tmp_path: Path) -> None:
    """What numpy says of a text file, to allow pickles, is not passed on."""
    path = tmp_path / "x.npz"
    path.write_text("no array")
    assert "allow_pickle" not in refusal(path)


def test_names_for_labels_become_classes(npz) -> None:
    """Strings are sorted and numbered; the names are kept."""
    source = read(npz(x=IMAGES[:3], y=np.array(["dog", "ant", "dog"])))
    assert source.train.labels.tolist() == [1, 0, 1]
    assert source.class_names == ("ant", "dog")


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (LABELS[:4], "6 images but 4 labels"),
        (np.eye(6), r"labels of shape \(6, 6\)"),
        (LABELS + 0.5, "label 0.5 of image 0 is no class number"),
        (np.array([0, 1, 1e300, 0, 1, 2]), r"label 1e\+300 of image 2 is no class"),
        (np.array([0, 1, -np.inf, 0, 1, 2]), "label -inf of image 2 is no class"),
        (np.array([0, 2**64 - 1] * 3, np.uint64), "label 18446744073709551615 of"),
        (LABELS * 1j, "labels of complex128"),
    ],
)
def test_labels_that_are_none(npz, labels: np.ndarray, says: str) -> None:
    """A wrong number, one-hot, fractions, numbers too large, complex numbers."""
    with pytest.raises(DataError, match=says):
        read(npz(x=IMAGES, y=labels))


@pytest.mark.parametrize(
    ("images", "dtype"),
    [
        (IMAGES, "uint8"),
        (IMAGES + 256, "float32"),
        (IMAGES - 1, "float32"),
        (IMAGES > 9, "uint8"),
        (IMAGES / 7, "float32"),
    ],
)
def test_pixels_are_bytes_where_they_fit(npz, images: np.ndarray, dtype: str) -> None:
    """Whole numbers from 0 to 255 stay bytes, all others become single precision."""
    source = read(npz(x=images, y=LABELS))
    assert source.train.images.dtype == dtype
    assert np.allclose(pixels(source), images.transpose(0, 3, 1, 2))


def test_the_channels_axis_is_found_or_asked_for(npz) -> None:
    """(n, c, h, w) and (n, h, w, c) are told apart, or by --layout where they cannot."""
    first = npz(x=IMAGES.transpose(0, 3, 1, 2), y=LABELS)
    assert read(first).train.images.shape == (3, 5, 6)
    unclear = npz(x=IMAGES[:, :3], y=LABELS)
    assert "which axis has the channels?" in refusal(unclear)
    assert read(unclear, layout="last").train.images.shape == (3, 3, 6)
    assert read(unclear, layout="first").train.images.shape == (3, 6, 3)


def test_flat_images_need_a_size(npz) -> None:
    """(n, pixels) is folded into the size that is given."""
    flat = npz(x=IMAGES[..., 0].reshape(6, 30), y=LABELS)
    assert "6 flat images of 30 pixels" in refusal(flat)
    assert np.array_equal(pixels(read(flat, size=(5, 6)))[:, 0], IMAGES[..., 0])
    assert "30 pixels do not make images of 4x5" in refusal(flat, size=(4, 5))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_folder(tmp_path: Path, suffix: str) -> None:
    """Pairs are found by name; t10k is the validation set."""
    images = write_mnist(tmp_path / "mnist", suffix=suffix)
    source = read(tmp_path / "mnist")
    assert np.array_equal(pixels(source)[:, 0], images)
    assert source.train.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert source.val is not None
    assert np.array_equal(pixels(source, "val")[:, 0], images[:3])


def test_idx_file(tmp_path: Path) -> None:
    """The path of the images will do."""
    write_mnist(tmp_path)
    assert len(read(tmp_path / "train-images-idx3-ubyte").train.labels) == 6


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
def test_idx_of_other_types(tmp_path: Path, dtype: str) -> None:
    """Big-endian numbers of every type of the format come out right."""
    values = np.array([[[1, 300], [5, 7]], [[-2, 0], [9, 4]]], dtype=dtype)
    write_idx(tmp_path / "train-images-idx3", values)
    write_idx(tmp_path / "train-labels-idx1", np.array([0, 1], np.uint8))
    assert np.array_equal(pixels(read(tmp_path))[:, 0], values)


def test_idx_without_labels(tmp_path: Path) -> None:
    """The name that was looked for is said."""
    write_mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    assert "looked for train-labels-idx1-ubyte" in refusal(tmp_path)


def test_idx_labels_in_place_of_images(tmp_path: Path) -> None:
    """The path of the labels: the images are asked for."""
    write_mnist(tmp_path)
    said = refusal(tmp_path / "train-labels-idx1-ubyte")
    assert "give the path of the images" in said


def test_idx_that_is_truncated(tmp_path: Path) -> None:
    """Length and header disagree."""
    write_mnist(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    assert "51 bytes, but its header says 52: truncated" in refusal(tmp_path)


def test_idx_of_several_sets(tmp_path: Path) -> None:
    """A folder with two training sets: one must be named."""
    write_mnist(tmp_path)
    write_idx(tmp_path / "letters-train-images-idx3", np.zeros((1, 2, 2), np.uint8))
    assert "2 files of training images" in refusal(tmp_path)


def test_image_folder(tmp_path: Path) -> None:
    """A folder per class, sorted; grey images have one channel."""
    for index, name in enumerate(["dog", "cat", "dog"]):
        grey = np.full((4, 5), 10 * index, np.uint8)
        write_image(tmp_path / name / f"{index}.png", grey)
    source = read(tmp_path)
    assert source.class_names == ("cat", "dog")
    assert source.train.labels.tolist() == [0, 1, 1]
    assert pixels(source)[:, 0, 0, 0].tolist() == [10, 0, 20]
    assert source.train.images.shape == (1, 4, 5)


def test_image_folder_in_colour(tmp_path: Path) -> None:
    """One colour image makes all of them RGB; channels come first."""
    colour = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    write_image(tmp_path / "a" / "1.png", colour)
    write_image(tmp_path / "b" / "1.tif", np.full((4, 5), 9, np.uint8))
    found = pixels(read(tmp_path))
    assert np.array_equal(found[0], colour.transpose(2, 0, 1))
    assert np.all(found[1] == 9)


def test_image_folder_of_sixteen_bits(tmp_path: Path) -> None:
    """Deep grey images keep their values, as float32."""
    deep = np.array([[0, 1000], [40000, 65535]], np.uint16)
    write_image(tmp_path / "a" / "1.png", deep)
    write_image(tmp_path / "b" / "1.png", deep)
    source = read(tmp_path)
    assert source.train.images.dtype == np.float32
    assert np.array_equal(pixels(source)[0, 0], deep)


def test_image_folder_with_its_own_split(tmp_path: Path) -> None:
    """DIR/train and DIR/val: the classes are those of training."""
    for part, count in (("train", 2), ("val", 1)):
        for name in ("cat", "dog"):
            for index in range(count):
                path = tmp_path / part / name / f"{index}.png"
                write_image(path, np.zeros((2, 2), np.uint8))
    source = read(tmp_path)
    assert source.train.labels.tolist() == [0, 0, 1, 1]
    assert source.val is not None
    assert source.val.labels.tolist() == [0, 1]


def test_a_validation_class_without_training_images(tmp_path: Path) -> None:
    """No network could learn it."""
    for place in ("train/cat", "train/dog", "val/cat", "val/eel"):
        write_image(tmp_path / place / "1.png", np.zeros((2, 2), np.uint8))
    assert "eel: a class that has no training images" in refusal(tmp_path)


def test_numbers_as_folders_are_sorted_as_numbers(tmp_path: Path) -> None:
    """10 comes after 9."""
    for name in ("10", "9", "0"):
        write_image(tmp_path / name / "1.png", np.zeros((2, 2), np.uint8))
    assert read(tmp_path).class_names == ("0", "9", "10")


def test_mixed_sizes_need_one(tmp_path: Path) -> None:
    """Two sizes are named, and --size makes them one."""
    write_image(tmp_path / "a" / "1.png", np.zeros((4, 5), np.uint8))
    write_image(tmp_path / "b" / "1.png", np.full((8, 6), 9, np.uint8))
    said = refusal(tmp_path)
    assert "b/1.png: 8x6, but " in said
    assert "a/1.png is 4x5; give one size with --size" in said
    source = read(tmp_path, size=(3, 2))
    assert source.train.images.shape == (1, 3, 2)
    assert np.all(pixels(source)[1] == 9)


def test_an_image_that_is_none(tmp_path: Path) -> None:
    """A text file called .png is named."""
    write_image(tmp_path / "a" / "1.png", np.zeros((2, 2), np.uint8))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.png").write_text("no image")
    assert "b/2.png: not an image that can be read" in refusal(tmp_path)


def test_an_image_that_is_cut_off(tmp_path: Path) -> None:
    """The header is fine, the pixels are not all there: named when they are read."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        noise = rng.integers(0, 255, (40, 40)).astype(np.uint8)
        path = write_image(tmp_path / name / "1.png", noise)
    path.write_bytes(path.read_bytes()[:900])
    source = read(tmp_path)
    with pytest.raises(DataError, match=r"b/1\.png: a damaged image"):
        pixels(source)


def test_one_folder_is_one_class(tmp_path: Path) -> None:
    """A classifier needs two."""
    write_image(tmp_path / "a" / "1.png", np.zeros((2, 2), np.uint8))
    assert "1 folder in it; a classifier needs two" in refusal(tmp_path)


def test_a_stack_of_images_is_refused(tmp_path: Path) -> None:
    """All but the first image of a TIFF stack would be lost without a word."""
    for name in ("a", "b"):
        path = write_image(tmp_path / name / "1.tif", np.zeros((2, 2), np.uint8))
    pages = [Image.new("L", (2, 2)) for _ in range(3)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert "b/1.tif: a stack of 3 images; save each" in refusal(tmp_path)


def test_a_pixel_that_is_not_finite_names_its_file(tmp_path: Path) -> None:
    """A NaN in one of thousands of files can be found."""
    for name in ("a", "b"):
        path = write_image(tmp_path / name / "1.tif", np.ones((2, 2), np.float32))
    write_image(path, np.array([[1, 2], [np.nan, 3]], np.float32))
    with pytest.raises(DataError, match=r"b/1\.tif: has pixels that are NaN"):
        pixels(read(tmp_path))


def test_images_one_folder_too_deep(tmp_path: Path) -> None:
    """The folder is named, and where images belong."""
    for place in ("a/day1", "a/day2", "b/day1"):
        write_image(tmp_path / place / "1.png", np.zeros((2, 2), np.uint8))
    assert f"{tmp_path}: no images directly in its class folders" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("format", "says"),
    [
        ("npz", "not an .npz, or a damaged one"),
        ("idx", "no IDX file of images"),
        ("folder", "no folder in it; a classifier needs two"),
    ],
)
def test_an_empty_folder_under_each_format(tmp_path: Path, format: str, says) -> None:
    """A --format that does not fit is told in words."""
    with pytest.raises(DataError) as caught:
        read(tmp_path, format=format)
    assert says in str(caught.value)


def test_a_file_is_no_image_folder(tmp_path: Path) -> None:
    """--format folder for a file."""
    path = tmp_path / "x.txt"
    path.write_text("x")
    with pytest.raises(DataError, match="not a folder; give one"):
        read(path, format="folder")


def test_a_folder_called_npz_is_a_folder(tmp_path: Path) -> None:
    """A name decides nothing about a folder of images."""
    for name in ("a", "b"):
        path = tmp_path / "x.npz" / name / "1.png"
        write_image(path, np.zeros((2, 2), np.uint8))
    assert read(tmp_path / "x.npz").class_names == ("a", "b")


@pytest.mark.parametrize("name", ["data.mat", "data.txt", "empty"])
def test_what_is_not_read_lists_what_is(tmp_path: Path, name: str) -> None:
    """Other files, an empty folder: the formats that are read are named."""
    path = tmp_path / name
    if name == "empty":
        path.mkdir()
    else:
        path.write_bytes(b"no data")
    said = refusal(path)
    assert all(f"{format} (" in said for format in FORMATS)


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    """A wrong path is no wrong format."""
    assert "no such file or folder" in refusal(tmp_path / "nothing")
