"""A writer that is killed, and files cut off in the middle: what is left is a whole prefix."""

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from journal_writer import commit, commits_in

from ribosome.runner.journal import Journal
from ribosome.runner.records import read_trials

WRITER = str(Path(__file__).with_name("journal_writer.py"))
KILLS = 12
MODES = pytest.mark.parametrize("mode", ["wal", "rollback"])


def found(folder: Path, mode: str) -> int:
    """The commits in a folder, by a reader, then by a master that goes on and writes one."""
    seen = commits_in(read_trials(folder))
    with closing(Journal(folder, mode=mode)) as journal:
        if journal.meta and seen:
            assert journal.random_state() == str(seen)
            commit(journal, seen + 1)
    assert commits_in(read_trials(folder)) == seen + 1
    return seen


@MODES
def test_a_killed_writer_leaves_a_whole_number_of_commits(
    tmp_path: Path, mode: str
) -> None:
    """SIGKILL at any moment of a commit: all that was committed is there, and no half."""
    moments = random.Random(1)
    for number in range(KILLS):
        folder = tmp_path / str(number)
        folder.mkdir()
        command = [sys.executable, "-P", WRITER, str(folder), mode]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(moments.uniform(0.0, 0.03))
            writer.kill()
            told = writer.stdout.read().splitlines()
        assert found(folder, mode) >= int(told[-1] if told else 1)


def cut(moments: random.Random, data: bytes) -> bytes:
    """The end is missing."""
    return data[: moments.randrange(len(data))]


def scramble(moments: random.Random, data: bytes) -> bytes:
    """The last part was never written: it is whatever the disk held."""
    start = moments.randrange(len(data))
    return data[:start] + moments.randbytes(len(data) - start)


def blank(moments: random.Random, data: bytes) -> bytes:
    """The last part is of zeros, as a file system that had only lengthened it shows it."""
    start = moments.randrange(len(data))
    return data[:start] + bytes(len(data) - start)


HARMS = pytest.mark.parametrize("harm", [cut, scramble, blank])
Harm = Callable[[random.Random, bytes], bytes]


@HARMS
def test_a_torn_write_ahead_log_is_read_up_to_its_damage(
    tmp_path: Path, harm: Harm
) -> None:
    """Whatever a power cut leaves of the log's end, the commits before it are there."""
    moments = random.Random(2)
    work = tmp_path / "work"
    work.mkdir()
    with closing(Journal(work, mode="wal")) as journal:
        journal.create(config="{}")
        commit(journal, 1)
        journal._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for number in range(2, 10):
            commit(journal, number)
        whole = tmp_path / "whole"
        shutil.copytree(work, whole, ignore=shutil.ignore_patterns("*-shm", "lock"))
    log = (whole / "journal.sqlite-wal").read_bytes()
    seen = set()
    for number in range(30):
        folder = tmp_path / str(number)
        shutil.copytree(whole, folder)
        (folder / "journal.sqlite-wal").write_bytes(harm(moments, log))
        seen.add(found(folder, "wal"))
    assert seen <= set(range(1, 10))
    assert len(seen) > 3


@pytest.fixture
def halfway(tmp_path: Path) -> tuple[Path, bytes, int]:
    """A folder in the middle of a commit: its file half written, its rollback journal whole,
    the file as it was before, and the number of commits in that.
    """
    work, left = tmp_path / "work", tmp_path / "left"
    work.mkdir()
    with closing(Journal(work, mode="rollback")) as journal:
        journal.create(config="{}")
        for number in range(1, 40):
            commit(journal, number)
        before = (work / "journal.sqlite").read_bytes()
        journal._database.execute("PRAGMA cache_size = 1")
        journal._database.execute("BEGIN IMMEDIATE")
        journal._database.execute("UPDATE trials SET ending = 'torn', fitness = -1.0")
        journal._database.execute("UPDATE trials SET message = hex(zeroblob(900))")
        ignored = shutil.ignore_patterns("lock")
        shutil.copytree(work, left, ignore=ignored)
        journal._database.execute("ROLLBACK")
    assert (left / "journal.sqlite").read_bytes() != before
    return left, before, 39


def test_a_half_written_commit_is_rolled_back(
    halfway: tuple[Path, bytes, int], tmp_path: Path
) -> None:
    """Whichever pages of a commit had reached the file, it is undone as a whole."""
    left, before, commits = halfway
    moments = random.Random(3)
    after = (left / "journal.sqlite").read_bytes()
    for number in range(20):
        folder = tmp_path / str(number)
        shutil.copytree(left, folder)
        pages = [
            (before if moments.random() < 0.5 else after)[start : start + 4096]
            for start in range(0, len(before), 4096)
        ]
        rest = after[len(before) :]
        written = rest[: moments.randint(0, len(rest) // 4096) * 4096]
        (folder / "journal.sqlite").write_bytes(b"".join(pages) + written)
        assert found(folder, "rollback") == commits


@HARMS
def test_a_torn_rollback_journal_undoes_nothing(
    halfway: tuple[Path, bytes, int], tmp_path: Path, harm: Harm
) -> None:
    """A journal that was not whole yet belongs to a file that was not touched yet."""
    left, before, commits = halfway
    moments = random.Random(4)
    journal = (left / "journal.sqlite-journal").read_bytes()
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "journal.sqlite").write_bytes(before)
        (folder / "journal.sqlite-journal").write_bytes(harm(moments, journal))
        assert found(folder, "rollback") == commits


@MODES
def test_a_reader_in_a_loop_does_not_hold_up_the_writer(
    tmp_path: Path, mode: str
) -> None:
    """While a run writes, every look at it finds whole commits, and none fails."""
    command = [sys.executable, "-P", WRITER, str(tmp_path), mode, "300"]
    looks = set()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        while writer.poll() is None:
            looks.add(commits_in(read_trials(tmp_path)))
        written = writer.stdout.read().splitlines()
    assert writer.returncode == 0
    assert int(written[-1]) == 300 == commits_in(read_trials(tmp_path))
    assert len(looks) > 2
    # A look that began before the end of the log may leave an empty one.
    left = {path.name for path in tmp_path.iterdir() if path.stat().st_size}
    assert left - {"journal.sqlite-shm"} == {"journal.sqlite"}
