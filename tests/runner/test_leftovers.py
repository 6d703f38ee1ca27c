"""What stays in the folder of a failed trial: what we wrote, and nothing behind a link."""

from pathlib import Path

import pytest

from ribosome.runner.leftovers import clear

KEEP = ("network.py", "deep/er/trial.json", "log.txt")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a trial as we write it."""
    folder = tmp_path / "7"
    for name in KEEP:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("ours")
    return folder


def files(folder: Path) -> set[str]:
    """All that is in a folder, folders left out."""
    paths = folder.rglob("*")
    return {str(p.relative_to(folder)) for p in paths if p.is_symlink() or p.is_file()}


def test_only_what_is_ours_stays(folder: Path) -> None:
    """Files and folders of a trainer go, in our folders too."""
    for name in ("core", "deep/core", "deep/er/core", "own/weights", "log.txt.1"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("large")
    clear(folder, keep=KEEP)
    assert files(folder) == set(KEEP)
    assert not (folder / "own").exists()


def test_a_link_goes_and_what_it_leads_to_stays(folder: Path, tmp_path: Path) -> None:
    """Also where it has the name of a file or a folder of ours."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "er").mkdir(parents=True)
    (elsewhere / "er" / "thesis").write_text("years of work")
    (folder / "out").symlink_to(elsewhere)
    (folder / "deep" / "er" / "trial.json").unlink()
    (folder / "deep" / "er").rmdir()
    (folder / "deep").rmdir()
    (folder / "deep").symlink_to(elsewhere)
    (folder / "network.py").unlink()
    (folder / "network.py").symlink_to(elsewhere / "er" / "thesis")
    clear(folder, keep=KEEP)
    assert files(folder) == {"log.txt"}
    assert files(elsewhere) == {"er/thesis"}


def test_a_folder_in_a_files_place_goes(folder: Path) -> None:
    """A name of ours is kept only where a file has it."""
    (folder / "log.txt").unlink()
    (folder / "log.txt" / "in").mkdir(parents=True)
    clear(folder, keep=KEEP)
    assert not (folder / "log.txt").exists()


def test_a_folder_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    """A trainer may have removed it."""
    clear(tmp_path / "gone", keep=KEEP)
