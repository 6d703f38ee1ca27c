"""Opening a run folder: what is checked before anything is written."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from ribosome.backends.data import find_data
from ribosome.genome.errors import DataError, RunError
from ribosome.runner.config import Config, TaskConfig
from ribosome.runner.observer import Silent
from ribosome.runner.resume import open_run


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
