"""Journals that somebody has made by hand: nothing in one is run, followed or believed."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ribosome.genome.errors import RunError
from ribosome.runner.config import Config, encode_config
from ribosome.runner.journal import Journal
from ribosome.runner.messages import Result
from ribosome.runner.records import read_trials

from .conftest import Ribosome, Victim

ESCAPE = "\x1b]0;owned\x07\x1b[2J\u202eevil\x9b31m"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with one finished trial in its journal."""
    folder = tmp_path / "run"
    folder.mkdir()
    with closing(Journal(folder)) as journal:
        journal.create(config=encode_config(Config()).decode(), space="menndl 1")
        journal.propose(1, "menndl-1-abc-0000", generation=0, parents=(), at=1.0)
        journal.finish(Result(trial=1, ending="ok", fitness=0.5, seconds=1.0), 1)
        journal.commit(lambda: "{}")
    return folder


def alter(run: Path, *statements: str) -> None:
    """Change a journal as somebody with an editor for SQLite would."""
    with closing(sqlite3.connect(run / "journal.sqlite")) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def retyped(run: Path, column: str, value: object) -> None:
    """Make a column of any type, and put a value into it."""
    with closing(sqlite3.connect(run / "journal.sqlite")) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(trials)")]
        database.execute("ALTER TABLE trials RENAME TO old")
        database.execute(f"CREATE TABLE trials ({', '.join(columns)})")
        database.execute("INSERT INTO trials SELECT * FROM old")
        database.execute("DROP TABLE old")
        database.execute(f"UPDATE trials SET {column} = ?", (value,))
        database.commit()


def test_the_journal_is_read_as_it_is(run: Path) -> None:
    """The run that these tests alter is fine, and one of untyped columns as well."""
    assert read_trials(run)[0].fitness == 0.5
    retyped(run, "trial", 1)
    assert read_trials(run)[0].trial == 1


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("trial", "../../victim"),
        ("trial", "/etc"),
        ("trial", -1),
        ("trial", 1.5),
        ("trial", b"\x00"),
        ("genome", "../../../etc/passwd"),
        ("genome", "a\nb"),
        ("genome", "[red]a[/red]"),
        ("genome", 5),
        ("ending", "ok[/]"),
        ("ending", ESCAPE),
        ("phase", ESCAPE),
        ("fitness", "high"),
        ("fitness", float("inf")),
        ("seconds", float("-inf")),
        ("parents", "[" * 100_000),
        ("parents", '["../.."]'),
        ("parents", None),
        ("parents", "{}"),
        ("worker", "0"),
    ],
)
def test_a_value_of_another_kind_is_refused(
    run: Path, column: str, value: object
) -> None:
    """A number of a trial that is a path, a fitness that is a word: a damaged journal."""
    retyped(run, column, value)
    with pytest.raises(RunError, match="damaged"):
        read_trials(run)


VIEW = (
    "CREATE VIEW trials AS WITH RECURSIVE more(x) AS (SELECT 1 UNION ALL "
    "SELECT x + 1 FROM more) SELECT x AS trial, * FROM more"
)


@pytest.mark.parametrize(
    "statements",
    [
        ("DROP TABLE trials", VIEW),
        ("ALTER TABLE meta RENAME TO old", "CREATE VIEW meta AS SELECT * FROM old"),
        ("CREATE TRIGGER t AFTER UPDATE ON trials BEGIN DELETE FROM trials; END",),
        ("CREATE VIRTUAL TABLE more USING fts5(text)",),
        ("ALTER TABLE trials ADD COLUMN more AS (hex(zeroblob(500000000)))",),
        ("CREATE INDEX i ON trials (abs(trial))",),
    ],
)
def test_sql_in_the_file_is_not_run(run: Path, statements: tuple[str, ...]) -> None:
    """A view that never ends, a trigger, a computed column: refused, by readers and master."""
    alter(run, *statements)
    with pytest.raises(RunError, match="damaged"):
        read_trials(run)
    with pytest.raises(RunError, match="damaged"):
        Journal(run)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE meta SET value = 'x' WHERE key = 'schema'",
        f"UPDATE meta SET value = '{'9' * 5000}' WHERE key = 'schema'",
        "UPDATE meta SET value = '²' WHERE key = 'schema'",
        "UPDATE meta SET value = x'00' WHERE key = 'schema'",
        "UPDATE meta SET key = x'00' WHERE key = 'space'",
        "DELETE FROM meta WHERE key = 'schema'",
    ],
)
def test_facts_that_are_none_are_refused(run: Path, statement: str) -> None:
    """The schema's version is a small number, and every fact a text."""
    alter(run, statement)
    with pytest.raises(RunError, match="damaged"):
        read_trials(run)


