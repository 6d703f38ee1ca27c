"""What is seen to before the first trial."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ribosome.backends.caffe.backend import Caffe
from ribosome.backends.caffe.binary import caffe_version
from ribosome.backends.caffe.schema import Flavour
from ribosome.backends.data import find_data, read_info
from ribosome.genome.errors import ConfigError
from ribosome.genome.task import Task, Training


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """The digits, below a cache of their own."""
    monkeypatch.setenv("RIBOSOME_CACHE", str(tmp_path / "cache"))
    caffe_version.cache_clear()
    return read_info(find_data("digits")).task(Training())


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Make a shell script the caffe to run."""
    caffe = folder / "caffe"
    caffe.write_text(f"#!/bin/sh\n{script}\n")
    caffe.chmod(0o755)
    monkeypatch.setenv("RIBOSOME_CAFFE", str(caffe))


@pytest.mark.parametrize(
    ("flavour", "version"),
    [("caffe", "1.0.0"), ("caffe", "0.17.4"), ("nvcaffe", "0.16.5")],
)
def test_a_caffe_that_reads_the_flavour_will_do(
    task: Task,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flavour: Flavour,
    version: str,
) -> None:
    """NVCaffe reads both."""
    install(tmp_path, monkeypatch, f"echo caffe version {version}")
    Caffe(flavour).prepare(task)


def test_a_caffe_of_bvlc_is_refused_for_nvcaffe(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would refuse every prototxt, and every genome would be called invalid."""
    install(tmp_path, monkeypatch, "echo caffe version 1.0.0-rc5")
    with pytest.raises(ConfigError, match=r"is Caffe 1\.0\.0-rc5.*nvcaffe"):
        Caffe("nvcaffe").prepare(task)


def test_a_caffe_that_lacks_a_library_is_refused(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each trial would crash, and the search would come to its end all the same."""
    install(tmp_path, monkeypatch, "echo libglog.so.0: cannot open >&2; exit 127")
    with pytest.raises(ConfigError, match=r"libglog\.so\.0: cannot open"):
        Caffe().prepare(task)


@pytest.mark.parametrize("layer", ["lmdb", "hdf5"])
def test_the_form_is_called_by_another_name_once_it_was_made_anew(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: str
) -> None:
    """Not before: what readers of an LMDB leave beside it changes nothing."""
    install(tmp_path, monkeypatch, "echo caffe version 1.0.0")
    task = replace(task, training=replace(task.training, data_layer=layer))
    name = Caffe().prepare(task)
    (form,) = Path(task.data, "caffe").glob(f"{layer}-*")
    for folder in (form, *form.glob("*_lmdb")):
        (folder / "lock.mdb").write_bytes(b"")
    assert Caffe().prepare(task) == name
    shutil.rmtree(form)
    assert Caffe().prepare(task) not in (name, "")
