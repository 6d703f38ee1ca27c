"""Messages over MPI: rank 0 is the master, every other rank one worker.

mpi4py is imported only where MPI has launched this process. A blocked receive burns a core in
every MPI, so both sides probe, and sleep for longer the longer nothing comes: a trainer on
the same core loses 1 to 3 % to that.

Where MPI can go on without a rank that was killed (ULFM: Open MPI under `mpiexec --with-ft
ulfm`), it tells the master by an error, and the worker is Lost. Elsewhere, and for a rank that
is stopped or ends by itself, only silence tells. No call here is collective but MPI's own
end, and that is not called where a rank would not take part.
"""

import atexit
import os
import signal
import socket
import sys
import time
import warnings
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

from ribosome.genome.errors import RunError
from ribosome.runner import messages
from ribosome.runner.backoff import Backoff
from ribosome.runner.frames import LONGEST, frame, split
from ribosome.runner.launch import launched_rank, launched_ranks, survives_death
from ribosome.runner.transport import Event, Joined, Lost, MasterGone, Message

if TYPE_CHECKING:
    from mpi4py import MPI

_TO_MASTER = 1
_TO_WORKER = 2
_PROBES = 2
"""Probes that must find nothing: MPICH's first one only fetches what the next one finds."""

_CLOSE_S = 5.0
_CLOSE_LOOK_S = 1e-3


def join_world() -> "MPI.Intracomm | None":
    """The world of ranks that this process is one of; None if it was started alone.

    Raises RunError if mpiexec started several processes and mpi4py sees one, or does not
    load. Only the first of them says so; the others exit with code 1.
    """
    launched = launched_ranks()
    if launched <= 1:
        return None
    try:
        with warnings.catch_warnings():
            # mpi4py's guess at what the error below says for certain.
            warnings.filterwarnings("ignore", "suspicious MPI", RuntimeWarning)
            from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        problem = (
            f"mpiexec started {launched} processes, but mpi4py does not load "
            f"({' '.join(str(error).split())}): `pip install mpi4py mpich`, or load your "
            "machine's MPI"
        )
    else:
        if MPI.COMM_WORLD.size > 1:
            return MPI.COMM_WORLD
        problem = (
            f"mpiexec started {launched} processes, but each is alone in mpi4py's world: "
            "this mpiexec belongs to another MPI library than mpi4py uses. Start with the "
            "mpiexec beside this Python (`ribosome search --mpi N` finds it), or build "
            "mpi4py for this MPI (`pip install --no-binary mpi4py mpi4py`)"
        )
    if launched_rank() > 0:
        raise SystemExit(1)
    raise RunError(problem)


