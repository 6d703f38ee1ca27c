"""The journal of a run: every proposal, start and result, committed before it is acted on.

One SQLite file with a single writer, the master, and one row per trial. ``asked`` and
``told`` count the asks and tells of the run in one sequence, so that the rows in that order
are the run: a strategy that is fed them again, and given the state of its random numbers,
goes on as if nothing had happened. That state stands beside the last proposal of each
commit: a row of its own would cost a third of the commit.

A write-ahead log, because readers must never hold up the master, and because it is the
fastest mode that survives a power cut undamaged: 46 us for the commit of one result, against
80 us (persist) to 117 us (delete) for a rollback journal that is never synchronised, and
0.8 ms and more for one that is. The kill of a process loses nothing in any of these modes.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from heapq import merge
from pathlib import Path

import msgspec

from ribosome.genome.errors import RunError
from ribosome.runner.config import Config
from ribosome.runner.lock import FolderLock
from ribosome.runner.messages import Result
from ribosome.runner.schema import (
    FILE,
    TABLES,
    VERSION,
    config_of,
    connect,
    damaged,
    read_meta,
    transaction,
)

_PROPOSE = (
    "INSERT INTO trials (trial, asked, genome, phase, generation, parents, proposed_at, "
    "random_state) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_START = "UPDATE trials SET worker = ?, started_at = ? WHERE trial = ?"
_FINISH = (
    "UPDATE trials SET told = ?, worker = ?, ending = ?, fitness = ?, loss = ?, "
    "batches_per_s = ?, flops_per_batch = ?, parameters = ?, seconds = ?, started_at = ?, "
    "finished_at = ?, message = ? WHERE trial = ?"
)
_NOTE = "REPLACE INTO meta VALUES (?, ?)"

_encode_parents = msgspec.json.Encoder().encode
_decode_parents = msgspec.json.Decoder(tuple[int, ...]).decode


class Record(msgspec.Struct, frozen=True):
    """One trial as the journal has it; ``ending`` is None until it has ended.

    Times are seconds since the epoch, ``parents`` are trial numbers, ``generation`` is 0
    for a random draw, ``worker`` counts from 1, and a missing value is None.
    """

    trial: int
    genome: str
    phase: str
    ending: str | None
    fitness: float | None
    loss: float | None
    batches_per_s: float | None
    flops_per_batch: float | None
    parameters: int | None
    seconds: float | None
    worker: int | None
    generation: int
    parents: tuple[int, ...]
    proposed_at: float
    started_at: float | None
    finished_at: float | None
    message: str | None


class Journal:
    """The writer's side. What is noted is kept once `commit` has returned.

    ``meta`` are the facts of the run, empty in a new journal. Raises RunError if another
    master has the folder, or if a newer Ribosome wrote the file.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lock = FolderLock(folder)
        try:
            self._database = connect(self._path, "rwc")
        except RunError:
            self._lock.release()
            raise
        try:
            self.meta = read_meta(self._database, self._path)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute("PRAGMA wal_autocheckpoint = 10000")
            self._step = self._last_step() if self.meta else 0
            self._file = self._path.stat()
        except BaseException as error:
            self._database.close()
            self._lock.release()
            if isinstance(error, sqlite3.Error):
                raise damaged(self._path, error) from None
            raise
        self._proposed: list[tuple[object, ...]] = []
        self._started: dict[int, tuple[int, float]] = {}
        self._finished: list[tuple[object, ...]] = []

    def create(self, **meta: str) -> None:
        """Make the tables and note the facts of the run, in one transaction."""
        self.meta = {"schema": str(VERSION), **meta}
        with transaction(self._database, self._path):
            for table in TABLES:
                self._database.execute(table)
            self._database.executemany(_NOTE, list(self.meta.items()))

    def amend(self, **meta: str) -> None:
        """Change facts of the run, in one transaction."""
        self.meta.update(meta)
        with transaction(self._database, self._path):
            self._database.executemany(_NOTE, list(meta.items()))

    def propose(
        self,
        trial: int,
        genome: str,
        *,
        generation: int,
        parents: tuple[int, ...],
        at: float,
        phase: str = "search",
    ) -> None:
        """Note a proposal."""
        self._step += 1
        self._proposed.append(
            (
                trial,
                self._step,
                genome,
                phase,
                generation,
                _encode_parents(parents).decode(),
                at,
                None,
            )
        )

    def start(self, trial: int, worker: int, at: float) -> None:
        """Note that a worker began a trial; a second start replaces the first."""
        self._started[trial] = (worker, at)

    def finish(self, result: Result, worker: int) -> None:
        """Note how a trial ended."""
        self._step += 1
        self._started.pop(result.trial, None)
        self._finished.append(
            (
                self._step,
                worker,
                result.ending,
                result.fitness,
                result.loss,
                result.batches_per_s,
                result.flops_per_batch,
                result.parameters,
                result.seconds,
                result.started_at or None,
                result.finished_at or None,
                result.message or None,
                result.trial,
            )
        )

    def commit(self, random_state: Callable[[], str]) -> None:
        """Keep what was noted since the last commit, all of it or nothing.

        ``random_state`` gives the state of the strategy's random numbers after the last
        proposal that was noted.
        """
        if not (self._proposed or self._started or self._finished):
            return
        database = self._database
        with transaction(database, self._path):
            if self._proposed:
                self._proposed[-1] = (*self._proposed[-1][:-1], random_state())
                database.executemany(_PROPOSE, self._proposed)
            if self._started:
                database.executemany(
                    _START,
                    [(*start, trial) for trial, start in self._started.items()],
                )
            if self._finished:
                database.executemany(_FINISH, self._finished)
        self._proposed.clear()
        self._started.clear()
        self._finished.clear()

    def check_in_place(self) -> None:
        """Raise RunError if the file is not in its folder any more.

        Nothing else would tell: what is written to a file that was removed is lost without
        an error.
        """
        try:
            in_place = os.path.samestat(self._file, self._path.stat())
        except OSError:
            in_place = False
        if not in_place:
            raise RunError(
                f"{self._path}: was moved or removed while the search was writing to it; "
                "start another run, or put it back and go on with --resume"
            )

    def replay(self) -> Iterator[tuple[str, Record]]:
        """The run so far: ("asked" or "told", the trial as it is now), in order."""
        asked = _ordered(self._database, "asked")
        told = _ordered(self._database, "told")
        for _, what, record in merge(asked, told, key=lambda step: step[0]):
            yield what, record

    def random_state(self) -> str | None:
        """The state of the strategy's random numbers after the last proposal."""
        row = self._database.execute(
            "SELECT random_state FROM trials WHERE random_state IS NOT NULL "
            "ORDER BY asked DESC LIMIT 1"
        ).fetchone()
        return row[0] if row else None

    def close(self) -> None:
        """Leave one file behind, without a log beside it, and let the folder go."""
        with suppress(sqlite3.OperationalError):  # a reader is at work: it stays a log
            self._database.execute("PRAGMA busy_timeout = 0")
            self._database.execute("PRAGMA journal_mode = DELETE")
        self._database.close()
        self._lock.release()

    def _last_step(self) -> int:
        (step,) = self._database.execute(
            "SELECT max(max(asked), coalesce(max(told), 0)) FROM trials"
        ).fetchone()
        return int(step or 0)


