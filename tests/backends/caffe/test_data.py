"""Forms of a data folder for Caffe: where they are, when they are made, who makes them."""

import json
import os
import shutil
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from ribosome.backends.caffe.data import (
    CaffeData,
    Layer,
    paths,
    prepared,
    read_form,
    write_form,
)
from ribosome.backends.data import open_arrays, read_info
from ribosome.genome.errors import DataError
from ribosome.tools.sources import read_source
from ribosome.tools.sources.source import Reading
from tests.backends.caffe.data_kit import MEAN, SCALE, make_data

LAYERS: tuple[Layer, ...] = ("lmdb", "hdf5")


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A data folder."""
    return str(make_data(tmp_path / "data"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("RIBOSOME_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder can be written to, as far as access(2) tells (root may always)."""
    monkeypatch.setattr("os.access", lambda *_: False)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The forms that are written."""
    found: list[Path] = []

    def watched(data_folder: str, out: Path, layer: Layer, **options) -> CaffeData:
        found.append(out)
        return write_form(data_folder, out, layer, **options)

    monkeypatch.setattr("ribosome.backends.caffe.data.write_form", watched)
    return found


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_form_holds_the_rows_in_their_order(
    tmp_path: Path, layer: Layer, dtype: str
) -> None:
    """LMDB the pixels as they are, HDF5 what a network sees of them."""
    folder = make_data(tmp_path / "data", dtype=dtype)
    write_form(str(folder), tmp_path / "form", layer)
    source = read_source(tmp_path / "form", Reading())
    arrays = open_arrays(str(folder))
    assert source.val is not None
    for part, images, labels in (
        (source.train, arrays.train_images, arrays.train_labels),
        (source.val, arrays.val_images, arrays.val_labels),
    ):
        held = part.images.read(range(len(labels)))
        wanted = np.asarray(images)
        if layer == "hdf5":
            mean = np.float32(MEAN)[:, None, None]
            wanted = (images.astype(np.float32) - mean) * np.float32(SCALE)
        assert held.dtype == wanted.dtype
        assert np.array_equal(held, wanted)
        assert np.array_equal(part.labels, labels)


@pytest.mark.parametrize("layer", LAYERS)
def test_paths_are_those_of_what_is_made(data: str, layer: Layer) -> None:
    """Absolute, the same before, in between and after; nothing is made to tell them."""
    before = paths(data, layer)
    assert sorted(file.name for file in Path(data).iterdir()) == sorted(
        ["data.json", *(f"{name}.npy" for name in open_arrays(data)._fields)]
    )
    assert prepared(data, layer) == before == paths(data, layer)
    for path in (before.train, before.val):
        assert Path(path).is_absolute()
        assert Path(path).exists()
        assert path.startswith(f"{data}/caffe/{layer}-")


@pytest.mark.parametrize("layer", LAYERS)
def test_a_form_is_made_once(data: str, layer: Layer, written: list[Path]) -> None:
    """The second call finds it."""
    assert prepared(data, layer) == prepared(data, layer)
    assert len(written) == 1


@pytest.mark.parametrize("layer", LAYERS)
def test_changed_data_gets_a_new_form(data: str, tmp_path: Path, layer: Layer) -> None:
    """Made anew in the same place: other paths, and the old form is removed."""
    old = prepared(data, layer)
    keep = prepared(data, "hdf5" if layer == "lmdb" else "lmdb")
    made = make_data(tmp_path / "new", count=8)
    for file in made.iterdir():
        file.rename(Path(data) / file.name)
    new = prepared(data, layer)
    assert new != old
    assert not Path(old.train).exists()
    assert Path(keep.train).exists()
    source = read_source(Path(new.train).parent, Reading())
    assert len(source.train.labels) == 8


def test_a_form_that_somebody_took_apart_is_made_again(data: str) -> None:
    """Without its form.json it does not count, and does not stand in the way."""
    made = Path(prepared(data, "lmdb").train)
    shutil.rmtree(made)
    (made.parent / "form.json").unlink()
    prepared(data, "lmdb")
    assert (made / "data.mdb").is_file()


@pytest.mark.parametrize("name", ["train_labels.npy", "val_images.npy", "data.json"])
def test_every_file_of_the_data_counts(data: str, name: str) -> None:
    """A new time of writing is a change."""
    before = paths(data, "lmdb")
    os.utime(Path(data) / name, ns=(1, 1))
    assert paths(data, "lmdb") != before


def test_a_copied_folder_keeps_its_lmdb_but_not_its_hdf5(
    data: str, tmp_path: Path, written: list[Path]
) -> None:
    """The lists of HDF5 have absolute paths in them."""
    for layer in LAYERS:
        prepared(data, layer)
    copy = shutil.copytree(data, tmp_path / "copy")
    written.clear()
    prepared(str(copy), "lmdb")
    assert written == []
    listed = Path(prepared(str(copy), "hdf5").train).read_text()
    assert listed.startswith(f"{copy}/caffe/hdf5-")
    assert len(written) == 1


@pytest.mark.usefixtures("read_only")
@pytest.mark.parametrize("layer", LAYERS)
def test_a_folder_that_is_read_only(data: str, cache: Path, layer: Layer) -> None:
    """Its form goes to the cache, and nothing into the folder."""
    made = prepared(data, layer)
    assert made == paths(data, layer)
    assert made.train.startswith(f"{cache}/caffe-data/")
    assert not (Path(data) / "caffe").exists()


def test_hdf5_of_a_path_with_spaces(tmp_path: Path, cache: Path) -> None:
    """Caffe's lists know no such path: the cache takes the form, LMDB stays."""
    data = str(make_data(tmp_path / "my data"))
    assert prepared(data, "hdf5").train.startswith(f"{cache}/caffe-data/")
    assert prepared(data, "lmdb").train.startswith(data)


