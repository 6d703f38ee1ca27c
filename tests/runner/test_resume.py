"""Opening a run folder: what is checked before anything is written."""

import json
import sqlite3
from contextlib import closing
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from ribosome.backends.data import find_data
from ribosome.genome.errors import DataError, RunError
from ribosome.runner.config import Config, SpaceConfig, TaskConfig
from ribosome.runner.journal import Journal
from ribosome.runner.messages import Result
from ribosome.runner.observer import Silent
from ribosome.runner.records import read_config
from ribosome.runner.resume import open_run
from ribosome.runner.schema import LATER

GENOMES = (
    "lenet-1-02aq4cq8-jfm1",
    "lenet-1-00y96962-kbmr",
    "lenet-1-01953r8s-eh6h",
    "lenet-1-02erw3aw-3gbk",
)


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_of_other_files_is_left_alone(tmp_path: Path, resume: bool) -> None:
    """A config of the user's own in the folder is not written over."""
    (tmp_path / "config.toml").write_text("# mine")
    with pytest.raises(RunError, match=r"holds other files \(config\.toml\)"):
        open_run(Config(), tmp_path, resume=resume, observer=Silent())
    assert (tmp_path / "config.toml").read_text() == "# mine"
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


def test_a_file_is_no_run_folder(tmp_path: Path) -> None:
    """A path that is a file is refused."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file; name a new folder"):
        open_run(Config(), tmp_path / "file", resume=False, observer=Silent())


@pytest.mark.parametrize(
    ("part", "index", "value", "message"),
    [
        ("train_labels.npy", 3, 99, "99"),
        ("val_images.npy", 0, float("nan"), "NaN|nan|finite"),
    ],
)
def test_bad_data_is_refused_before_the_run_begins(
    tmp_path: Path, part: str, index: int, value: float, message: str
) -> None:
    """Labels out of range and pixels that are no numbers never reach a trainer."""
    data = tmp_path / "data"
    data.mkdir()
    for path in Path(find_data("digits")).glob("*.*"):
        (data / path.name).write_bytes(path.read_bytes())
    array = np.load(data / part)
    if "images" in part:
        array = array.astype(np.float32)
    array[index] = value
    np.save(data / part, array)
    config = Config(task=TaskConfig(data=str(data)))
    with pytest.raises(DataError, match=message):
        open_run(config, tmp_path / "run", resume=False, observer=Silent())
    assert not (tmp_path / "run").exists()


def test_a_new_run_begins_in_an_empty_folder(tmp_path: Path) -> None:
    """An empty folder, or one that a failed start left, is as good as a new one."""
    (tmp_path / "trials").mkdir()
    run = open_run(Config(), tmp_path, resume=False, observer=Silent())
    with closing(run.journal):
        assert (tmp_path / "config.toml").exists()


def test_a_config_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A run that cannot keep its config does not begin, and says which file it was."""
    with closing(open_run(Config(), tmp_path, resume=False, observer=Silent()).journal):
        pass
    (tmp_path / "config.draft").mkdir()
    with pytest.raises(RunError, match=r"config\.toml: cannot be written"):
        open_run(Config(), tmp_path, resume=True, observer=Silent())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder of the user's own."""
    return copied(Path(find_data("digits")), tmp_path / "data")


def copied(source: Path, target: Path) -> Path:
    """A copy of a folder of files."""
    target.mkdir()
    for path in source.glob("*.*"):
        (target / path.name).write_bytes(path.read_bytes())
    return target


def opened(run: Path, data: Path, *, space: str = "lenet", resume: bool) -> Config:
    """Open a run of these data and close it; the config that it goes by."""
    config = Config(task=TaskConfig(data=str(data)), space=SpaceConfig(name=space))
    found = open_run(config, run, resume=resume, observer=Silent())
    found.journal.close()
    return found.config


