"""The journal: what was committed is there, in order, for readers and after a kill."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partialmethod
from pathlib import Path

import pytest

from ribosome.genome.errors import RunError
from ribosome.runner.foreign import file_problem
from ribosome.runner.journal import Journal
from ribosome.runner.messages import Ready, Result
from ribosome.runner.models import ModelRecord
from ribosome.runner.records import (
    WorkerRecord,
    read_best,
    read_config,
    read_trials,
    read_workers,
)
from ribosome.runner.schema import LATER


def state() -> str:
    """A state of random numbers."""
    return "{}"


def propose(journal: Journal, trial: int, **changes: object) -> None:
    """Note a proposal."""
    settings = {"generation": 0, "parents": (), "at": 100.0 + trial, **changes}
    journal.propose(trial, f"genome-{trial}", **settings)  # type: ignore[arg-type]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A new journal."""
    made = Journal(tmp_path)
    made.create(config="{}")
    yield made
    made.close()


def test_a_row_has_every_column(journal: Journal, tmp_path: Path) -> None:
    """A finished trial reads back with every value that was noted of it."""
    propose(journal, 1, generation=3, parents=(7, 9))
    journal.start(1, 2, 101.5)
    journal.commit(state)
    journal.finish(
        Result(1, "ok", 0.5, 0.25, 10.0, 1e15, 1234, 4.5, 101.5, 106.0, "fine"), 2
    )
    journal.commit(state)
    (record,) = read_trials(tmp_path)
    assert (
        record.__class__(
            trial=1,
            genome="genome-1",
            phase="search",
            ending="ok",
            fitness=0.5,
            loss=0.25,
            batches_per_s=10.0,
            flops_per_batch=1e15,
            parameters=1234,
            seconds=4.5,
            worker=2,
            generation=3,
            parents=(7, 9),
            proposed_at=101.0,
            started_at=101.5,
            finished_at=106.0,
            message="fine",
        )
        == record
    )


def test_a_proposal_has_no_more_than_was_proposed(
    journal: Journal, tmp_path: Path
) -> None:
    """What is not known of a trial yet is None."""
    propose(journal, 1)
    journal.commit(state)
    (record,) = read_trials(tmp_path)
    unknown = (record.ending, record.fitness, record.worker, record.started_at)
    assert unknown == (None,) * 4


def test_a_start_is_kept_before_the_result(journal: Journal, tmp_path: Path) -> None:
    """A running trial shows its worker and when it began."""
    propose(journal, 1)
    journal.start(1, 2, 101.5)
    journal.commit(state)
    (record,) = read_trials(tmp_path)
    assert (record.worker, record.started_at, record.ending) == (2, 101.5, None)


def test_nothing_is_visible_before_the_commit(journal: Journal, tmp_path: Path) -> None:
    """A reader sees whole turns only."""
    propose(journal, 1)
    assert read_trials(tmp_path) == []


def test_replay_gives_the_order_of_asks_and_tells(journal: Journal) -> None:
    """A result that came before a later proposal is replayed before it."""
    propose(journal, 1)
    propose(journal, 2)
    journal.finish(Result(2, "ok", 0.5), 1)
    propose(journal, 3)
    journal.commit(state)
    journal.finish(Result(1, "crashed"), 1)
    journal.commit(state)
    steps = [(what, record.trial) for what, record in journal.replay()]
    assert steps == [("asked", 1), ("asked", 2), ("told", 2), ("asked", 3), ("told", 1)]


def test_the_order_goes_on_in_a_reopened_journal(tmp_path: Path) -> None:
    """Steps of a second session come after those of the first."""
    first = Journal(tmp_path)
    first.create()
    propose(first, 1)
    propose(first, 2)
    first.commit(state)
    first.close()
    second = Journal(tmp_path)
    second.finish(Result(1, "ok", 0.5), 1)
    propose(second, 3)
    second.commit(state)
    steps = [(what, record.trial) for what, record in second.replay()]
    second.close()
    assert steps == [("asked", 1), ("asked", 2), ("told", 1), ("asked", 3)]


def test_the_random_state_is_that_of_the_last_proposal(journal: Journal) -> None:
    """A turn without proposals leaves the state of the random numbers alone."""
    propose(journal, 1)
    journal.commit(lambda: "after the proposal")
    journal.finish(Result(1, "ok", 0.5), 1)
    journal.commit(lambda: "after the result")
    assert journal.random_state() == "after the proposal"


def test_a_reader_reads_while_a_transaction_is_open(
    journal: Journal, tmp_path: Path
) -> None:
    """A reader and the writer do not wait for each other."""
    propose(journal, 1)
    journal.commit(state)
    reader = sqlite3.connect(tmp_path / "journal.sqlite", timeout=0)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM trials").fetchone()
    propose(journal, 2)
    journal.commit(state)
    seen = reader.execute("SELECT count(*) FROM trials").fetchone()[0]
    reader.close()
    assert (seen, len(read_trials(tmp_path))) == (1, 2)


