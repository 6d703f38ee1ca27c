"""What a journal says, for who reads it: also while a master writes, or after it was killed.

A reader never holds the master up: it reads some thousand rows at a time and lets go of the
file in between, so each row is as it stood when it was read. What a killed master left half
written is put right in a copy, never in the run folder, which may be read-only.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from ribosome.genome.errors import RunError
from ribosome.genome.harmless import harmless
from ribosome.runner.bounds import Amount, GenomeText, Number, Size, Word
from ribosome.runner.config import Config
from ribosome.runner.confirmed import Confirmations
from ribosome.runner.foreign import checked
from ribosome.runner.journal_copy import copy_journal
from ribosome.runner.schema import (
    FILE,
    PATIENCE_S,
    VERSION,
    config_of,
    connect,
    damaged,
    read_meta,
    trials_of,
)

BLOCK = 10000
"""Rows that are read in one go, in about 20 ms: no commit waits longer for a reader."""

_RETRY_S = 0.001
"""Between tries to get in: a writer under load leaves the file alone for moments only."""


class _State(msgspec.Struct, frozen=True):
    rejected: Size = 0


decode_state = msgspec.json.Decoder(_State).decode
"""What stands beside the state of the random numbers."""

decode_parents = msgspec.json.Decoder(tuple[int, ...]).decode


class Record(msgspec.Struct, frozen=True):
    """One trial as the journal has it; ``ending`` is None until it has ended.

    Times are seconds since the epoch, ``parents`` are trial numbers, ``generation`` is 0
    for a random draw, ``worker`` counts from 1, and a missing value is None. ``model`` is
    what a trial of the tuning phase draws by; its genome is empty until that is known.
    ``iterations`` are the batches that were trained; one that was ``stopped`` during
    training has the accuracy of its last check, and one that was ``rejected`` before does
    not count as an evaluation.
    """

    trial: Number
    genome: GenomeText
    phase: Word
    ending: Word | None
    fitness: Amount | None
    loss: Amount | None
    batches_per_s: Amount | None
    flops_per_batch: Amount | None
    parameters: int | None
    seconds: Amount | None
    worker: Number | None
    generation: int
    parents: tuple[Number, ...]
    proposed_at: Amount
    started_at: Amount | None
    finished_at: Amount | None
    message: str | None
    model: Number | None = None
    iterations: Size | None = None
    stopped: bool = False
    rejected: bool = False


class WorkerRecord(msgspec.Struct, frozen=True):
    """A worker that was ready: it had joined, or its data had been lost and made anew.

    It may come back under its number with another pid.

    ``gpu`` is what its trainers see, None without one; ``staged`` is the copy of the data on
    its node that they read, empty where they read the data folder, and ``bytes_read`` what
    it read of that to make the copy; ``joined_at`` is in seconds since the epoch.
    """

    worker: int
    host: str
    pid: int
    gpu: str | None
    staged: str
    bytes_read: int
    joined_at: Amount


def read_config(folder: str | Path) -> Config:
    """The config that a run began with. Raises RunError where there is none."""
    with _opened(folder) as (_, meta):
        return config_of(meta, Path(folder) / FILE)


def read_facts(folder: str | Path) -> dict[str, str]:
    """The facts of a run by name, as its master noted them. Raises as `iter_trials`."""
    with _opened(folder) as (_, meta):
        return meta


def read_trials(folder: str | Path) -> list[Record]:
    """Every trial of a run, by number: about 1 kB each. Raises as `iter_trials`."""
    return list(iter_trials(folder))


def iter_trials(folder: str | Path) -> Iterator[Record]:
    """The trials of a run one by one, by number, in little memory however many there are.

    Raises RunError if there is no run, one of a newer version, or a damaged one.
    """
    path = Path(folder) / FILE
    with _opened(folder) as (database, meta):
        where = "true"
        while True:
            query = _select("trial", meta, where=where, limit=BLOCK)
            try:
                with _moment(database):
                    rows = database.execute(query).fetchall()
            except sqlite3.Error as error:
                raise damaged(path, error) from None
            for row in rows:
                yield _record(row, path)
            if len(rows) < BLOCK:
                return
            where = f"trial > {_record(rows[-1], path).trial}"


def read_best(folder: str | Path, top: int) -> list[Record]:
    """The ``top`` fittest trials, the fittest first; of equals, which ended first.

    Those that repeat one of them, and those that were stopped during training, are left out.
    SQLite picks them: among a million in a second. Raises as `iter_trials`.
    """
    order = "fitness DESC, coalesce(finished_at, 0.0), trial"
    where = "fitness IS NOT NULL AND phase != 'confirm' AND stopped IS NOT 1"
    return _select_trials(folder, "fitness", where=where, order=order, limit=top)


def read_confirmations(folder: str | Path) -> Confirmations:
    """What the repeats of a run's best networks say. Raises as `iter_trials`."""
    confirmations = Confirmations(read_config(folder).search.confirm_repeats)
    repeats = [
        record
        for record in _select_trials(folder, "trial", where="phase = 'confirm'")
        if record.parents
    ]
    numbers = ", ".join({str(record.parents[0]) for record in repeats})
    firsts = {
        record.trial: record
        for record in _select_trials(folder, "trial", where=f"trial IN ({numbers})")
    }
    for record in repeats:
        first = firsts.get(record.parents[0])
        if first and first.fitness is not None and record.ending is not None:
            confirmations.enter(first.trial, first.fitness, first.genome)
            confirmations.add(first.trial, record.trial, record.fitness)
    return confirmations


