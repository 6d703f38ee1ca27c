"""Data that somebody else has packed: no code in it, no other file, and no end of zeros."""

import gzip
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ribosome.backends.data import DataInfo, open_arrays, read_info
from ribosome.genome.errors import DataError
from ribosome.tools.sources import read_source
from ribosome.tools.sources.source import Reading

from .conftest import Ribosome, Victim
from .nasty import HARMFUL


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """What a pickle of it calls."""
        return open, (str(self._path), "w")


def read(path: Path) -> object:
    """A source, with every image of it."""
    source = read_source(path, Reading(), format="auto")
    return source.train.images.read(range(len(source.train.labels)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small data folder."""
    made = tmp_path / "data"
    made.mkdir()
    info = {"format": 1, "name": "a", "channels": 1, "height": 2, "width": 2}
    info |= {"classes": 2, "train": 4, "val": 4}
    (made / "data.json").write_text(json.dumps(info))
    for part in ("train", "val"):
        np.save(made / f"{part}_images.npy", np.zeros((4, 1, 2, 2), np.uint8))
        np.save(made / f"{part}_labels.npy", np.array([0, 1, 0, 1], np.int64))
    return made


def test_a_data_folder_holds_no_pickle(folder: Path, tmp_path: Path) -> None:
    """Arrays of Python objects are not loaded, whatever their suffix."""
    assert open_arrays(str(folder)).train_images.shape == (4, 1, 2, 2)
    touched = tmp_path / "touched"
    np.save(folder / "train_images.npy", np.array([Touch(touched)], object))
    with pytest.raises(DataError):
        open_arrays(str(folder))
    (folder / "train_images.npy").write_bytes(pickle.dumps(Touch(touched)))
    with pytest.raises(DataError):
        open_arrays(str(folder))
    assert not touched.exists()


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1" + "0" * 30 + ",), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': ('a',), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': __import__('os').system('id'), 'fortran_order': 0, 'shape': (1,)}",
        "(" * 5000,
    ],
)
def test_an_array_with_a_hostile_header_is_refused(folder: Path, header: str) -> None:
    """Sizes beyond all bounds, and code in place of a type."""
    text = header.encode() + b"\n"
    raw = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(64)
    (folder / "train_images.npy").write_bytes(raw)
    with pytest.raises(DataError, match="train_images"):
        open_arrays(str(folder))


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "a\nb"},
        {"name": "\x1b[2J"},
        {"name": "\u202eevil"},
        {"name": "\ud800"},
        {"source": "\x9b31m"},
        {"class_names": ["a", "b\u2028c"]},
        {"channels": 10**30},
        {"train": 2**31},
        {"mean": [1e999]},
        {"scale": "x"},
        {"name": {"a": 1}},
    ],
)
def test_a_data_json_that_could_harm_is_refused(
    folder: Path, fields: dict[str, object]
) -> None:
    """Names that drive a terminal, sizes that no machine has, fields of another kind."""
    info = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps(info | fields))
    with pytest.raises(DataError) as caught:
        read_info(str(folder))
    assert not set(HARMFUL) & set(str(caught.value))


def test_what_a_data_json_says_of_its_folder_is_not_believed(folder: Path) -> None:
    """The folder is the one that the file stands in."""
    info = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps(info | {"folder": "/etc"}))
    found: DataInfo = read_info(str(folder))
    assert found.folder == str(folder.resolve())


def test_a_name_of_rich_markup_is_shown_as_it_is(
    folder: Path, ribosome: Ribosome
) -> None:
    """Brackets in the name of a class are brackets."""
    info = json.loads((folder / "data.json").read_text())
    fields = {"name": "[red]a[/]", "class_names": ["[/b]", "[link=x]y"]}
    (folder / "data.json").write_text(json.dumps(info | fields))
    result = ribosome("data", "info", folder)
    assert result.exit_code == 0, result.output
    assert "[red]a[/]" in result.output


def test_a_pickle_in_an_npz_is_not_loaded(tmp_path: Path) -> None:
    """Images or labels that are Python objects."""
    touched = tmp_path / "touched"
    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([Touch(touched)], object), y=np.array([0]))
    with pytest.raises(DataError):
        read(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x.npy", pickle.dumps(Touch(touched)))
        file.writestr("y.npy", pickle.dumps(Touch(touched)))
    with pytest.raises(DataError):
        read(path)
    assert not touched.exists()


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two MiB of memory."""
    monkeypatch.setattr("os.sysconf", lambda name: 512 if "PHYS" in name else 4096)


@pytest.mark.usefixtures("small_machine")
def test_an_npz_that_unpacks_to_more_than_the_memory_is_refused(tmp_path: Path) -> None:
    """A few kilobytes of zip can hold gigabytes of zeros."""
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, x=np.zeros((2000, 28, 28), np.uint8), y=np.zeros(2000))
    assert path.stat().st_size < 20_000
    with pytest.raises(DataError, match="unpacked"):
        read(path)


@pytest.mark.usefixtures("small_machine")
def test_an_idx_that_unpacks_to_more_than_the_memory_is_refused(tmp_path: Path) -> None:
    """Gzip as well; a header that says so is enough."""
    path = tmp_path / "train-images-idx3-ubyte.gz"
    shape = struct.pack(">III", 2000, 28, 28)
    path.write_bytes(gzip.compress(b"\0\0\x08\x03" + shape + bytes(2000 * 28 * 28)))
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 1) + b"\0")
    with pytest.raises(DataError, match="unpacked"):
        read(path)