def test_a_closed_journal_is_one_file(tmp_path: Path) -> None:
    """A closed journal needs no log beside it, not even to be read."""
    journal = Journal(tmp_path)
    journal.create()
    propose(journal, 1)
    journal.commit(state)
    journal.close()
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as reader:
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "journal.sqlite",
        "lock",
    ]


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """A journal of a newer Ribosome is left alone, with a line that says what to do."""
    journal = Journal(tmp_path)
    journal.create(ribosome="9.9")
    journal.amend(schema="999")
    journal.close()
    with pytest.raises(RunError, match=r"Ribosome 9\.9.*schema 999.*update Ribosome"):
        Journal(tmp_path)
    with pytest.raises(RunError, match="schema 999"):
        read_trials(tmp_path)


def test_every_joining_of_a_worker_is_kept(journal: Journal, tmp_path: Path) -> None:
    """A worker that comes back is there twice, with the pid of each time."""
    journal.worker(2, Ready("node1", 77, "3", "/bb", 1 << 40), at=100.0)
    journal.commit(state)
    journal.worker(2, Ready("node1", 88), at=101.0)
    journal.commit(state)
    assert read_workers(tmp_path) == [
        WorkerRecord(2, "node1", 77, "3", "/bb", 1 << 40, 100.0),
        WorkerRecord(2, "node1", 88, None, "", 0, 101.0),
    ]


def older(folder: Path, version: int) -> None:
    """A journal of version 1 or 2, with one proposal."""
    with closing(Journal(folder)) as journal:
        journal.create(config="{}")
        propose(journal, 1)
        journal.commit(state)
    with closing(sqlite3.connect(folder / "journal.sqlite")) as database:
        database.execute("DROP TABLE models")
        database.execute("DROP TABLE checks")
        for name in LATER:
            database.execute(f"ALTER TABLE trials DROP COLUMN {name}")
        if version == 1:
            database.execute("DROP TABLE workers")
        database.execute(f"UPDATE meta SET value = '{version}' WHERE key = 'schema'")
        database.commit()


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_journal_is_read(tmp_path: Path, version: int) -> None:
    """Reading a journal of an older version changes nothing in it."""
    older(tmp_path, version)
    before = (tmp_path / "journal.sqlite").read_bytes()
    assert [(r.trial, r.model) for r in read_trials(tmp_path)] == [(1, None)]
    assert read_workers(tmp_path) == []
    assert read_best(tmp_path, 1) == []
    assert (tmp_path / "journal.sqlite").read_bytes() == before


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_journal_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    """After `upgrade` an older journal takes workers and models, and is of this version."""
    older(tmp_path, version)
    with closing(Journal(tmp_path)) as journal:
        assert journal.models() == []
        journal.upgrade()
        journal.model(ModelRecord(1, "lenet"), at=1.0)
        journal.propose(2, "", generation=0, parents=(), at=1.0, phase="tune", model=1)
        journal.worker(1, Ready("here", 7), at=1.0)
        journal.commit(state)
    with closing(Journal(tmp_path)) as journal:
        assert journal.meta["schema"] == "3"
        assert journal.models() == [ModelRecord(1, "lenet")]
    assert [joined.pid for joined in read_workers(tmp_path)] == [7]
    assert [(r.trial, r.model) for r in read_trials(tmp_path)] == [(1, None), (2, 1)]


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    """A file that is no SQLite database is not written over."""
    (tmp_path / "journal.sqlite").write_text("this is my shopping list, not a database")
    with pytest.raises(RunError, match="is no journal"):
        Journal(tmp_path)