def count_endings(folder: str | Path) -> dict[str | None, int]:
    """How many trials ended how, by the word; None counts those that have not ended.

    Those that were rejected before training are left out. Raises as `iter_trials`.
    """
    query = (
        "SELECT ending, count(*) FROM trials WHERE rejected IS NOT 1 GROUP BY ending"
    )
    rows = read_rows(folder, query)
    if not all(word is None or isinstance(word, str) for word, _ in rows):
        raise damaged(Path(folder) / FILE, "an ending is no word")
    return {word and harmless(word): count for word, count in rows}


def count_searched(folder: str | Path) -> int:
    """How many trials of the search have ended. Raises as `iter_trials`."""
    query = (
        "SELECT count(*) FROM trials "
        "WHERE phase = 'search' AND ending IS NOT NULL AND rejected IS NOT 1"
    )
    ((count,),) = read_rows(folder, query)
    return int(count)


def count_beyond_limits(folder: str | Path) -> int:
    """How many genomes [limits] kept from being proposed. Raises as `iter_trials`."""
    query = (
        "SELECT random_state FROM trials WHERE random_state IS NOT NULL "
        "ORDER BY asked DESC LIMIT 1"
    )
    try:
        return sum(decode_state(text).rejected for (text,) in read_rows(folder, query))
    except (RecursionError, TypeError, msgspec.MsgspecError) as error:
        raise damaged(Path(folder) / FILE, error) from None


def read_workers(folder: str | Path) -> list[WorkerRecord]:
    """Every joining of a worker, in order; none for a run of before there was a table.

    Raises RunError if there is no run, or one of a newer version.
    """
    with _opened(folder) as (database, meta):
        if int(meta["schema"]) < 2:
            return []
        names = WorkerRecord.__struct_fields__
        query = f"SELECT {', '.join(names)} FROM workers ORDER BY rowid"
        try:
            with _moment(database):
                rows = database.execute(query).fetchall()
            return [
                checked(dict(zip(names, row, strict=True)), WorkerRecord)
                for row in rows
            ]
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise damaged(Path(folder) / FILE, error) from None


def _select_trials(
    folder: str | Path, column: str, *, where: str, order: str = "", limit: int = -1
) -> list[Record]:
    """The trials that a condition is true of."""
    path = Path(folder) / FILE
    with _opened(folder) as (database, meta):
        query = _select(column, meta, where=where, order=order, limit=limit)
        try:
            with _moment(database):
                rows = database.execute(query).fetchall()
        except sqlite3.Error as error:
            raise damaged(path, error) from None
    return [_record(row, path) for row in rows]