def read_config(folder: str | Path) -> Config:
    """The config that a run began with. Raises RunError where there is none."""
    return config_of(_meta_of(folder), Path(folder) / FILE)


def read_trials(folder: str | Path) -> list[Record]:
    """Every trial of a run, by number; also while a master writes.

    Raises RunError if there is no run, or one of a newer version.
    """
    _meta_of(folder)
    database = connect(Path(folder) / FILE, "ro")
    try:
        return [record for _, _, record in _ordered(database, "trial")]
    finally:
        database.close()


def _meta_of(folder: str | Path) -> dict[str, str]:
    path = Path(folder) / FILE
    if not path.is_file():
        raise RunError(
            f"{folder}: no run is here; start one with "
            f"`ribosome search CONFIG -o {folder}`"
        )
    database = connect(path, "ro")
    try:
        meta = read_meta(database, path)
    finally:
        database.close()
    if not meta:
        raise RunError(f"{folder}: the run here has not begun yet; try again later")
    return meta


def _ordered(
    database: sqlite3.Connection, column: str
) -> Iterator[tuple[int, str, Record]]:
    """The trials that have a value in an order column, by it: (value, column, trial)."""
    columns = ", ".join(Record.__struct_fields__)
    parents = Record.__struct_fields__.index("parents")
    try:
        rows = database.execute(
            f"SELECT {column}, {columns} FROM trials WHERE {column} IS NOT NULL "
            f"ORDER BY {column}"
        )
        for step, *values in rows:
            values[parents] = _decode_parents(values[parents])
            yield step, column, Record(*values)
    except (sqlite3.Error, msgspec.MsgspecError) as error:
        (_, _, path) = database.execute("PRAGMA database_list").fetchone()
        raise damaged(Path(path), error) from None
