"""The data that trials read, lost and found again."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from staging_kit import SOURCE_BYTES, contents, make_source

from ribosome.genome.errors import ConfigError
from ribosome.genome.task import DIGITS, Task
from ribosome.runner.evaluator import Unfit
from ribosome.runner.trial_data import TrialData


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A data folder."""
    return make_source(tmp_path / "source")


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A node's storage."""
    folder = tmp_path / "room"
    folder.mkdir()
    return folder


def nothing(task: Task) -> str:
    """A backend that needs nothing of its own."""
    del task
    return ""


@contextmanager
def data_of(
    source: Path, setting: str, prepare: object = nothing, going: object = lambda: None
) -> Iterator[TrialData]:
    """The data of a worker, given back at the end."""
    task = replace(DIGITS, data=str(source))
    data = TrialData(task, setting, prepare, going=going)  # type: ignore[arg-type]
    data.close = data.release  # type: ignore[attr-defined]
    with closing(data):  # type: ignore[type-var]
        yield data


def test_data_that_is_as_it_was_is_no_excuse(source: Path, room: Path) -> None:
    """Neither the copy nor the data folder itself: the network failed."""
    for setting in ("none", str(room)):
        with data_of(source, setting) as data:
            assert data.regain() == ""


@pytest.mark.parametrize("how", ["folder", "file", "cut"])
def test_a_lost_copy_is_made_again(source: Path, room: Path, how: str) -> None:
    """Whatever is missing of it; what was lost is said, and where."""
    with data_of(source, str(room)) as data:
        copy = Path(data.task.data)
        if how == "folder":
            shutil.rmtree(copy.parent)
        elif how == "file":
            (copy / "train_images.npy").unlink()
        else:
            (copy / "val_images.npy").write_bytes(b"")
        assert data.regain() == (
            f"the data in {copy} was removed or changed during the trial"
        )
        again = Path(data.task.data)
        assert again.is_relative_to(room)
        assert contents(again) == contents(source)
        assert data.bytes_read == SOURCE_BYTES
        assert data.regain() == ""
    assert list(room.iterdir()) == []


def test_a_copy_that_another_worker_has_made_again_is_shared(
    source: Path, room: Path
) -> None:
    """It is read once more for the node, not once for each worker."""
    with data_of(source, str(room)) as first, data_of(source, str(room)) as second:
        shutil.rmtree(first.copy)
        assert first.regain()
        assert second.regain()
        assert (first.bytes_read, second.bytes_read) == (SOURCE_BYTES, 0)
        assert first.copy == second.copy


def test_storage_that_loses_copies_is_done_without(source: Path, room: Path) -> None:
    """After the second loss trials read the data folder itself."""
    with data_of(source, str(room)) as data:
        for _ in range(2):
            shutil.rmtree(data.copy)
            assert data.regain()
        assert data.copy == ""
        assert data.task.data == str(source)
        assert data.regain() == ""


def test_where_there_is_no_room_any_more_the_source_is_read(
    source: Path, room: Path
) -> None:
    """The reason is the worker's warning."""
    with data_of(source, str(room)) as data:
        shutil.rmtree(room)
        assert data.regain()
        assert data.task.data == str(source)
        assert "itself, not a copy on their node" in data.warning


@pytest.mark.parametrize("how", ["gone", "changed"])
@pytest.mark.parametrize("staged", [False, True])
def test_without_the_data_folder_a_worker_is_unfit(
    source: Path, room: Path, how: str, staged: bool
) -> None:
    """Not even a copy can be made of it; the folder is named, and what to do."""
    with data_of(source, str(room) if staged else "none") as data:
        if staged:
            shutil.rmtree(data.copy)
        if how == "gone":
            shutil.rmtree(source)
        else:
            (source / "train_images.npy").write_bytes(b"others")
        with pytest.raises(Unfit, match=f"{source}: was removed or changed .*--resume"):
            data.regain()


def test_a_data_folder_that_is_back_is_read_again(source: Path) -> None:
    """It was away for a while, and is what it was: the trial is done again."""
    with data_of(source, "none") as data:
        shutil.copytree(source, source.with_name("kept"))
        shutil.rmtree(source)
        shutil.copytree(source.with_name("kept"), source)
        assert data.regain()
        assert data.regain() == ""


def test_a_copy_outlives_its_source(source: Path, room: Path) -> None:
    """Who has one does not need the data folder."""
    with data_of(source, str(room)) as data:
        shutil.rmtree(source)
        assert data.regain() == ""


def test_what_the_backend_had_made_is_made_again(source: Path) -> None:
    """The trial failed for want of it, whoever has made it again meanwhile."""
    made = ["first"]
    with data_of(source, "none", lambda _: made[-1]) as data:
        assert data.regain() == ""
        made.append("second")
        assert data.regain() == f"what was made of {source} for trials was gone"
        assert data.regain() == ""


def test_a_backend_that_works_no_more_makes_a_worker_unfit(source: Path) -> None:
    """Its own words are kept."""
    works = [True]

    def prepare(task: Task) -> str:
        if not works:
            raise ConfigError(f"no caffe for {task.name} any more")
        return ""

    with data_of(source, "none", prepare) as data:
        works.clear()
        with pytest.raises(Unfit, match="no caffe for digits any more"):
            data.regain()


def test_a_worker_is_heard_while_it_copies_again(source: Path, room: Path) -> None:
    """What is called meanwhile may end it."""

    class Stopped(Exception):
        pass

    stop = []

    def going() -> None:
        if stop:
            raise Stopped

    with data_of(source, str(room), nothing, going) as data:
        shutil.rmtree(data.copy)
        stop.append(True)
        with pytest.raises(Stopped):
            data.regain()
        assert list(room.iterdir()) == []


def test_a_worker_is_heard_while_its_backend_prepares_again(source: Path) -> None:
    """The images in a form of its own may take as long as a copy."""
    begun, heard = Event(), Event()

    def prepare(task: Task) -> str:
        del task
        if begun.is_set():
            assert heard.wait(20.0)
        return str(begun.is_set())

    def going() -> None:
        if begun.is_set():
            heard.set()

    with data_of(source, "none", prepare, going) as data:
        begun.set()
        assert "for trials was gone" in data.regain()
    assert heard.is_set()


def test_what_was_made_anew_reads_no_data_for_a_copy(source: Path, room: Path) -> None:
    """The figure of what was read for copies does not count it twice."""
    made = ["first"]
    with data_of(source, str(room), lambda _: made[-1]) as data:
        assert data.bytes_read == SOURCE_BYTES
        made.append("second")
        assert data.regain()
        assert data.bytes_read == 0


def test_a_file_system_that_fails_makes_a_worker_unfit(source: Path) -> None:
    """The network is not to blame for that either."""
    fails: list[OSError] = []

    def prepare(task: Task) -> str:
        del task
        if fails:
            raise fails[0]
        return ""

    with data_of(source, "none", prepare) as data:
        fails.append(OSError(5, "Input/output error"))
        with pytest.raises(Unfit, match="Input/output error"):
            data.regain()