def leave(code: int) -> NoReturn:
    """End this process at once, without MPI's own end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class Mailbox:
    """The messages that have come from a source with a tag, taken without waiting."""

    def __init__(self, world: "MPI.Intracomm", source: int, tag: int) -> None:
        from mpi4py import MPI

        # The default of mpi4py; a rank's death must be an error here and not the end.
        world.Set_errhandler(MPI.ERRORS_RETURN)
        self._world, self._source, self._tag = world, source, tag
        self._byte, self._status = MPI.BYTE, MPI.Status()

    def take_all(self, found: list[tuple[int, bytes]]) -> None:
        """Add (source, message) of every message that is there.

        Raises MPI.Exception, and what it has added by then stays.
        """
        misses = 0
        while misses < _PROBES:
            if not self._world.Iprobe(self._source, self._tag, self._status):
                misses += 1
                continue
            misses = 0
            source = self._status.Get_source()
            size = self._status.Get_count(self._byte)
            if not 0 <= size <= LONGEST:  # less than 0 for more than an int can say
                self._throw_away(source)
                found.append((source, b""))  # which is no message
                continue
            data = bytearray(size)
            self._world.Recv([data, len(data), self._byte], source, self._tag)
            found.append((source, bytes(data)))

    def _throw_away(self, source: int) -> None:
        """Receive a message and keep none of it: MPI calls that an error."""
        from mpi4py import MPI

        with suppress(MPI.Exception):
            self._world.Recv([bytearray(1), 1, self._byte], source, self._tag)


class MpiTransport:
    """The master's side: rank r is worker r. Used as a context, which ends the run."""

    def __init__(self, world: "MPI.Intracomm") -> None:
        from mpi4py import MPI

        self._world = world
        self._byte = MPI.BYTE
        self._error = MPI.Exception
        self._failed = MPI.ERR_PROC_FAILED
        self._mailbox = Mailbox(world, MPI.ANY_SOURCE, _TO_MASTER)
        self._events: list[Event] = [Joined(rank) for rank in range(1, world.size)]
        self._retired: set[int] = set()
        self._dead: set[int] = set()
        self._stuck: set[int] = set()
        self._neighbours: dict[int, int] = {}
        self._sending: deque[tuple[MPI.Request, bytes]] = deque()
        self._backoff = Backoff()

    def __enter__(self) -> Self:
        """The transport."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the workers end; this process too, where some of them never will."""
        self.close()
        if self._dead or self._stuck or survives_death():
            code = 0 if error is None else int(getattr(error, "exit_code", 1))
            atexit.register(self._end_alone, code)

    def send(self, worker: int, *messages: bytes) -> None:
        """Send without waiting; what goes to a lost worker is dropped."""
        if worker not in self._dead:
            self._backoff.reset()
            data = b"".join(map(frame, messages))
            message = [data, len(data), self._byte]
            try:
                request = self._world.Isend(message, worker, _TO_WORKER)
            except self._error as error:
                self._acknowledge(error)
            else:
                self._sending.append((request, data))

    def poll(self, timeout: float) -> list[Event]:
        """Everything that has happened; waits up to ``timeout`` seconds for the first."""
        deadline = time.monotonic() + timeout
        while True:
            self._see_sent()
            self._receive()
            if self._events:
                self._backoff.reset()
                os.sched_yield()  # who has just ended a trial shares this turn's commit
                self._receive()
            if self._events or time.monotonic() > deadline:
                events, self._events = self._events, []
                return events
            time.sleep(self._backoff.next())

    def locate(self, worker: int, host: str, pid: int) -> None:
        """Remember the workers on this machine, that could be ended by force."""
        if host == socket.gethostname():
            self._neighbours[worker] = pid

    def retire(self, worker: int) -> None:
        """Let a worker end."""
        self._retired.add(worker)

    def abandon(self, worker: int) -> bool:
        """False: MPI ends all ranks or none, and one that was stopped may come back."""
        self._stuck.add(worker)
        return False

    def kill(self, worker: int) -> None:
        """Do not wait for a worker: one that hangs would hold up the end of all."""
        self._stuck.add(worker)

    def close(self) -> None:
        """Tell every worker to end that was not told yet."""
        for worker in set(range(1, self._world.size)) - self._retired:
            self.send(worker, messages.encode(messages.Stop(now=True)))
        deadline = time.monotonic() + _CLOSE_S
        while self._sending and time.monotonic() < deadline:
            self._see_sent()
            time.sleep(_CLOSE_LOOK_S)

    def _see_sent(self) -> None:
        """Forget what has been sent, or never will be."""
        while self._sending:
            try:
                if not self._sending[0][0].Test():
                    return
            except self._error as error:
                self._acknowledge(error)
            self._sending.popleft()

    def _receive(self) -> None:
        found: list[tuple[int, bytes]] = []
        failure: MPI.Exception | None = None
        try:
            self._mailbox.take_all(found)
        except self._error as error:
            failure = error
        for worker, data in found:
            self._stuck.discard(worker)
            self._events.append(Message(worker, data))
        if failure is not None:
            self._acknowledge(failure)

    def _acknowledge(self, error: "MPI.Exception") -> None:
        """A rank has died: receive from the others again. Raises what it is not."""
        from mpi4py import MPI

        if error.Get_error_class() not in (self._failed, MPI.ERR_PROC_FAILED_PENDING):
            raise error
        self._world.Ack_failed()
        self._receive()  # what they had sent before counts
        group = self._world.Get_failed()
        ranks = MPI.Group.Translate_ranks(group, None, self._world.group)
        for worker in sorted(set(ranks) - self._dead):
            self._dead.add(worker)
            self._stuck.discard(worker)
            self._events.append(Lost(worker, "its rank has died", returns=False))

    def _end_alone(self, code: int) -> None:
        """End without MPI's own end, which would wait for ranks that are missing.

        Ranks that are known to be dead need no more than not to be waited for; another that
        hangs is killed where that can be done, else all ranks are.
        """
        if survives_death():
            self._stuck = {worker for worker in self._stuck if not self._killed(worker)}
        if self._stuck:
            self._world.Abort(code)
        leave(code)

    def _killed(self, worker: int) -> bool:
        """Kill a rank on this machine, if its process is what it was."""
        pid = self._neighbours.get(worker, 0)
        with suppress(OSError):
            ours, theirs = Path("/proc/self/cmdline"), Path(f"/proc/{pid}/cmdline")
            if pid and ours.read_bytes() == theirs.read_bytes():
                os.kill(pid, signal.SIGKILL)
                return True
        return False


class MpiEndpoint:
    """A worker's side."""

    def __init__(self, world: "MPI.Intracomm") -> None:
        from mpi4py import MPI

        self._world = world
        self._byte = MPI.BYTE
        self._error = MPI.Exception
        self._mailbox = Mailbox(world, 0, _TO_WORKER)
        self.closed = False
        """The master's rank has died."""

    def fileno(self) -> int | None:
        """None: only `receive` can tell whether there is a message."""
        return None

    def receive(self) -> list[bytes]:
        """The messages that are there, without waiting. Raises MasterGone."""
        found: list[tuple[int, bytes]] = []
        try:
            self._mailbox.take_all(found)
        except self._error:
            self.closed = True
            if not found:
                raise MasterGone from None
        return [message for _, data in found for message in split(data)]

    def send(self, data: bytes) -> None:
        """Send one Report. Raises MasterGone."""
        try:
            self._world.Send([data, len(data), self._byte], 0, _TO_MASTER)
        except self._error:
            self.closed = True
            raise MasterGone from None