@pytest.mark.parametrize("end", ["-wal", "-shm", "-journal"])
def test_what_is_removed_while_it_is_looked_at_is_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """A run that begins or ends removes what a reader has just seen beside the journal."""
    Journal(tmp_path).close()
    beside = tmp_path / f"journal.sqlite{end}"
    beside.touch()
    look = Path.stat

    def remove_seen(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        seen = look(path, follow_symlinks=follow_symlinks)
        if path == beside:
            path.unlink()
        return seen

    monkeypatch.setattr(Path, "stat", remove_seen)
    monkeypatch.setattr(
        Path, "lstat", partialmethod(remove_seen, follow_symlinks=False)
    )
    assert file_problem(tmp_path / "journal.sqlite") == ""
    assert not beside.exists()


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    """Reading a folder without a run says how to start one."""
    with pytest.raises(RunError, match=r"no run is here.*ribosome search"):
        read_trials(tmp_path)


@pytest.mark.usefixtures("journal")
def test_a_second_master_is_told_who_has_the_folder(tmp_path: Path) -> None:
    """The lock names the host and pid of its holder, and since when it has the folder."""
    holder = rf"\(host \S+, pid {os.getpid()}, since \d{{4}}-\d\d-\d\d [\d:]+ [+-]\d+\)"
    with pytest.raises(RunError, match=holder):
        Journal(tmp_path)


def test_the_lock_goes_with_the_journal(tmp_path: Path) -> None:
    """A closed journal can be opened again."""
    Journal(tmp_path).close()
    Journal(tmp_path).close()


def test_a_refused_journal_lets_the_lock_go(tmp_path: Path) -> None:
    """An open that fails does not keep the folder."""
    (tmp_path / "journal.sqlite").write_text("this is my shopping list, not a database")
    for _ in range(2):
        with pytest.raises(RunError, match="is no journal"):
            Journal(tmp_path)


def test_a_lock_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A folder where no file can be opened for writing is a RunError."""
    (tmp_path / "lock").mkdir()
    with pytest.raises(
        RunError, match=r"lock: cannot be opened: .*write to its folder"
    ):
        Journal(tmp_path)


def test_a_write_that_was_cut_off_is_no_damage(tmp_path: Path) -> None:
    """What a kill left half written is put right: in a copy to read it, on --resume."""
    work, left = tmp_path / "work", tmp_path / "left"
    work.mkdir()
    with closing(Journal(work)) as journal:
        journal.create(config="{}")
    with closing(sqlite3.connect(work / "journal.sqlite")) as database:
        database.execute("PRAGMA cache_size = 1")
        rows = [(str(key), "x" * 5000) for key in range(100)]
        database.executemany("INSERT INTO meta VALUES (?, ?)", rows)
        shutil.copytree(work, left)
    before = {path.name: path.read_bytes() for path in left.iterdir()}
    assert read_trials(left) == []
    assert {path.name: path.read_bytes() for path in left.iterdir()} == before
    with closing(Journal(left)) as mended:
        assert mended.meta == {"schema": "3", "config": "{}"}


def test_a_lock_that_is_gone_is_noticed(journal: Journal, tmp_path: Path) -> None:
    """A removed lock lets no second master in for longer than until the next look."""
    (tmp_path / "lock").unlink()
    journal.check_in_place()
    with pytest.raises(RunError, match="another search is writing here"):
        Journal(tmp_path)


def test_a_trial_that_another_master_wrote_is_no_internal_error(
    journal: Journal, tmp_path: Path
) -> None:
    """Where a lock failed, the second proposal of a number says so, and is not kept."""
    propose(journal, 1)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as database, database:
        database.execute(
            "INSERT INTO trials (trial, asked, genome, phase, generation, parents, "
            "proposed_at) VALUES (1, 1, 'other', 'search', 0, '[]', 1.0)"
        )
    with pytest.raises(RunError, match="another search has written to it"):
        journal.commit(state)
    assert [record.genome for record in read_trials(tmp_path)] == ["other"]


def test_a_file_that_is_gone_is_noticed(journal: Journal, tmp_path: Path) -> None:
    """SQLite would go on to write to a file that has no name any more."""
    journal.check_in_place()
    (tmp_path / "journal.sqlite").rename(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="was moved or removed"):
        journal.check_in_place()


def test_a_failed_write_says_what_to_do(journal: Journal) -> None:
    """A full disk is a RunError, not a traceback of SQLite."""
    journal._database.execute("PRAGMA max_page_count = 1")
    for trial in range(1, 1000):
        propose(journal, trial)
    with pytest.raises(RunError, match=r"cannot be written.*full.*--resume"):
        journal.commit(state)


def test_nan_never_reaches_a_column(journal: Journal, tmp_path: Path) -> None:
    """SQLite has no NaN: one that slips through is a missing value."""
    propose(journal, 1)
    journal.finish(Result(1, "diverged", loss=float("nan")), 1)
    journal.commit(state)
    assert read_trials(tmp_path)[0].loss is None


def test_a_killed_writer_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    """A process that is killed right after a commit leaves all of it."""
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from ribosome.runner.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1])); journal.create()\n"
        "for trial in range(1, 101):\n"
        "    journal.propose(trial, 'g', generation=0, parents=(), at=1.0)\n"
        "    journal.commit(lambda: str(trial))\n"
        "journal.propose(101, 'g', generation=0, parents=(), at=1.0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert len(read_trials(tmp_path)) == 100
    reopened = Journal(tmp_path)
    assert reopened.random_state() == "100"
    reopened.close()


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM meta",
        "DELETE FROM meta WHERE key = 'config'",
        "UPDATE meta SET value = 'junk' WHERE key = 'config'",
        "UPDATE meta SET value = 'x' WHERE key = 'schema'",
        "DROP TABLE trials",
        "UPDATE trials SET parents = 'xx'",
    ],
)
def test_a_damaged_journal_says_so(tmp_path: Path, harm: str) -> None:
    """Whatever is wrong inside, the error is one line that says what to do."""
    with closing(Journal(tmp_path)) as journal:
        journal.create(config="{}", space="s 1", fingerprint="0")
        journal.propose(1, "genome", generation=0, parents=(), at=1.0)
        journal.commit(str)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as database:
        database.execute(harm)
        database.commit()
    with pytest.raises(RunError, match=r"damaged one: .*; put back a copy") as caught:  # noqa: PT012
        read_config(tmp_path)
        read_trials(tmp_path)
    assert "\n" not in str(caught.value)