def test_hdf5_where_every_path_has_spaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is refused, before anything is written."""
    monkeypatch.setenv("RIBOSOME_CACHE", str(tmp_path / "a cache"))
    data = str(make_data(tmp_path / "my data"))
    with pytest.raises(DataError, match="no path with a space in it"):
        prepared(data, "hdf5")


@pytest.mark.parametrize("layer", LAYERS)
def test_many_processes_at_once(data: str, layer: Layer) -> None:
    """All get the same whole form, and no half-written one is left."""
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        made = set(pool.map(prepared, [data] * 8, [layer] * 8))
    assert made == {paths(data, layer)}
    left = {file.name for file in (Path(data) / "caffe").iterdir()}
    assert left == {".lock", Path(made.pop().train).parent.name}


def test_the_second_one_waits_for_the_first(
    data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under one lock: what takes an hour is not done twice side by side."""
    active, most, calls = 0, 0, 0
    started = threading.Event()

    def slow(data_folder: str, out: Path, layer: Layer, **options) -> CaffeData:
        nonlocal active, most, calls
        active, calls = active + 1, calls + 1
        most = max(most, active)
        started.set()
        made = write_form(data_folder, out, layer, **options)
        active -= 1
        return made

    monkeypatch.setattr("ribosome.backends.caffe.data.write_form", slow)
    threads = [threading.Thread(target=prepared, args=(data, "lmdb")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, calls) == (1, 1)


def test_without_locks_the_loser_takes_the_winners_form(
    data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another node may finish first on a file system that knows no locks."""

    def no_locks(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    def overtaken(data_folder: str, out: Path, layer: Layer, **options) -> CaffeData:
        write_form(data_folder, out, layer, **options)
        return write_form(data_folder, out, layer, **options)

    monkeypatch.setattr("fcntl.flock", no_locks)
    monkeypatch.setattr("ribosome.backends.caffe.data.write_form", overtaken)
    made = prepared(data, "lmdb")
    assert len(read_source(Path(made.train).parent, Reading()).train.labels) == 7
    assert len(list((Path(data) / "caffe").iterdir())) == 2


def test_what_a_killed_writer_left_is_never_used_and_goes_after_an_hour(
    data: str,
) -> None:
    """A fresh one may be of a writer at work on another node."""
    home = Path(data) / "caffe"
    for name, at in ((".lmdb-aaaa-1", 1), (".lmdb-bbbb-2", None)):
        (home / name).mkdir(parents=True)
        if at:
            os.utime(home / name, (at, at))
    prepared(data, "lmdb")
    assert not (home / ".lmdb-aaaa-1").exists()
    assert (home / ".lmdb-bbbb-2").exists()


@pytest.mark.parametrize("layer", LAYERS)
def test_a_form_that_fails_leaves_nothing(
    data: str, monkeypatch: pytest.MonkeyPatch, layer: Layer
) -> None:
    """A full disk: one line, and no form that would be taken for whole."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.rename", full)
    with pytest.raises(DataError, match=r"cannot make.*No space left on device"):
        prepared(data, layer)
    assert [file.name for file in (Path(data) / "caffe").iterdir()] == [".lock"]


@pytest.mark.parametrize("layer", LAYERS)
def test_labels_are_checked_before_caffe_sees_them(data: str, layer: Layer) -> None:
    """Caffe would read memory that is not its own."""
    labels = np.load(f"{data}/val_labels.npy")
    labels[2] = 3
    np.save(f"{data}/val_labels.npy", labels)
    with pytest.raises(DataError, match="label 3 of image 2 is out of range"):
        prepared(data, layer)


def test_no_data_folder(tmp_path: Path) -> None:
    """One line that says how to make one."""
    with pytest.raises(DataError, match="ribosome data convert"):
        paths(str(tmp_path), "lmdb")


def test_a_form_says_where_it_came_from(data: str, tmp_path: Path) -> None:
    """Name, classes and normalisation survive."""
    write_form(data, tmp_path / "form", "lmdb")
    form = read_form(tmp_path / "form", "lmdb")
    wanted = read_info(data)
    assert form is not None
    assert form.class_names == wanted.class_names == ("a", "b", "c")
    assert (form.mean, form.scale) == (wanted.mean, wanted.scale) == (MEAN, SCALE)
    assert read_form(tmp_path / "form", "hdf5") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"layer": "other"}', "[" * 9999])
