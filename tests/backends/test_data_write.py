"""Writing data folders: order, split, normalisation, and the rename at the end."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.backends.data import open_arrays, read_info
from ribosome.backends.data_write import (
    ArrayImages,
    Part,
    shuffled,
    stratified,
    write_data_folder,
)
from ribosome.genome.errors import DataError


def part(images: np.ndarray, labels: list[int], rows: list[int] | None = None) -> Part:
    """A part of all rows in their order, or of the given ones."""
    return Part(
        ArrayImages(images),
        np.array(labels),
        list(range(len(labels))) if rows is None else rows,
    )


def write(folder: Path, train: Part, val: Part, **options: object) -> None:
    """Write a data folder of two classes."""
    write_data_folder(
        folder, name="test", train=train, val=val, classes=2, source="here", **options
    )


IMAGES = np.arange(4 * 6, dtype=np.uint8).reshape(4, 1, 2, 3)


def test_the_shuffle_is_a_permutation_that_never_changes() -> None:
    """Seed 1 gives the order of the SHA-256 of "1 0" ... "1 9", as sha256sum prints it."""
    assert shuffled(10, seed=1) == [1, 6, 3, 5, 0, 7, 4, 9, 8, 2]
    assert sorted(shuffled(1000, seed=3)) == list(range(1000))


def test_another_seed_is_another_order() -> None:
    """The seed counts."""
    assert shuffled(50, seed=1) != shuffled(50, seed=2)


@given(
    counts=st.lists(st.integers(2, 40), min_size=2, max_size=6),
    share=st.floats(0.05, 0.95),
)
def test_a_split_keeps_every_row_and_every_class(
    counts: list[int], share: float
) -> None:
    """Each row is in one part, each class in both, in proportion to within one image."""
    labels = np.repeat(np.arange(len(counts)), counts)
    val = max(1, round(share * len(labels)))
    training, validation = stratified(labels, val=val)
    assert sorted(training + validation) == list(range(len(labels)))
    for label, count in enumerate(counts):
        held = int(np.sum(labels[validation] == label))
        assert 1 <= held <= count - 1
        wanted = count * val / len(labels)
        assert abs(held - np.clip(wanted, 1, count - 1)) <= 1


def test_one_image_of_a_class_cannot_be_split() -> None:
    """One image cannot both be trained on and validate."""
    with pytest.raises(DataError, match="class 1 has 1 image: too few"):
        stratified(np.array([0, 0, 1]), val=1)


def test_rows_are_written_in_their_order(tmp_path: Path) -> None:
    """Images and labels follow the rows that are given."""
    write(
        tmp_path / "d", part(IMAGES, [0, 1, 0, 1], [1, 2]), part(IMAGES, [0, 1, 0, 1])
    )
    arrays = open_arrays(str(tmp_path / "d"))
    assert np.array_equal(arrays.train_images, IMAGES[[1, 2]])
    assert arrays.train_labels.tolist() == [1, 0]


def test_the_default_normalisation_is_that_of_the_training_images(
    tmp_path: Path,
) -> None:
    """(pixel - mean) * scale has mean 0 per channel and variance 1, as numpy counts."""
    rng = np.random.default_rng(0)
    images = rng.normal([[[5]], [[-2]]], 3, (50, 2, 4, 4)).astype(np.float32)
    labels = [0, 1] * 25
    write(tmp_path / "d", part(images, labels), part(images[:2] * 0, [0, 1]))
    info = read_info(str(tmp_path / "d"))
    seen = (images - np.array(info.mean)[:, None, None]) * info.scale
    assert np.allclose(seen.mean(axis=(0, 2, 3)), 0, atol=1e-4)
    assert np.isclose(seen.var(axis=(0, 2, 3)).mean(), 1, atol=1e-4)


def test_blocks_make_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing image by image gives the same bytes and the same normalisation."""
    whole = part(IMAGES, [0, 1, 0, 1], [3, 0, 2, 1])
    write(tmp_path / "a", whole, whole)
    monkeypatch.setattr("ribosome.backends.data_write.BLOCK", 1)
    told: list[int] = []
    write(tmp_path / "b", whole, whole, advance=told.append)
    for name in ("train_images.npy", "data.json"):
        assert (tmp_path / "a" / name).read_bytes() == (
            tmp_path / "b" / name
        ).read_bytes()
    assert told == [1] * 8


def test_a_nan_pixel_is_named_by_its_place_in_the_source(tmp_path: Path) -> None:
    """The index is that of the source, not of the shuffled copy; nothing is left."""
    images = IMAGES.astype(np.float32)
    images[3, 0, 1, 2] = np.nan
    bad = part(images, [0, 1, 0, 1], [1, 3, 0, 2])
    with pytest.raises(DataError, match=r"here \(train\): pixel \[3, 0, 1, 2\] is nan"):
        write(tmp_path / "d", bad, bad)
    assert list(tmp_path.iterdir()) == []


def test_parts_of_different_shapes_are_refused(tmp_path: Path) -> None:
    """Training and validation images must be alike."""
    other = np.zeros((2, 1, 3, 3), np.uint8)
    with pytest.raises(DataError, match=r"\(1, 2, 3\).*\(1, 3, 3\)"):
        write(tmp_path / "d", part(IMAGES, [0, 1, 0, 1]), part(other, [0, 1]))


def test_images_that_are_all_one_grey_are_refused(tmp_path: Path) -> None:
    """Without any variance there is no scale, and nothing to learn."""
    for pixels in (
        np.full((4, 1, 2, 2), 7, np.uint8),
        np.full((100, 1, 7, 5), 0.1, np.float32),
    ):
        grey = part(pixels, [0, 1] * (len(pixels) // 2))
        with pytest.raises(DataError, match="same value"):
            write(tmp_path / "d", grey, grey)


def test_no_validation_images_are_refused(tmp_path: Path) -> None:
    """Fitness is validation accuracy: without images there is none."""
    sound = part(IMAGES, [0, 1, 0, 1])
    with pytest.raises(DataError, match="no validation images"):
        write(tmp_path / "d", sound, part(IMAGES, [0, 1, 0, 1], []))
