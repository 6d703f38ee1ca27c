"""The journal's tables, and opening the file that holds them."""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ribosome.genome.errors import RunError
from ribosome.runner.config import Config, decode_config
from ribosome.runner.foreign import file_problem, restrain, schema_problem

FILE = "journal.sqlite"
VERSION = 3
"""2 added the table of workers, 3 those of models and of checks, and of the trials their
model, their iterations, and whether they were stopped or rejected."""

WORKERS = """
    CREATE TABLE workers (
        worker INTEGER NOT NULL,
        host TEXT NOT NULL,
        pid INTEGER NOT NULL,
        gpu TEXT,
        staged TEXT NOT NULL,
        bytes_read INTEGER NOT NULL,
        joined_at REAL NOT NULL
    )
    """

MODELS = """
    CREATE TABLE models (
        number INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        template TEXT NOT NULL,
        results INTEGER NOT NULL,
        fitted TEXT NOT NULL
    )
    """
"""``fitted`` is JSON of `ribosome.search.svm.Fitted`, or null for drawing at random."""

CHECKS = """
    CREATE TABLE checks (
        trial INTEGER NOT NULL,
        iteration INTEGER NOT NULL,
        accuracy REAL NOT NULL,
        PRIMARY KEY (trial, iteration)
    ) WITHOUT ROWID
    """
"""Validations during training."""

LATER = ("model", "iterations", "stopped", "rejected")
"""The columns of trials that version 3 added."""

TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """
    CREATE TABLE trials (
        trial INTEGER PRIMARY KEY,
        asked INTEGER NOT NULL,
        told INTEGER,
        genome TEXT NOT NULL,
        phase TEXT NOT NULL,
        generation INTEGER NOT NULL,
        parents TEXT NOT NULL,
        worker INTEGER,
        ending TEXT,
        fitness REAL,
        loss REAL,
        batches_per_s REAL,
        flops_per_batch REAL,
        parameters INTEGER,
        seconds REAL,
        proposed_at REAL NOT NULL,
        random_state TEXT,
        started_at REAL,
        finished_at REAL,
        message TEXT,
        model INTEGER,
        iterations INTEGER,
        stopped INTEGER,
        rejected INTEGER
    )
    """,
    WORKERS,
    MODELS,
    CHECKS,
)

CHANGES = {
    2: (WORKERS,),
    3: (
        MODELS,
        CHECKS,
        *(f"ALTER TABLE trials ADD COLUMN {name} INTEGER" for name in LATER),
    ),
}
"""What brings a journal of the version before to a version."""


PATIENCE_S = 30.0
"""How long a reader and the writer wait for each other's lock on the file."""

_OUTSIDE = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
)
"""Errors that do not come from what stands in the file."""


def damaged(path: Path, why: object) -> RunError:
    """The error of a journal that cannot be read, for whatever reason."""
    if isinstance(why, sqlite3.Error) and why.sqlite_errorcode & 0xFF in _OUTSIDE:
        return RunError(
            f"{path}: cannot be read or written now: {why}; if the search was killed, go "
            "on with --resume; else make room, or try again later"
        )
    return RunError(
        f"{path}: is no journal, or a damaged one: {why}; put back a copy of it, or start "
        "another run"
    )


def held(path: Path) -> RunError:
    """The error of a journal that another program does not let go of."""
    return RunError(
        f"{path}: another program has it open and does not let go of it (a results "
        "command that was stopped, a database browser?); end that, then go on with --resume"
    )


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection without implicit transactions; ``mode`` is ro, rw or rwc.

    Raises RunError if the file cannot be opened, or is a link.
    """
    if problem := file_problem(path):
        raise damaged(path, problem)
    try:
        database = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=PATIENCE_S,
        )
        restrain(database)
        return database
    except sqlite3.Error as error:
        raise RunError(
            f"{path}: cannot be opened: {error}; check that you may read it"
        ) from None


def read_meta(database: sqlite3.Connection, path: Path) -> dict[str, str]:
    """The facts of the run, none for an empty file.

    Raises RunError for a damaged file and for one of a newer version.
    """
    try:
        if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            return {}
        if problem := schema_problem(database):
            raise damaged(path, problem)
        meta = dict(database.execute("SELECT key, value FROM meta"))
    except sqlite3.Error as error:
        raise damaged(path, error) from None
    if not all(isinstance(text, str) for fact in meta.items() for text in fact):
        raise damaged(path, "its facts are no texts")
    if not re.fullmatch("[0-9]{1,9}", meta.get("schema", "")):
        raise damaged(path, "it has no schema version")
    if int(meta["schema"]) > VERSION:
        raise RunError(
            f"{path}: was written by Ribosome {meta.get('ribosome', '?')}, whose journals "
            f"this version cannot read (schema {meta['schema']}, known up to {VERSION}); "
            "update Ribosome"
        )
    return meta


def trials_of(meta: Mapping[str, str]) -> str:
    """What to select trials from: every column is there, without a value in an older file."""
    if int(meta["schema"]) >= 3:
        return "trials"
    return f"(SELECT *, {', '.join(f'NULL AS {name}' for name in LATER)} FROM trials)"


def config_of(meta: Mapping[str, str], path: Path) -> Config:
    """The config that a run began with, from its facts. Raises RunError."""
    try:
        return decode_config(meta["config"])
    except (KeyError, RecursionError, msgspec.MsgspecError) as error:
        raise damaged(path, f"its config cannot be read ({error})") from None


@contextmanager
def transaction(database: sqlite3.Connection, path: Path) -> Iterator[None]:
    """All or nothing; raises RunError if it cannot be written."""
    try:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise held(path) from None
        raise RunError(
            f"{path}: cannot be written: {error}; what was committed is safe: make room or "
            "mend the disk, then go on with --resume"
        ) from None
    except sqlite3.IntegrityError:
        raise RunError(
            f"{path}: another search has written to it as well (was its lock removed, or is "
            "it on a node whose locks hold there alone?); end one, then go on with --resume"
        ) from None
