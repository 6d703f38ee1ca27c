"""A journal from elsewhere: what is read of it is checked, and none of its SQL is run.

SQLite keeps types loosely, and a file can hold views and triggers, which are programs; see
https://sqlite.org/security.html. A trial's number becomes the name of a folder, of which a
hostile one could make any path.
"""

import os
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ribosome.genome.harmless import harmless

_LONGEST = 1 << 24
"""Bytes of a value. The longest of ours is a config, of some thousand."""

_SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")
"""At the end of a rollback journal: a name in front of it is that of a file to remove."""

Row = TypeVar("Row", bound=msgspec.Struct)


def file_problem(path: Path) -> str:
    """Why a file and what lies beside it must not be opened as a journal; empty if fine.

    A writer may make and remove what lies beside it meanwhile: each is looked at once.
    """
    for end in ("", "-wal", "-shm", "-journal"):
        name = path.name + end
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(path.with_name(name).lstat().st_mode):
                return f"{name} is a link, or no file"
    beside = path.with_name(f"{path.name}-journal")
    with suppress(FileNotFoundError), beside.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - len(_SUPER_JOURNAL)))
        if file.read() == _SUPER_JOURNAL:
            return f"{beside.name} is of several databases"
    return ""


def restrain(database: sqlite3.Connection) -> None:
    """Set what SQLite may do with this connection's file, before any of it is read."""
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    database.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    database.setlimit(sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 1)
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA cell_size_check = ON")


def schema_problem(database: sqlite3.Connection) -> str:
    """What the file holds besides plain tables; empty if nothing. Raises sqlite3.Error."""
    for kind, name, sql in database.execute(
        "SELECT type, name, sql FROM sqlite_master"
    ):
        table = kind == "table" and str(sql).upper().startswith("CREATE TABLE")
        if not (table or (kind == "index" and sql is None)):
            return f"it holds a {harmless(str(kind))} {harmless(str(name))!r}"
        if table and _is_computed(database, name):
            return f"{harmless(str(name))} has columns that are computed"
    return ""


def _is_computed(database: sqlite3.Connection, table: str) -> bool:
    query = "SELECT 1 FROM pragma_table_xinfo(?) WHERE hidden"
    return database.execute(query, (table,)).fetchone() is not None


def checked(values: dict[str, Any], kind: type[Row]) -> Row:
    """A row as a struct, its texts harmless. Raises msgspec.ValidationError."""
    shown = {
        name: harmless(value) if isinstance(value, str) else value
        for name, value in values.items()
    }
    return msgspec.convert(shown, kind)
