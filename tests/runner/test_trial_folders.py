"""The folders of trials, where a trial has run more than once."""

from pathlib import Path

from ribosome.runner.trial_folders import TrialFolders


def make(root: Path, *names: str) -> None:
    """Folders, each with a file that holds its first name."""
    for name in names:
        (root / name).mkdir()
        (root / name / "log").write_text(name)


def there(root: Path) -> dict[str, str]:
    """The folders, and the first name of each."""
    return {path.name: (path / "log").read_text() for path in root.iterdir()}


def test_a_copy_that_counts_gets_the_number(tmp_path: Path) -> None:
    """Of a worker that is dead nothing stays."""
    make(tmp_path, "7", "7.1")
    folders = TrialFolders(tmp_path)
    folders.settle(7, 1, others=[0], contested=False)
    folders.tidy()
    assert there(tmp_path) == {"7": "7.1"}


def test_a_contested_copy_keeps_its_name_until_the_end(tmp_path: Path) -> None:
    """Whoever comes back late finds nothing of another in the folder that was its own."""
    make(tmp_path, "7", "7.1")
    folders = TrialFolders(tmp_path)
    folders.settle(7, 1, others=[0], contested=True)
    folders.tidy()
    assert there(tmp_path) == {"7.1": "7.1"}
    make(tmp_path, "7")
    folders.remove_copy(7, 0)
    folders.tidy()
    assert there(tmp_path) == {"7.1": "7.1"}
    folders.tidy(end=True)
    assert there(tmp_path) == {"7": "7.1"}


def test_a_first_copy_that_counts_stays_where_it_is(tmp_path: Path) -> None:
    """The others' folders go."""
    make(tmp_path, "7", "7.1", "7.2", "8")
    folders = TrialFolders(tmp_path)
    folders.settle(7, 0, others=[1, 2], contested=True)
    folders.tidy()
    assert there(tmp_path) == {"7": "7", "8": "8"}


def test_a_superseded_trial_goes_whatever_its_name(tmp_path: Path) -> None:
    """Also one whose copy still has a name of its own."""
    make(tmp_path, "6", "7.1", "8.1")
    folders = TrialFolders(tmp_path)
    folders.settle(7, 1, others=[0], contested=True)
    folders.settle(8, 1, others=[0], contested=False)
    for trial in (6, 7, 8):
        folders.remove(trial)
    folders.tidy(end=True)
    assert there(tmp_path) == {}


def test_what_a_killed_master_left_is_named(tmp_path: Path) -> None:
    """The last copy stands for the trial; other names are left alone."""
    make(tmp_path, "7", "7.1", "8.1", "8.2", "x.1", "9")
    TrialFolders(tmp_path).recover()
    assert there(tmp_path) == {"7": "7.1", "8": "8.2", "x.1": "x.1", "9": "9"}
