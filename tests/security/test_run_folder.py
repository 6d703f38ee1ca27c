"""The run folder: by the user's umask, and no link in it leads out of it."""

import os
import shutil
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ribosome.backends.nofollow import make_folder, open_file, remove, replace_text
from ribosome.genome.errors import RibosomeError, RunError
from ribosome.runner.config import (
    Config,
    RunnerConfig,
    SearchConfig,
    SpaceConfig,
    TrainingConfig,
)
from ribosome.runner.local import LOG, LocalTransport
from ribosome.runner.lock import FolderLock
from ribosome.runner.messages import Setup, Work
from ribosome.runner.observer import Silent
from ribosome.runner.resume import open_run

from .conftest import Victim

CONFIG = Config(
    space=SpaceConfig("lenet"),
    training=TrainingConfig(max_iterations=2, time_limit_s=0.0),
    search=SearchConfig(evaluations=2, population=2),
    runner=RunnerConfig(workers=1, keep_trials="all", gpus="none"),
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder, begun and closed."""
    folder = tmp_path / "run"
    open_run(CONFIG, folder, resume=False, observer=Silent()).journal.close()
    return folder


def resume(run: Path) -> None:
    """Go on with a run as far as its folder is opened."""
    open_run(CONFIG, run, resume=True, observer=Silent()).journal.close()


def test_a_run_folder_without_links_is_opened(run: Path, tmp_path: Path) -> None:
    """The run that these tests attack is fine; the folder itself may be a link."""
    resume(run)
    (tmp_path / "link").symlink_to(run)
    resume(tmp_path / "link")


@pytest.mark.parametrize("name", ["trials", "lock", "journal.sqlite", LOG])
@pytest.mark.parametrize("target", ["", "precious.txt", "new.txt"])
def test_a_link_in_a_run_folder_is_refused(
    run: Path, victim: Victim, name: str, target: str
) -> None:
    """Where a run writes or removes, it follows no link."""
    path = run / name
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    path.symlink_to(victim.folder / target)
    with pytest.raises(RunError) as caught:
        resume(run)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert victim.intact


@pytest.mark.parametrize("name", ["config.toml", "config.draft"])
def test_a_linked_config_is_replaced(run: Path, victim: Victim, name: str) -> None:
    """The config is written anew, in the place of a link and not behind it."""
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(victim.file)
    resume(run)
    assert victim.intact
    assert not (run / "config.toml").is_symlink()


def test_the_folder_of_a_trial_is_not_removed_behind_a_link(
    run: Path, victim: Victim
) -> None:
    """RUN/trials/7 -> elsewhere: the link goes, what it leads to stays."""
    (run / "trials" / "7").symlink_to(victim.folder / "7")
    remove(run / "trials" / "7")
    assert not (run / "trials" / "7").is_symlink()
    assert victim.intact


def test_nothing_is_removed_in_a_folder_that_is_a_link(
    tmp_path: Path, victim: Victim
) -> None:
    """TRIALS -> elsewhere: TRIALS/7 is neither removed nor made."""
    (tmp_path / "trials").symlink_to(victim.folder)
    remove(tmp_path / "trials" / "7")
    with pytest.raises(OSError, match="link"):
        make_folder(tmp_path / "trials" / "7")
    with pytest.raises(OSError, match="link"):
        make_folder(tmp_path / "trials" / "8")
    assert victim.intact


def test_a_folder_is_made_anew(tmp_path: Path) -> None:
    """A folder, a file or a link in its place goes first."""
    place = tmp_path / "trials" / "7"
    make_folder(place)
    (place / "old").write_text("old")
    make_folder(place)
    assert list(place.iterdir()) == []
    place.rmdir()
    place.write_text("a file")
    make_folder(place)
    assert list(place.iterdir()) == []


def test_a_folder_with_a_link_in_it_is_removed_without_what_it_leads_to(
    tmp_path: Path, victim: Victim
) -> None:
    """A trainer may leave links in its folder."""
    place = tmp_path / "trials" / "7"
    make_folder(place)
    (place / "out").symlink_to(victim.folder)
    (place / "file").symlink_to(victim.file)
    remove(place)
    assert not place.exists()
    assert victim.intact


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR | os.O_CREAT])
def test_only_a_regular_file_is_opened(
    tmp_path: Path, victim: Victim, flags: int
) -> None:
    """No link, no folder, and no pipe, which would be waited for."""
    (tmp_path / "link").symlink_to(victim.file)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "victim"):
        with pytest.raises(OSError, match=name):
            open_file(tmp_path / name, flags)
    assert victim.intact


def test_a_text_is_replaced_whole(tmp_path: Path, victim: Victim) -> None:
    """A draft that is a link is not written through."""
    (tmp_path / "a.draft").symlink_to(victim.file)
    replace_text(tmp_path / "a.toml", "new")
    assert (tmp_path / "a.toml").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.toml", "victim"]
    assert victim.intact


def test_the_log_of_workers_is_not_written_through_a_link(
    tmp_path: Path, victim: Victim
) -> None:
    """Also where the link came after the run was opened."""
    (tmp_path / LOG).symlink_to(victim.file)
    with closing(LocalTransport(1, tmp_path)) as transport, pytest.raises(RunError):
        transport.poll(0.0)
    assert victim.intact


def test_the_lock_is_not_written_through_a_link(tmp_path: Path, victim: Victim) -> None:
    """Who holds the folder is not written over somebody's file."""
    (tmp_path / "lock").symlink_to(victim.file)
    with pytest.raises(RunError, match="lock"):
        FolderLock(tmp_path)
    assert victim.intact


WIDER = """
import os, sys
os.umask(int(sys.argv[1], 8))
from tests.security.test_run_folder import CONFIG
from ribosome.runner.observer import Silent
from ribosome.runner.run import search
search(CONFIG, sys.argv[2], resume=False, observer=Silent())
"""


@pytest.mark.parametrize("mask", [0o077, 0o022, 0o027])
def test_a_run_is_as_open_as_the_umask(tmp_path: Path, mask: int) -> None:
    """Every file and folder of a run, trials and weights too, and of the cache."""
    cache = tmp_path / "cache"
    subprocess.run(
        [sys.executable, "-c", WIDER, f"{mask:o}", str(tmp_path / "run")],
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "RIBOSOME_CACHE": str(cache)},
        timeout=120,
    )
    made = [*(tmp_path / "run").rglob("*"), *cache.rglob("*"), tmp_path / "run", cache]
    names = {path.name for path in made}
    assert {"journal.sqlite", "lock", "config.toml", "network.py", "weights"} <= names
    for path in made:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert not mode & mask, f"{path}: {mode:o}"


def test_a_trial_writes_into_its_own_folder_only(run: Path, victim: Victim) -> None:
    """A worker whose RUN/trials became a link makes a result of that, and nothing else."""
    from ribosome.runner.config import encode_config
    from ribosome.runner.trial_evaluator import TrialEvaluator

    evaluator = TrialEvaluator(Setup(encode_config(CONFIG), str(run), 1))
    with closing(evaluator):
        (run / "trials").rmdir()
        (run / "trials").symlink_to(victim.folder)
        evaluator.start(Work(trial=7, genome=bytes(1), seed=1))
        result = evaluator.poll()
    assert result is not None
    assert result.ending in ("invalid", "crashed")
    assert victim.intact


def test_an_output_is_not_written_through_a_link(
    tmp_path: Path, victim: Victim
) -> None:
    """`-o DIR`: a file in DIR that is a link to nowhere is in the way."""
    from ribosome.tools.files import write_files

    out = tmp_path / "out"
    out.mkdir()
    for target in ("new.txt", "precious.txt"):
        (out / "network.py").unlink(missing_ok=True)
        (out / "network.py").symlink_to(victim.folder / target)
        with pytest.raises(RibosomeError, match="is a link"):
            write_files(out, {"network.py": "x"})
    assert victim.intact
