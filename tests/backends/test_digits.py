"""The built-in digits: all of scikit-learn's images, split for ever in the same way."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ribosome.backends import data_write
from ribosome.backends.data import cache_folder, find_data, open_arrays
from ribosome.backends.data_check import check_data
from ribosome.backends.digits import make_digits
from ribosome.genome.errors import DataError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("RIBOSOME_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("cache")
def test_no_image_is_lost_or_doubled() -> None:
    """Both parts together are scikit-learn's images and labels, in another order."""
    arrays = open_arrays(find_data("digits"))
    images = np.concatenate([arrays.train_images, arrays.val_images]).reshape(-1, 64)
    labels = np.concatenate([arrays.train_labels, arrays.val_labels])
    digits = load_digits()
    wanted = np.column_stack([digits.data.astype(int), digits.target])
    found = np.column_stack([images, labels])
    assert sorted(map(tuple, found)) == sorted(map(tuple, wanted))


@pytest.mark.usefixtures("cache")
def test_the_split_is_stratified() -> None:
    """1,437 and 360 images; every class has a fifth of its images in validation."""
    arrays = open_arrays(find_data("digits"))
    assert (len(arrays.train_labels), len(arrays.val_labels)) == (1437, 360)
    share = np.bincount(arrays.val_labels) / np.bincount(load_digits().target)
    assert np.all(np.abs(share - 0.2) < 0.005)


@pytest.mark.usefixtures("cache")
def test_the_split_never_changes() -> None:
    """Figures of all versions compare: the labels' order is that of the first version."""
    arrays = open_arrays(find_data("digits"))
    text = arrays.train_labels.tobytes() + arrays.val_labels.tobytes()
    assert hashlib.sha256(text).hexdigest()[:16] == "61d494605e091711"


@pytest.mark.usefixtures("cache")
def test_the_folder_is_sound() -> None:
    """The checks for foreign data find nothing."""
    check_data(find_data("digits"))


def test_nothing_but_the_folder_is_left(cache: Path) -> None:
    """No temporary folder stays behind."""
    find_data("digits")
    assert [path.name for path in (cache / "data").iterdir()] == ["digits-1"]


def test_two_processes_may_make_it_at_once(cache: Path) -> None:
    """Of processes that start together all find the same whole folder."""
    code = (
        "from ribosome.backends.data import find_data, open_arrays; "
        "print(open_arrays(find_data('digits')).train_labels.sum())"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    sums = [run.communicate()[0].strip() for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert len(set(sums)) == 1
    assert [path.name for path in (cache / "data").iterdir()] == ["digits-1"]


@pytest.mark.usefixtures("cache")
def test_the_loser_of_a_race_takes_the_winners_folder() -> None:
    """A folder that another process has made meanwhile is kept, and is no error."""
    folder = Path(find_data("digits"))
    before = (folder / "data.json").stat().st_mtime_ns
    make_digits(folder)
    assert (folder / "data.json").stat().st_mtime_ns == before


def test_a_cache_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in the place of the cache folder: the error says which variable to set."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("RIBOSOME_CACHE", str(blocked))
    assert cache_folder() == blocked
    with pytest.raises(DataError, match=r"cannot make the digits.*set RIBOSOME_CACHE"):
        find_data("digits")


def test_a_failure_half_way_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk fills up there is no half folder that a later run would read."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(data_write.np, "save", full)
    with pytest.raises(DataError, match="No space left"):
        find_data("digits")
    assert list((cache / "data").iterdir()) == []
