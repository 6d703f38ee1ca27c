"""Reading a journal: in blocks, from folders that cannot be written, past a writer."""

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from journal_writer import commit, commits_in

from ribosome.genome.errors import RunError
from ribosome.runner import journal as writing
from ribosome.runner import records, schema
from ribosome.runner.journal import Journal
from ribosome.runner.messages import Result
from ribosome.runner.records import (
    count_endings,
    iter_trials,
    read_best,
    read_trials,
)

MODES = pytest.mark.parametrize("mode", ["wal", "rollback"])
NOBODY = 65534


@pytest.mark.parametrize("commits", [1, 3, 4])
def test_blocks_join_without_a_seam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    """However the number of trials falls on the size of a block, each comes once."""
    monkeypatch.setattr(records, "BLOCK", 4)
    with closing(Journal(tmp_path)) as journal:
        journal.create(config="{}")
        for number in range(1, commits + 1):
            commit(journal, number)
    assert commits_in(read_trials(tmp_path)) == commits


@MODES
def test_a_reader_between_two_blocks_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """A pager that shows the first lines for an hour leaves the writer alone."""
    monkeypatch.setattr(records, "BLOCK", 2)
    with closing(Journal(tmp_path, mode=mode)) as journal:
        journal._database.execute("PRAGMA busy_timeout = 0")
        journal.create(config="{}")
        commit(journal, 1)
        commit(journal, 2)
        reader = iter_trials(tmp_path)
        assert next(reader).trial == 1
        commit(journal, 3)
        assert [record.trial for record in reader] == [2, 3, 4, 5, 6]


@MODES
def test_a_reader_that_does_not_let_go_is_named(tmp_path: Path, mode: str) -> None:
    """With a rollback journal a commit waits for a reader, and at last says for what."""
    with closing(Journal(tmp_path, mode=mode)) as journal:
        journal.create(config="{}")
        commit(journal, 1)
        journal._database.execute("PRAGMA busy_timeout = 10")
        with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM trials").fetchone()
            if mode == "wal":
                commit(journal, 2)
            else:
                with pytest.raises(RunError, match=r"does not let go .*--resume"):
                    commit(journal, 2)


def test_a_writer_that_does_not_let_go_is_waited_for_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A master that was stopped in the middle of a commit is an error, not a hang."""
    monkeypatch.setattr(records, "PATIENCE_S", 0.02)
    with closing(Journal(tmp_path, mode="rollback")) as journal:
        journal.create(config="{}")
        journal._database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RunError, match=r"cannot be read or written now: .*locked"):
            read_trials(tmp_path)
        journal._database.execute("ROLLBACK")
        assert read_trials(tmp_path) == []


@pytest.fixture
def foreign() -> Iterator[Path]:
    """A folder that everybody can read and only its owner write."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        Path(folder).chmod(0o755)


def read_as_another(folder: Path) -> str:
    """What `read_trials` finds there as a user who may not write, or its error."""
    program = (
        "import os, sys; from ribosome.runner.records import read_trials, RunError\n"
        f"if os.geteuid() == 0: os.setgroups([]); os.setuid({NOBODY})\n"
        "try: print([record.trial for record in read_trials(sys.argv[1])])\n"
        "except RunError as error: print(error)\n"
    )
    if os.geteuid():
        folder.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return done.stdout.strip()


@MODES
@pytest.mark.parametrize("ends", ["closed", "killed", "running"])
def test_a_folder_that_cannot_be_written_is_read(
    foreign: Path, mode: str, ends: str
) -> None:
    """A run of somebody else: at its end, after a kill, and while it goes on."""
    journal = Journal(foreign, mode=mode)
    journal.create(config="{}")
    commit(journal, 1)
    if ends == "closed":
        journal.close()
    if ends == "killed":
        held = {path: path.read_bytes() for path in foreign.iterdir()}
        journal.close()
        for path, data in held.items():
            if not path.name.endswith("-shm"):
                path.write_bytes(data)
    before = {path.name: path.read_bytes() for path in foreign.iterdir()}
    assert read_as_another(foreign) == "[1, 2]"
    assert {path.name: path.read_bytes() for path in foreign.iterdir()} == before
    if ends == "running":
        journal.close()


