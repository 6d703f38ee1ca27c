"""Data folders: finding, reading, and refusing what is damaged."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ribosome.backends.data import (
    builtin_names,
    cache_folder,
    find_data,
    open_arrays,
    read_info,
)
from ribosome.genome.errors import DataError
from ribosome.genome.task import DIGITS, Training


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small sound data folder, written by hand: 6 and 4 images of 1 x 2 x 3."""
    made = tmp_path / "small"
    made.mkdir()
    write_info(made)
    for part, count in (("train", 6), ("val", 4)):
        images = np.arange(count * 6, dtype=np.uint8).reshape(count, 1, 2, 3)
        np.save(made / f"{part}_images.npy", images)
        np.save(made / f"{part}_labels.npy", np.arange(count) % 2)
    return made


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("RIBOSOME_CACHE", str(tmp_path))
    return tmp_path


def write_info(folder: Path, **changes: object) -> None:
    """Write the small folder's data.json, with changes."""
    info = {
        "format": 1,
        "name": "small",
        "channels": 1,
        "height": 2,
        "width": 3,
        "classes": 2,
        "mean": [1.5],
        "scale": 0.5,
        "train": 6,
        "val": 4,
        "source": "a test",
    }
    (folder / "data.json").write_text(json.dumps({**info, **changes}))


def message(folder: Path) -> str:
    """The one line that opening the folder fails with."""
    with pytest.raises(DataError) as caught:
        open_arrays(str(folder))
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_info_is_what_data_json_says(folder: Path) -> None:
    """Every field of data.json arrives, and the task has them."""
    task = read_info(str(folder)).task(Training(max_iterations=7))
    assert task.shape == (1, 2, 3)
    assert (task.name, task.classes, task.mean, task.scale) == ("small", 2, (1.5,), 0.5)
    assert task.data == str(folder.resolve())
    assert task.training.max_iterations == 7


def test_arrays_are_mapped_and_read_only(folder: Path) -> None:
    """Images are not read into memory, and a trainer cannot write to them."""
    arrays = open_arrays(str(folder))
    assert isinstance(arrays.train_images, np.memmap)
    assert not arrays.train_images.flags.writeable
    assert arrays.val_images.shape == (4, 1, 2, 3)
    assert arrays.train_labels.tolist() == [0, 1, 0, 1, 0, 1]


def test_a_path_is_found_and_made_absolute(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path gives the absolute folder: trainers run elsewhere."""
    monkeypatch.chdir(folder.parent)
    assert find_data("small") == str(folder.resolve())


def test_a_misspelt_name_gets_the_nearest() -> None:
    """The error for an unknown name says which built-in is nearest."""
    with pytest.raises(DataError, match=r"'digit'.*did you mean 'digits'\?"):
        find_data("digit")


def test_an_unknown_name_lists_what_is_built_in() -> None:
    """Where nothing is near, the error names the built-in sets."""
    with pytest.raises(DataError, match=r"built in: digits"):
        find_data("nowhere/at/all")


def test_a_folder_without_data_json_is_refused(tmp_path: Path) -> None:
    """Any other folder is told how to be converted."""
    with pytest.raises(DataError, match=r"no data\.json.*ribosome data convert"):
        find_data(str(tmp_path))


@pytest.mark.parametrize("text", ["{", "[1]", '"format"', "\xff", "[" * 100_000])
def test_a_damaged_data_json_is_one_line(folder: Path, text: str) -> None:
    """What is not JSON, or not an object, is named as such."""
    (folder / "data.json").write_text(text, encoding="latin-1")
    assert "data.json: not" in message(folder)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": 2}, "not of format 1"),
        ({"classes": 0}, "classes is 0"),
        ({"train": -1}, "train is -1"),
        ({"channels": "one"}, r"Expected `int`, got `str` - at `$.channels`"),
        ({"mean": [1.0, 2.0]}, "2 means for 1 channels"),
        ({"mean": [math.nan]}, "mean and scale must be finite"),
        ({"scale": math.inf}, "mean and scale must be finite"),
        ({"scale": 0.0}, "scale not 0"),
        ({"class_names": ["a", "b", "c"]}, "3 class_names for 2 classes"),
    ],
)
def test_a_wrong_field_is_named(
    folder: Path, changes: dict[str, object], says: str
) -> None:
    """A value that cannot be is refused with its field."""
    write_info(folder, **changes)
    assert says in message(folder)


def test_shapes_that_disagree_are_refused(folder: Path) -> None:
    """An array of another shape than data.json says is named with both shapes."""
    write_info(folder, height=3)
    said = message(folder)
    assert (
        "train_images.npy: shape (6, 1, 2, 3), but data.json says (6, 1, 3, 3)" in said
    )


def test_another_type_is_refused(folder: Path) -> None:
    """Labels must be int64: a trainer indexes with them."""
    np.save(folder / "val_labels.npy", np.zeros(4, dtype=np.int8))
    assert "val_labels.npy: holds int8, but labels must be int64" in message(folder)


def test_a_missing_array_is_refused(folder: Path) -> None:
    """A file that is not there is named."""
    (folder / "val_images.npy").unlink()
    assert "val_images.npy: cannot be read (No such file" in message(folder)


def test_a_truncated_array_is_refused(folder: Path) -> None:
    """A file that was cut off is named."""
    path = folder / "train_images.npy"
    path.write_bytes(path.read_bytes()[:-3])
    assert "train_images.npy: cannot be read" in message(folder)


def test_a_pickled_array_is_never_loaded(folder: Path) -> None:
    """An array of Python objects is refused, not unpickled."""
    np.save(folder / "train_labels.npy", np.array([object()] * 6))
    assert "train_labels.npy: cannot be read" in message(folder)


def test_reading_the_info_needs_no_numpy(folder: Path) -> None:
    """The command line asks for shapes without importing numpy."""
    code = (
        "import sys; from ribosome.backends.data import read_info; "
        f"read_info({str(folder)!r}); print('numpy' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"


def test_the_cache_folder_obeys_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RIBOSOME_CACHE comes before XDG_CACHE_HOME, that before ~/.cache."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("RIBOSOME_CACHE", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "ribosome"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/ribosome")
    monkeypatch.setenv("RIBOSOME_CACHE", "/r")
    assert cache_folder() == Path("/r")


@pytest.mark.usefixtures("cache")
def test_the_default_task_is_the_built_in_one() -> None:
    """DIGITS, known without any data, says what the data folder says."""
    made = read_info(find_data("digits")).task(Training())
    assert made.shape == DIGITS.shape
    assert (made.name, made.classes) == (DIGITS.name, DIGITS.classes)
    assert (made.mean, made.scale) == (DIGITS.mean, DIGITS.scale)


@pytest.mark.usefixtures("cache")
def test_every_built_in_can_be_opened() -> None:
    """Each built-in name gives a folder that opens."""
    for name in builtin_names():
        assert read_info(find_data(name)).name == name
        open_arrays(find_data(name))