def test_a_config_that_is_nested_without_end_is_refused(
    run: Path, ribosome: Ribosome
) -> None:
    """The config in a journal goes through a parser of bounded depth."""
    deep = '{"task":' + "[" * 200_000
    alter(run, f"UPDATE meta SET value = '{deep}' WHERE key = 'config'")
    result = ribosome("export", run, "-o", run / "out")
    assert result.exit_code == 1
    assert "its config cannot be read" in result.stderr


def test_a_huge_text_is_refused(run: Path) -> None:
    """A value of more than 16 MiB is not read into memory."""
    alter(run, "UPDATE trials SET message = hex(zeroblob(20000000))")
    with pytest.raises(RunError, match="damaged"):
        read_trials(run)


@pytest.mark.parametrize("options", [(), ("--failures",), ("--csv",), ("--json",)])
def test_a_message_cannot_drive_the_terminal(
    run: Path, ribosome: Ribosome, options: tuple[str, ...]
) -> None:
    """Escape sequences in a journal's texts are written out; markup is not obeyed."""
    message = f"{ESCAPE} [red]x[/red] [/]".replace("'", "''")
    alter(run, f"UPDATE trials SET ending = 'crashed', message = '{message}'")
    result = ribosome("results", run, *options)
    assert result.exit_code == 0, result.output
    for letter in ("\x1b", "\x07", "\x9b", "\u202e"):
        assert letter not in result.output
    if options:
        assert "[red]" in result.output


def test_a_table_for_spreadsheets_has_no_formulas(
    run: Path, ribosome: Ribosome
) -> None:
    """A message that a spreadsheet would calculate is a text there."""
    message = '=HYPERLINK("http://example.org")'
    alter(run, f"UPDATE trials SET ending = 'crashed', message = '{message}'")
    assert "\"'=HYPERLINK" in ribosome("results", run, "--csv").output


@pytest.mark.parametrize("name", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("target", ["precious.txt", "new.txt"])
def test_a_link_is_not_followed(
    run: Path, victim: Victim, name: str, target: str
) -> None:
    """The journal and the files of SQLite beside it are no links."""
    path = run / f"journal.sqlite{name}"
    path.unlink(missing_ok=True)
    path.symlink_to(victim.folder / target)
    with pytest.raises(RunError):
        Journal(run)
    with pytest.raises(RunError):
        read_trials(run)
    assert victim.intact


def test_a_pipe_is_not_waited_for(run: Path) -> None:
    """A journal that is a pipe is an error at once."""
    (run / "journal.sqlite").unlink()
    os.mkfifo(run / "journal.sqlite")
    with pytest.raises(RunError):
        Journal(run)
    with pytest.raises(RunError):
        read_trials(run)


def super_journal(run: Path, victim: Path) -> None:
    """Leave a rollback journal as after a crash, which names a file to be removed."""
    path = run / "journal.sqlite"
    hot = path.with_name("journal.sqlite-journal")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = PERSIST")
        database.execute("PRAGMA cache_size = 1")
        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE trials SET phase = 'other'")
        database.execute("CREATE TABLE filler (x)")
        for _ in range(50):
            database.execute("INSERT INTO filler VALUES (zeroblob(4000))")
        held = hot.read_bytes()
        database.execute("ROLLBACK")
    name = str(victim).encode()
    words = (
        b"\x40\x00\x00\x00",
        name,
        len(name).to_bytes(4, "big"),
        (sum(name) & 0xFFFFFFFF).to_bytes(4, "big"),
        bytes.fromhex("d9d505f920a163d7"),
    )
    hot.write_bytes(held + b"".join(words))


def test_no_file_is_removed_that_a_rollback_journal_names(
    run: Path, victim: Victim
) -> None:
    """SQLite removes the file that the end of a rollback journal names; ours has none."""
    super_journal(run, victim.file)
    with pytest.raises(RunError, match="several databases"):
        Journal(run)
    assert victim.intact