def test_nothing_is_left_of_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was put right in a copy is read, and the copy removed."""
    run, room = tmp_path / "run", tmp_path / "room"
    run.mkdir()
    room.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(room))
    with closing(Journal(run)) as journal:
        journal.create(config="{}")
        commit(journal, 1)
    looked = []
    monkeypatch.setattr(records, "_is_cut_off", lambda _: not looked.append(1))
    assert commits_in(read_trials(run)) == 1
    assert looked
    assert list(room.iterdir()) == []


@pytest.mark.parametrize(
    ("mode", "shared", "expected"),
    [
        ("auto", False, "wal"),
        ("auto", True, "persist"),
        ("wal", True, "wal"),
        ("rollback", False, "persist"),
    ],
)
def test_a_shared_file_system_gets_a_rollback_journal(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    shared: bool,
    expected: str,
) -> None:
    """No shared memory where other nodes have the file; the setting goes before."""
    monkeypatch.setattr(writing, "is_shared", lambda _: shared)
    with closing(Journal(tmp_path, mode=mode)) as journal:
        journal.create(config="{}")
        (found,) = journal._database.execute("PRAGMA journal_mode").fetchone()
        assert found == expected
        assert not list(tmp_path.glob("*-shm")) or expected == "wal"


@pytest.mark.parametrize(
    ("first", "second"), [("wal", "rollback"), ("rollback", "wal")]
)
def test_a_run_goes_on_in_the_other_mode(
    tmp_path: Path, first: str, second: str
) -> None:
    """A run that was moved from a disk to a network file system, or back, after a kill."""
    work, moved = tmp_path / "work", tmp_path / "moved"
    work.mkdir()
    moved.mkdir()
    with closing(Journal(work, mode=first)) as journal:
        journal.create(config="{}")
        commit(journal, 1)
        commit(journal, 2)
        for path in work.iterdir():
            if not path.name.endswith(("-shm", "lock")):
                (moved / path.name).write_bytes(path.read_bytes())
    with closing(Journal(moved, mode=second)) as journal:
        assert not (moved / "journal.sqlite-shm").exists() or second == "wal"
        commit(journal, 3)
        assert commits_in(read_trials(moved)) == 3
    assert commits_in(read_trials(moved)) == 3


def test_a_reader_is_waited_for_when_the_mode_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that never ends keeps a run from going on in another mode, and is named."""
    monkeypatch.setattr(writing, "PATIENCE_S", 0.02)
    with closing(Journal(tmp_path, mode="rollback")) as journal:
        journal.create(config="{}")
    monkeypatch.setattr(schema, "PATIENCE_S", 0.02)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM trials").fetchone()
        with pytest.raises(RunError, match="does not let go"):
            Journal(tmp_path, mode="wal")
    Journal(tmp_path, mode="wal").close()


def test_the_best_are_those_of_the_whole_list(tmp_path: Path) -> None:
    """Sorted by the file itself as by hand: by fitness, then end, then number."""
    draws = random.Random(1)
    with closing(Journal(tmp_path)) as journal:
        journal.create(config="{}")
        for trial in range(1, 101):
            journal.propose(trial, "g", generation=0, parents=(), at=1.0)
            if trial % 10 == 3:
                journal.finish(Result(trial, "crashed"), 1)
            elif trial % 10:
                fitness, end = draws.randint(0, 9) / 10, float(draws.randint(0, 3))
                journal.finish(Result(trial, "ok", fitness, finished_at=end), 1)
        journal.commit(str)
    fit = [each for each in read_trials(tmp_path) if each.fitness is not None]
    fit.sort(key=lambda r: (-(r.fitness or 0.0), r.finished_at or 0.0, r.trial))
    assert read_best(tmp_path, 15) == fit[:15]
    assert read_best(tmp_path, 1000) == fit
    assert count_endings(tmp_path) == {"ok": 80, "crashed": 10, None: 10}
