"""Messages over MPI: rank 0 is the master, every other rank one worker.

mpi4py is imported only where MPI has launched this process. A blocked receive burns a core in
every MPI, so both sides probe, and sleep for longer the longer nothing comes: a trainer on
the same core loses 1 to 3 % to that.
"""

import atexit
import os
import time
import warnings
from collections import deque
from typing import TYPE_CHECKING

from ribosome.genome.errors import RunError
from ribosome.runner import messages
from ribosome.runner.backoff import Backoff
from ribosome.runner.launch import launched_rank, launched_ranks
from ribosome.runner.transport import Event, Joined, Message

if TYPE_CHECKING:
    from mpi4py import MPI

_TO_MASTER = 1
_TO_WORKER = 2
_PROBES = 2
"""Probes that must find nothing: MPICH's first one only fetches what the next one finds."""


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


class Mailbox:
    """The messages that have come from a source with a tag, taken without waiting."""

    def __init__(self, world: "MPI.Intracomm", source: int, tag: int) -> None:
        from mpi4py import MPI

        self._world, self._source, self._tag = world, source, tag
        self._byte, self._status = MPI.BYTE, MPI.Status()

    def take_all(self) -> list[tuple[int, bytes]]:
        """(source, message) of every message that is there."""
        found: list[tuple[int, bytes]] = []
        misses = 0
        while misses < _PROBES:
            if not self._world.Iprobe(self._source, self._tag, self._status):
                misses += 1
                continue
            misses = 0
            source = self._status.Get_source()
            data = bytearray(self._status.Get_count(self._byte))
            self._world.Recv([data, len(data), self._byte], source, self._tag)
            found.append((source, bytes(data)))
        return found


class MpiTransport:
    """The master's side: rank r is worker r."""

    def __init__(self, world: "MPI.Intracomm") -> None:
        from mpi4py import MPI

        self._world = world
        self._byte = MPI.BYTE
        self._mailbox = Mailbox(world, MPI.ANY_SOURCE, _TO_MASTER)
        self._joining = deque(range(1, world.size))
        self._retired: set[int] = set()
        self._sending: deque[tuple[MPI.Request, bytes]] = deque()

    def send(self, worker: int, data: bytes) -> None:
        """Send without waiting."""
        request = self._world.Isend([data, len(data), self._byte], worker, _TO_WORKER)
        self._sending.append((request, data))

    def poll(self, timeout: float) -> list[Event]:
        """Everything that has happened; waits up to ``timeout`` seconds for the first."""
        events: list[Event] = []
        while self._joining:
            events.append(Joined(self._joining.popleft()))
        deadline = time.monotonic() + timeout
        backoff = Backoff()
        while True:
            while self._sending and self._sending[0][0].Test():
                self._sending.popleft()
            self._receive(events)
            if events:
                os.sched_yield()  # who has just ended a trial shares this turn's commit
                self._receive(events)
            if events or time.monotonic() > deadline:
                return events
            time.sleep(backoff.next())

    def retire(self, worker: int) -> None:
        """Let a worker end."""
        self._retired.add(worker)

    def kill(self, worker: int) -> None:  # noqa: ARG002 - MPI ends all ranks or none
        """End all ranks when this process exits: one that hangs would hold up the end."""
        atexit.register(self._world.Abort, 130)

    def close(self) -> None:
        """Tell every worker to end that was not told yet."""
        for worker in set(range(1, self._world.size)) - self._retired:
            self.send(worker, messages.encode(messages.Stop(now=True)))
        for request, _ in self._sending:
            request.Wait()
        self._sending.clear()

    def _receive(self, events: list[Event]) -> None:
        events.extend(
            Message(worker, data) for worker, data in self._mailbox.take_all()
        )


class MpiEndpoint:
    """A worker's side."""

    def __init__(self, world: "MPI.Intracomm") -> None:
        from mpi4py import MPI

        self._world = world
        self._byte = MPI.BYTE
        self._mailbox = Mailbox(world, 0, _TO_WORKER)

    def fileno(self) -> int | None:
        """None: only `receive` can tell whether there is a message."""
        return None

    def receive(self) -> list[bytes]:
        """The messages that are there, without waiting."""
        return [data for _, data in self._mailbox.take_all()]

    def send(self, data: bytes) -> None:
        """Send one Report."""
        self._world.Send([data, len(data), self._byte], 0, _TO_MASTER)