def test_a_run_goes_on_where_its_data_have_moved(tmp_path: Path, data: Path) -> None:
    """The same data at another path, as on another machine, are the same task."""
    opened(tmp_path / "run", data, resume=False)
    moved = copied(data, tmp_path / "moved")
    assert opened(tmp_path / "run", moved, resume=True).task.data == str(moved)
    assert read_config(tmp_path / "run").task.data == str(moved)


@pytest.mark.parametrize("moves", [True, False])
def test_a_run_does_not_go_on_with_other_data(
    tmp_path: Path, data: Path, moves: bool
) -> None:
    """One label is enough to make other data of them, at another path or at the same."""
    opened(tmp_path / "run", data, resume=False)
    other = copied(data, tmp_path / "other") if moves else data
    labels = np.load(other / "train_labels.npy")
    labels[0] = 1 - min(labels[0], 1)
    np.save(other / "train_labels.npy", labels)
    says = (
        "task.data was .* is now" if moves else "are not those that the run began with"
    )
    with pytest.raises(RunError, match=says):
        opened(tmp_path / "run", other, resume=True)


def test_a_run_of_the_first_version_knows_its_data_by_their_path(
    tmp_path: Path, data: Path
) -> None:
    """A journal without a fingerprint goes on with the same path, and then has one."""
    run = tmp_path / "run"
    opened(run, data, resume=False)
    with closing(sqlite3.connect(run / "journal.sqlite")) as database:
        database.execute("DELETE FROM meta WHERE key = 'data'")
        database.execute("UPDATE meta SET value = '1' WHERE key = 'schema'")
        database.execute("DROP TABLE workers")
        database.execute("DROP TABLE models")
        database.execute("DROP TABLE checks")
        for name in LATER:
            database.execute(f"ALTER TABLE trials DROP COLUMN {name}")
        database.commit()
    moved = copied(data, tmp_path / "moved")
    with pytest.raises(RunError, match=r"task\.data was .* is now"):
        opened(run, moved, resume=True)
    opened(run, data, resume=True)
    opened(run, moved, resume=True)


def test_a_run_goes_on_where_its_space_has_moved(tmp_path: Path, data: Path) -> None:
    """The same space file at another path means the same genomes; a changed one does not."""
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    text = (resources.files("ribosome.genome.spaces") / "lenet.toml").read_text()
    first.write_text(text)
    second.write_text(text)
    opened(tmp_path / "run", data, space=str(first), resume=False)
    opened(tmp_path / "run", data, space=str(second), resume=True)
    with pytest.raises(RunError, match=r"space\.name was .* is now 'menndl'"):
        opened(tmp_path / "run", data, space="menndl", resume=True)


def test_a_run_folder_may_move(tmp_path: Path, data: Path) -> None:
    """Nothing in a run folder knows where it lies."""
    opened(tmp_path / "run", data, resume=False)
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    opened(tmp_path / "elsewhere", data, resume=True)
    for path in (tmp_path / "elsewhere").iterdir():
        if path.is_file():
            assert str(tmp_path / "run").encode() not in path.read_bytes()


def test_folders_that_a_killed_master_left_are_removed(
    tmp_path: Path, data: Path
) -> None:
    """Of the trials that passed only the best one's folder stays; failures keep theirs."""
    run = tmp_path / "run"
    opened(run, data, resume=False)
    with closing(Journal(run)) as journal:
        for trial, genome in enumerate(GENOMES, 1):
            journal.propose(trial, genome, generation=0, parents=(), at=1.0)
        journal.finish(Result(1, "ok", 0.5), 1)
        journal.finish(Result(2, "ok", 0.75), 1)
        journal.finish(Result(3, "crashed"), 1)
        journal.commit(lambda: json.dumps(np.random.default_rng(1).bit_generator.state))
    for name in ("1", "2", "2.1", "3.1", "3.2", "4", "other"):
        (run / "trials" / name).mkdir()
    opened(run, data, resume=True)
    left = sorted(path.name for path in (run / "trials").iterdir())
    assert left == ["2", "3", "4", "other"]
