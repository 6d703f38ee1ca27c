"""The journal of a run: every proposal, start and result, committed before it is acted on.

One SQLite file with a single writer, the master, and one row per trial. ``asked`` and
``told`` count the asks and tells of the run in one sequence, so that the rows in that order
are the run: a strategy that is fed them again, and given the state of its random numbers,
goes on as if nothing had happened. That state stands beside the last proposal of each
commit: a row of its own would cost a third of the commit.

On a disk of this machine it is kept with a write-ahead log, because readers must never hold
up the master, and because it is the fastest mode that survives a power cut undamaged: 46 us
for the commit of one result, against 0.8 ms and more for a rollback journal. The kill of a
process loses nothing in either.

On a file system that other nodes share it is a rollback journal: a write-ahead log needs
memory that reader and writer share. PERSIST, so that a commit makes and removes no file: the
server of names is what such file systems are slowest at. Synchronised in full, because the
node that dies may leave its writes in any order; a commit of some ms holds all results that
came meanwhile. See https://sqlite.org/wal.html and https://sqlite.org/lockingv3.html.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from heapq import merge
from operator import itemgetter
from pathlib import Path

import msgspec

from ribosome.genome.errors import RunError
from ribosome.runner.filesystems import is_shared
from ribosome.runner.foreign import checked
from ribosome.runner.lock import FolderLock
from ribosome.runner.messages import Checked, Ready, Result
from ribosome.runner.models import ModelRecord, decode_fitted, encode_fitted
from ribosome.runner.records import Record, decode_parents, ordered
from ribosome.runner.schema import (
    CHANGES,
    FILE,
    PATIENCE_S,
    TABLES,
    VERSION,
    connect,
    damaged,
    held,
    read_meta,
    transaction,
)

_PROPOSE = (
    "INSERT INTO trials (trial, asked, genome, phase, generation, parents, proposed_at, "
    "model, random_state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_START = "UPDATE trials SET worker = ?, started_at = ? WHERE trial = ?"
_FINISH = (
    "UPDATE trials SET told = ?, worker = ?, ending = ?, fitness = ?, loss = ?, "
    "batches_per_s = ?, flops_per_batch = ?, parameters = ?, seconds = ?, started_at = ?, "
    "finished_at = ?, message = ?, genome = coalesce(?, genome), iterations = ?, "
    "stopped = ?, rejected = ? WHERE trial = ?"
)
_CHECK = "REPLACE INTO checks VALUES (?, ?, ?)"
_JOIN = "INSERT INTO workers VALUES (?, ?, ?, ?, ?, ?, ?)"
_MODEL = "INSERT INTO models VALUES (?, ?, ?, ?, ?)"
_NOTE = "REPLACE INTO meta VALUES (?, ?)"

_CLOSE_S = 2.0
"""How long the end of a run waits for readers, in order to leave one file."""

_encode_parents = msgspec.json.Encoder().encode


class Journal:
    """The writer's side. What is noted is kept once `commit` has returned.

    ``meta`` are the facts of the run, empty in a new journal. ``mode`` is wal, rollback, or
    auto, for what the folder's file system needs. Raises RunError if another master has the
    folder, or if a newer Ribosome wrote the file.
    """

    def __init__(self, folder: Path, *, mode: str = "auto") -> None:
        self._path = folder / FILE
        self._lock = FolderLock(folder)
        try:
            self._database = connect(self._path, "rwc")
        except RunError:
            self._lock.release()
            raise
        try:
            rollback = mode == "rollback" or (mode == "auto" and is_shared(folder))
            if rollback:
                # Before the first look: a write-ahead log from a disk that was not shared
                # is then taken in without the memory that it would need.
                self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self.meta = read_meta(self._database, self._path)
            if rollback:
                self._keep_by("persist", patience=PATIENCE_S)
                self._database.execute("PRAGMA locking_mode = NORMAL")
                self._database.execute("SELECT 1 FROM sqlite_master").fetchone()
                self._database.execute("PRAGMA synchronous = FULL")
            else:
                self._keep_by("wal", patience=PATIENCE_S)
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
        self._joined: list[tuple[object, ...]] = []
        self._models: list[tuple[object, ...]] = []
        self._checked: list[tuple[object, ...]] = []

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

    def upgrade(self) -> None:
        """Bring an older journal up to this version, in one transaction."""
        before = int(self.meta["schema"])
        if before >= VERSION:
            return
        with transaction(self._database, self._path):
            for version in range(before + 1, VERSION + 1):
                for change in CHANGES[version]:
                    self._database.execute(change)
            self._database.execute(_NOTE, ("schema", str(VERSION)))
        self.meta["schema"] = str(VERSION)

    def worker(self, worker: int, ready: Ready, *, at: float) -> None:
        """Note that a worker is ready to work: it has joined, or its data has moved."""
        self._joined.append(
            (
                worker,
                ready.host,
                ready.pid,
                ready.gpu,
                ready.staged,
                ready.bytes_read,
                at,
            )
        )

    def propose(
        self,
        trial: int,
        genome: str,
        *,
        generation: int,
        parents: tuple[int, ...],
        at: float,
        phase: str = "search",
        model: int = 0,
    ) -> None:
        """Note a proposal; ``model`` is 0 for one that no model draws."""
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
                model or None,
                None,
            )
        )

    def start(self, trial: int, worker: int, at: float) -> None:
        """Note that a worker began a trial; a second start replaces the first."""
        self._started[trial] = (worker, at)

    def model(self, model: ModelRecord, *, at: float) -> None:
        """Note a model that trials are to draw by."""
        fitted = encode_fitted(model.fitted).decode()
        self._models.append((model.number, at, model.template, model.results, fitted))

    def check(self, check: Checked) -> None:
        """Note a validation during training; one that is done again replaces the first."""
        self._checked.append((check.trial, check.iteration, check.accuracy))

    def finish(self, result: Result, worker: int, *, genome: str | None = None) -> None:
        """Note how a trial ended, and the ``genome`` that was drawn for it."""
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
                genome,
                result.iterations,
                result.stopped,
                result.rejected,
                result.trial,
            )
        )

    def commit(self, random_state: Callable[[], str]) -> None:
        """Keep what was noted since the last commit, all of it or nothing.

        ``random_state`` gives the state of the strategy's random numbers after the last
        proposal that was noted.
        """
        notes = (
            self._proposed,
            self._started,
            self._finished,
            self._joined,
            self._models,
            self._checked,
        )
        if not any(notes):
            return
        database = self._database
        with transaction(database, self._path):
            if self._models:
                database.executemany(_MODEL, self._models)
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
            if self._checked:
                database.executemany(_CHECK, self._checked)
            if self._joined:
                database.executemany(_JOIN, self._joined)
        for note in notes:
            note.clear()

    def check_in_place(self) -> None:
        """Raise RunError if the file is not in its folder, or the folder not ours any more.

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
        self._lock.check()

    def replay(self) -> Iterator[tuple[str, Record]]:
        """The run so far: ("asked" or "told", the trial as it is now), in order."""
        database, path = self._database, self._path
        asked = ordered(database, path, "asked")
        told = ordered(database, path, "told")
        steps = merge(
            ((step, "asked", record) for step, record in asked),
            ((step, "told", record) for step, record in told),
            key=itemgetter(0),
        )
        for _, what, record in steps:
            yield what, record

    def random_state(self) -> str | None:
        """The state of the strategy's random numbers after the last proposal."""
        row = self._database.execute(
            "SELECT random_state FROM trials WHERE random_state IS NOT NULL "
            "ORDER BY asked DESC LIMIT 1"
        ).fetchone()
        return row[0] if row else None

    def models(self) -> list[ModelRecord]:
        """The models that trials drew by, in order. Raises RunError."""
        if int(self.meta["schema"]) < 3:
            return []
        query = "SELECT number, template, results, fitted FROM models ORDER BY number"
        try:
            rows = self._database.execute(query).fetchall()
            if [number for number, *_ in rows] != list(range(1, len(rows) + 1)):
                raise ValueError("models are missing")
            return [
                ModelRecord(number, str(template), decode_fitted(fitted), int(results))
                for number, template, results, fitted in rows
            ]
        except (RecursionError, TypeError, ValueError, sqlite3.Error) as error:
            raise damaged(self._path, error) from None

    def of_phase(self, phase: str) -> Iterator[Record]:
        """The trials of a phase, in the order of their proposals."""
        for _, record in ordered(self._database, self._path, "asked"):
            if record.phase == phase:
                yield record

    def checks(self) -> Iterator[tuple[str, bool, Checked]]:
        """The checks of every trial in order: its phase, whether it has ended, and each.

        Raises RunError.
        """
        query = (
            "SELECT phase, told, checks.trial, iteration, accuracy FROM checks "
            "JOIN trials ON trials.trial = checks.trial ORDER BY checks.trial, iteration"
        )
        try:
            for phase, told, *values in self._database.execute(query):
                named = zip(Checked.__struct_fields__, values, strict=True)
                yield str(phase), told is not None, checked(dict(named), Checked)
        except (msgspec.MsgspecError, sqlite3.Error) as error:
            raise damaged(self._path, error) from None

    def repeated(self) -> frozenset[int]:
        """The trials that others are repeats of. Raises RunError."""
        rows = self._database.execute(
            "SELECT DISTINCT parents FROM trials WHERE phase = 'confirm'"
        )
        try:
            return frozenset(
                trial for (text,) in rows for trial in decode_parents(text)
            )
        except (RecursionError, TypeError, msgspec.MsgspecError) as error:
            raise damaged(self._path, error) from None

    def close(self) -> None:
        """Leave one file behind, without a log beside it, and let the folder go.

        A reader that does not let go of the file keeps its log there, which loses nothing.
        """
        try:
            self._keep_by("delete", patience=_CLOSE_S)
        except RunError:
            pass
        finally:
            self._database.close()
            self._lock.release()

    def _keep_by(self, mode: str, *, patience: float) -> None:
        """Change SQLite's journal mode; waits for readers, at most ``patience`` seconds.

        SQLite itself does not wait here. Raises RunError.
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                (now,) = self._database.execute(
                    f"PRAGMA journal_mode = {mode}"
                ).fetchone()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise damaged(self._path, error) from None
                if time.monotonic() > deadline:
                    raise held(self._path) from None
                time.sleep(0.005)
                continue
            if now != mode:
                raise RunError(
                    f"{self._path}: this file system cannot hold a write-ahead log; "
                    'set runner.journal = "rollback"'
                )
            return

    def _last_step(self) -> int:
        (step,) = self._database.execute(
            "SELECT max(max(asked), coalesce(max(told), 0)) FROM trials"
        ).fetchone()
        return int(step or 0)
