"""LMDB of Caffe's Datums as a source."""

import io
import random
from collections.abc import Sequence
from pathlib import Path

import lmdb
import numpy as np
import pytest
from PIL import Image

from ribosome.backends.caffe.lmdb_data import write_lmdb
from ribosome.backends.caffe.schema import message
from ribosome.genome.errors import DataError
from ribosome.tools.sources import detect, read_source
from ribosome.tools.sources.source import Reading, Source
from tests.tools.sources_kit import pixels

DATUM = message("Datum", "caffe")
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 3, 4, 5)).astype(np.uint8)
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


def write(folder: Path, datums: Sequence[bytes]) -> Path:
    """Write a database of those messages, under the keys that Caffe's tools use."""
    with (
        lmdb.open(str(folder), map_size=1 << 24) as environment,
        environment.begin(write=True) as transaction,
    ):
        for row, datum in enumerate(datums):
            transaction.put(f"{row:08d}_cat/{row}.png".encode(), datum)
    return folder


def raw(image: np.ndarray, label: int = 0, **fields: object) -> bytes:
    """A Datum with pixels."""
    channels, height, width = image.shape
    return DATUM(
        channels=channels,
        height=height,
        width=width,
        data=image.tobytes(),
        label=label,
        **fields,
    ).SerializeToString()