def read_rows(folder: str | Path, query: str) -> list[tuple[Any, ...]]:
    """What a query says that selects ``FROM trials``, in one moment of the run.

    Trials of before version 3 have its columns as well, without a value. Raises as
    `iter_trials`.
    """
    with _opened(folder) as (database, meta):
        query = query.replace("FROM trials", f"FROM {trials_of(meta)}")
        try:
            with _moment(database):
                return database.execute(query).fetchall()
        except sqlite3.Error as error:
            raise damaged(Path(folder) / FILE, error) from None


def ordered(
    database: sqlite3.Connection, path: Path, column: str
) -> Iterator[tuple[int, Record]]:
    """The trials that have a value in a column of whole numbers, with it, and by it.

    Raises RunError for anything in the file that is no trial of ours.
    """
    query = _select(column, {"schema": str(VERSION)}, where=f"{column} IS NOT NULL")
    try:
        for row in database.execute(query):
            if not isinstance(row[0], int):
                raise damaged(path, f"{column} is no whole number")
            yield row[0], _record(row, path)
    except sqlite3.Error as error:
        raise damaged(path, error) from None


def _select(
    column: str,
    meta: Mapping[str, str],
    *,
    where: str,
    order: str = "",
    limit: int = -1,
) -> str:
    """A query for a column, and behind it the fields of `Record`; in that column's order, if
    in no other. ``meta`` has the version of the file, whose trials may lack a column."""
    names = ", ".join(Record.__struct_fields__)
    return (
        f"SELECT {column}, {names} FROM {trials_of(meta)} "
        f"WHERE {where} ORDER BY {order or column} LIMIT {limit}"
    )


def _record(row: tuple[Any, ...], path: Path) -> Record:
    values = dict(zip(Record.__struct_fields__, row[1:], strict=True))
    try:
        values["parents"] = decode_parents(values["parents"])
        for name in ("stopped", "rejected"):
            values[name] = {None: False, 0: False, 1: True}[values[name]]
        return checked(values, Record)
    except (KeyError, RecursionError, TypeError, msgspec.MsgspecError) as error:
        raise damaged(path, error) from None


@contextmanager
def _opened(
    folder: str | Path,
) -> Iterator[tuple[sqlite3.Connection, dict[str, str]]]:
    """The journal of a run for reading, and the facts of the run."""
    path = Path(folder) / FILE
    if not path.is_file():
        raise RunError(
            f"{folder}: no run is here; start one with "
            f"`ribosome search CONFIG -o {folder}`"
        )
    with ExitStack() as stack:
        database = stack.enter_context(closing(connect(path, "ro")))
        if _is_cut_off(database):
            copy = Path(stack.enter_context(TemporaryDirectory(prefix="ribosome-")))
            copy_journal(path, copy)
            database = stack.enter_context(closing(connect(copy / FILE, "rw")))
        try:
            with _moment(database):
                meta = read_meta(database, path)
        except sqlite3.Error as error:
            raise damaged(path, error) from None
        if not meta:
            raise RunError(f"{folder}: the run here has not begun yet; try again later")
        yield database, meta


@contextmanager
def _moment(database: sqlite3.Connection) -> Iterator[None]:
    """Hold the file as it is for some queries; raises sqlite3.Error if it cannot be had."""
    deadline = time.monotonic() + PATIENCE_S
    database.execute("PRAGMA busy_timeout = 0")  # SQLite looks ten times a second only
    database.execute("BEGIN")
    try:
        while True:
            try:
                database.execute("SELECT 1 FROM sqlite_master").fetchone()
                break
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
            time.sleep(_RETRY_S)
        yield
    finally:
        database.execute("ROLLBACK")


def _is_cut_off(database: sqlite3.Connection) -> bool:
    """Whether the file needs a writer, to put right what a killed one left, before it can
    be read: here none may write, or none does."""
    try:
        with _moment(database):
            return False
    except sqlite3.Error as error:
        return error.sqlite_errorcode & 0xFF in (
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_CANTOPEN,
        )