def test_a_form_json_of_others_is_none_of_ours(tmp_path: Path, text: str) -> None:
    """It is passed over."""
    (tmp_path / "form.json").write_text(text)
    assert read_form(tmp_path, "lmdb") is None


def test_a_form_json_that_is_damaged(data: str, tmp_path: Path) -> None:
    """It is named."""
    write_form(data, tmp_path / "form", "lmdb")
    file = tmp_path / "form" / "form.json"
    for change in ({"mean": [1.0]}, {"classes": "x"}):
        file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
        with pytest.raises(DataError, match=r"form\.json: "):
            read_form(tmp_path / "form", "lmdb")


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("how", ["gone", "cut", "zeroed"])
def test_a_form_that_lost_a_file_is_made_again(
    data: str, layer: Layer, how: str
) -> None:
    """Who cleans up a disk does not take whole folders; and a disk may fail."""
    made = prepared(data, layer)
    lost = Path(made.val) / "data.mdb" if layer == "lmdb" else Path(made.val)
    if layer == "hdf5":
        lost = Path(lost.read_text().splitlines()[0])
    before = lost.read_bytes()
    if how == "gone":
        lost.unlink()
    else:
        lost.write_bytes(before[:100] if how == "cut" else bytes(len(before)))
    assert prepared(data, layer) == made
    assert len(lost.read_bytes()) == len(before)
    assert any(lost.read_bytes())