def compressed(image: np.ndarray, label: int, kind: str = "png") -> bytes:
    """A Datum with a file, as `convert_imageset -encoded` writes it: no shape."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind)
    return DATUM(
        data=file.getvalue(), label=label, encoded=True, channels=3
    ).SerializeToString()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_what_was_written_is_read(tmp_path: Path, dtype: str) -> None:
    """Any rows in any order, their labels in that of the keys."""
    images = IMAGES.astype(dtype)
    write_lmdb(tmp_path / "x", images, LABELS)
    for path in (tmp_path / "x", tmp_path / "x" / "data.mdb"):
        source = read(path)
        assert source.train.labels.tolist() == LABELS.tolist()
        assert source.val is None
        held = source.train.images.read([4, 0, 4])
        assert held.dtype == dtype
        assert np.array_equal(held, images[[4, 0, 4]])


@pytest.mark.parametrize("kind", ["val", "test"])
def test_a_folder_of_two(tmp_path: Path, kind: str) -> None:
    """As ilsvrc12_train_lmdb beside ilsvrc12_val_lmdb; one of them is enough to say."""
    train, val = tmp_path / "my_train_lmdb", tmp_path / f"my_{kind}_lmdb"
    write_lmdb(train, IMAGES, LABELS)
    write_lmdb(val, IMAGES[:2], LABELS[:2])
    for path in (tmp_path, train):
        source = read(path)
        assert source.val is not None
        assert len(source.train.labels) == 6
        assert np.array_equal(pixels(source, "val"), IMAGES[:2])
    assert len(read(val).train.labels) == 2


def test_sets_that_leave_a_choice(tmp_path: Path) -> None:
    """Two to train on, or two to validate on of the same word, are named."""
    for name in ("train_a", "train_b", "val_a"):
        write_lmdb(tmp_path / name, IMAGES, LABELS)
    assert "2 training sets among train_a, train_b" in refusal(tmp_path)
    (tmp_path / "train_b").rename(tmp_path / "val_b")
    assert "more than one validation set: val_a, val_b" in refusal(tmp_path)


def test_compressed_images_are_blue_green_red(tmp_path: Path) -> None:
    """As OpenCV gives them to Caffe; grey ones have one channel."""
    colour = IMAGES.transpose(0, 2, 3, 1)
    database = write(
        tmp_path / "x", [compressed(colour[row], row % 2) for row in range(6)]
    )
    source = read(database)
    assert np.array_equal(pixels(source), IMAGES[:, ::-1])
    assert source.train.labels.tolist() == [0, 1, 0, 1, 0, 1]
    grey = write(tmp_path / "g", [compressed(IMAGES[0, 0], 0)])
    assert np.array_equal(pixels(read(grey))[0, 0], IMAGES[0, 0])


def test_compressed_images_are_what_opencv_makes_of_them(tmp_path: Path) -> None:
    """The oracle: cv2.imdecode, as Caffe calls it, of a PNG."""
    cv2 = pytest.importorskip("cv2")
    message_ = compressed(IMAGES[0].transpose(1, 2, 0), 0)
    wanted = cv2.imdecode(
        np.frombuffer(DATUM.FromString(message_).data, np.uint8), cv2.IMREAD_COLOR
    )
    held = pixels(read(write(tmp_path / "x", [message_])))
    assert np.array_equal(held[0], wanted.transpose(2, 0, 1))


def test_compressed_images_of_different_sizes(tmp_path: Path) -> None:
    """They are resized when asked."""
    colour = IMAGES[0].transpose(1, 2, 0)
    database = write(
        tmp_path / "x", [compressed(colour, 0), compressed(colour[:3], 1, "jpeg")]
    )
    said = refusal(database)
    assert "x, key 00000001_cat/1.png: a compressed image of 3x3x5" in said
    assert "--size" in said
    assert pixels(read(database, size=(2, 2))).shape == (2, 3, 2, 2)


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (b"\x08", "no Datum, or a damaged one (cut off"),
        (raw(IMAGES[0])[:30], "goes beyond its end"),
        (raw(IMAGES[0, :, :2]), "3x2x5, but the first image is 3x4x5"),
        (raw(IMAGES[0]) + raw(IMAGES[0, :1])[-26:], "a damaged Datum (20 pixels"),
        (DATUM(channels=1).SerializeToString(), "a damaged Datum (0 pixels"),
        (
            DATUM(
                channels=3, height=4, width=5, float_data=[0.5] * 60
            ).SerializeToString(),
            "float32 pixels, but those of the first image are uint8",
        ),
        (DATUM(data=b"no image", encoded=True).SerializeToString(), "cannot be read"),
        (compressed(IMAGES[0, 0].astype(np.uint16) * 256, 0), "of mode I;16"),
        (compressed(IMAGES[0, 0], 0), "of 1x4x5, but the first one is 3x4x5"),
    ],
)
def test_a_record_that_is_wrong_is_named_by_its_key(
    tmp_path: Path, second: bytes, says: str
) -> None:
    """Database, key, what it is."""
    said = refusal(write(tmp_path / "x", [raw(IMAGES[0]), second]))
    assert said.startswith(f"{tmp_path}/x, key 00000001_cat/1.png: ")
    assert says in said


def test_an_empty_database(tmp_path: Path) -> None:
    """No images, no data."""
    assert "x: no images" in refusal(write(tmp_path / "x", []))


def test_pixels_are_not_resized(tmp_path: Path) -> None:
    """As for arrays."""
    database = write(tmp_path / "x", [raw(IMAGES[0])])
    assert "leave --size out or make it 4x5" in refusal(database, size=(8, 8))
    assert pixels(read(database, size=(4, 5))).shape == (1, 3, 4, 5)


def test_a_damaged_file_does_not_end_the_process(tmp_path: Path) -> None:
    """Cut off, or with pages overwritten: LMDB itself would crash on some of these."""
    write_lmdb(tmp_path / "x", IMAGES.repeat(50, axis=0), LABELS.repeat(50))
    file = tmp_path / "x" / "data.mdb"
    whole = file.read_bytes()
    draw = random.Random(1)
    broken = [whole[:size] for size in (0, 10, 4096, 8192, len(whole) // 2)]
    for _ in range(40):
        octets = bytearray(whole)
        for _ in range(draw.choice((1, 20))):
            # In the headers of pages, where it hurts most.
            page = draw.randrange(len(whole) // 4096) * 4096
            octets[page + draw.randrange(64)] = draw.randrange(256)
        broken.append(bytes(octets))
    said = []
    for octets in broken:
        file.write_bytes(octets)
        try:
            pixels(read(tmp_path / "x"))
        except DataError as error:
            said.append(str(error))
    assert len(said) > 25
    assert all("data.mdb: not an LMDB" in text or ", key " in text for text in said)


def test_others_are_not_taken_for_one(tmp_path: Path) -> None:
    """A folder of folders, a file."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_text("x")
    assert detect(tmp_path) == ""
    assert detect(tmp_path / "a" / "b.txt") == ""