def test_no_more_is_unpacked_than_a_header_says(tmp_path: Path) -> None:
    """Of a gigabyte of zeros behind a header of four images, five bytes are looked at."""
    path = tmp_path / "train-images-idx3-ubyte.gz"
    shape = struct.pack(">III", 1, 2, 2)
    block = gzip.compress(bytes(1 << 26))
    path.write_bytes(gzip.compress(b"\0\0\x08\x03" + shape) + block * 16)
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 1) + b"\0")
    with pytest.raises(DataError, match="more, but its header says 20"):
        read(path)


def hdf5(path: Path, link: str, victim: Victim) -> None:
    """An HDF5 file whose images are somebody else's file."""
    import h5py

    with h5py.File(path, "w") as file:
        file["y"] = np.array([0, 1, 0, 1])
        if link == "storage":
            where = [(str(victim.file), 0, 8)]
            file.create_dataset("x", (4, 2), np.uint8, external=where)
        elif link == "link":
            with h5py.File(victim.folder / "other.h5", "w") as other:
                other["x"] = np.zeros((4, 2), np.uint8)
            file["x"] = h5py.ExternalLink(str(victim.folder / "other.h5"), "x")
        else:
            layout = h5py.VirtualLayout((4, 2), np.uint8)
            layout[:] = h5py.VirtualSource(str(victim.folder / "a.h5"), "x", (4, 2))
            file.create_virtual_dataset("x", layout)


@pytest.mark.parametrize("link", ["storage", "link", "virtual"])
def test_hdf5_shows_no_other_file(tmp_path: Path, victim: Victim, link: str) -> None:
    """External links, external storage and virtual datasets could show any file."""
    path = tmp_path / "a.h5"
    hdf5(path, link, victim)
    with pytest.raises(DataError, match="in another file"):
        read(path)


def test_hdf5_of_object_references_is_refused(tmp_path: Path) -> None:
    """References are no numbers."""
    import h5py

    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["y"] = np.array([0, 1])
        file.create_dataset("x", (2,), h5py.ref_dtype)
    with pytest.raises(DataError):
        read(path)
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros((2, 4), np.uint8)
        file.create_dataset("y", (2,), h5py.ref_dtype)
    with pytest.raises(DataError):
        read(path)


def test_hdf5_that_says_it_is_endless_is_refused(tmp_path: Path) -> None:
    """Labels that would fill any memory, in a file of some kilobytes."""
    import h5py

    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name in ("x", "y"):
            file.create_dataset(name, (1 << 46,), np.uint8, chunks=(1 << 20,))
    with pytest.raises(DataError):
        read(path)


def test_an_image_that_is_a_program_is_refused(tmp_path: Path) -> None:
    """PostScript under the name of a PNG is not handed to an interpreter."""
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nquit\n"
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "1.png").write_bytes(program)
    with pytest.raises(DataError, match="not an image"):
        read(tmp_path / "images")


def test_an_image_that_claims_a_huge_size_is_refused(tmp_path: Path) -> None:
    """A PNG of a few bytes with 10^9 pixels in its header."""
    from PIL import Image

    held = io.BytesIO()
    Image.new("L", (1, 1)).save(held, "PNG")
    raw = held.getvalue().replace(
        struct.pack(">II", 1, 1), struct.pack(">II", 1 << 15, 1 << 15)
    )
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "1.png").write_bytes(raw)
    with pytest.raises(DataError):
        read(tmp_path / "images")


@pytest.mark.parametrize("target", ["precious.txt", "new.txt"])
def test_the_form_for_caffe_is_not_made_behind_a_link(
    folder: Path, victim: Victim, target: str
) -> None:
    """A data folder's own folder for Caffe is made by us, not a link to anybody's."""
    from ribosome.backends.caffe.data import prepared

    (victim.folder / "lmdb-of-somebody").mkdir()
    (victim.folder / "lmdb-of-somebody" / "data").write_text("x")
    (folder / "caffe").symlink_to(victim.folder)
    before = Victim._seen(victim)
    made = prepared(str(folder), "lmdb")
    assert not made.train.startswith(str(folder))
    assert Victim._seen(victim) == before
    (folder / "caffe").unlink()
    (folder / "caffe").mkdir()
    (folder / "caffe" / ".lock").symlink_to(victim.folder / target)
    np.save(folder / "val_labels.npy", np.array([1, 0, 0, 1], np.int64))
    with pytest.raises(DataError):
        prepared(str(folder), "lmdb")
    assert Victim._seen(victim) == before
