"""Workers as child processes of the master, each over a socket pair of its own.

Each has a session of its own, so that Ctrl-C in the terminal reaches only the master, which
then tells them. None outlives the master: a worker ends when its socket closes, and the
kernel signals it when its parent dies (`ribosome.runner.worker_main`). One that dies is
replaced by a fresh process with the same number.
"""

import os
import selectors
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO

from ribosome.backends.nofollow import open_file
from ribosome.genome.errors import RunError
from ribosome.runner.frames import Frames, frame
from ribosome.runner.transport import Event, Joined, Lost, Message

LOG = "workers.log"

_STILLBORN = 3
"""Workers in a row that may die before they said a word."""

_GRACE_S = 5.0


class LocalTransport:
    """``workers`` processes on this machine; what they print goes to ``folder``'s log.

    They are started by the first `poll`. Raises RunError from there if they die before
    they have said a word.
    """

    def __init__(self, workers: int, folder: Path) -> None:
        self._log = folder / LOG
        self._due = deque(range(1, workers + 1))
        self._children: dict[int, _Child] = {}
        self._retired: set[int] = set()
        self._selector = selectors.DefaultSelector()
        self._stillborn = 0

    def send(self, worker: int, *messages: bytes) -> None:
        """Send without waiting; what goes to a lost worker is dropped."""
        child = self._children.get(worker)
        if child is not None:
            child.outbox += b"".join(map(frame, messages))
            child.flush()
            self._watch(worker, child)

    def poll(self, timeout: float) -> list[Event]:
        """Everything that has happened; waits up to ``timeout`` seconds for the first."""
        events: list[Event] = []
        while self._due:
            worker = self._due.popleft()
            try:
                child = self._children[worker] = _Child(self._log)
            except OSError as error:
                raise RunError(
                    f"worker {worker} cannot be started: {error}; take fewer "
                    "(runner.workers), or make room"
                ) from None
            self._watch(worker, child)
            events.append(Joined(worker))
        for key, mask in self._selector.select(0.0 if events else timeout):
            worker = key.data
            child = self._children[worker]
            if mask & selectors.EVENT_WRITE:
                child.flush()
                self._watch(worker, child)
            if mask & selectors.EVENT_READ:
                self._read(worker, child, events)
        return events

    def retire(self, worker: int) -> None:
        """Let a worker end: from now on it is not replaced."""
        self._retired.add(worker)
        with suppress(ValueError):
            self._due.remove(worker)

    def locate(self, worker: int, host: str, pid: int) -> None:
        """Nothing new: the workers are children of this process."""

    def abandon(self, worker: int) -> bool:
        """End a worker that is silent: another takes its place."""
        if worker in self._children:
            self._children[worker].fault = "it was silent for too long, and was ended"
        self.kill(worker)
        return True

    def kill(self, worker: int) -> None:
        """End a worker that does not end by itself."""
        if worker in self._children:
            self._children[worker].process.kill()

    def close(self) -> None:
        """Let all workers end and wait for them; leaves no process behind."""
        self._due.clear()
        for child in self._children.values():
            child.connection.close()
        deadline = time.monotonic() + _GRACE_S
        for child in self._children.values():
            child.wait(max(0.0, deadline - time.monotonic()))
        self._children.clear()
        self._selector.close()

    def _read(self, worker: int, child: "_Child", events: list[Event]) -> None:
        messages, closed = child.frames.read()
        if messages:
            child.spoke = True
            self._stillborn = 0
            events.extend(Message(worker, data) for data in messages)
        if child.frames.refused:
            child.process.kill()
        if closed:
            self._bury(worker, child, events)

    def _bury(self, worker: int, child: "_Child", events: list[Event]) -> None:
        self._selector.unregister(child.connection)
        child.connection.close()
        end = child.wait(_GRACE_S)
        reason = child.frames.refused or child.fault or end
        del self._children[worker]
        events.append(Lost(worker, reason))
        if worker in self._retired:
            return
        if not child.spoke:
            self._stillborn += 1
            if self._stillborn >= _STILLBORN:
                raise RunError(
                    f"workers end before they begin ({reason}): see {self._log}"
                )
        self._due.append(worker)

    def _watch(self, worker: int, child: "_Child") -> None:
        mask = selectors.EVENT_READ
        if child.outbox:
            mask |= selectors.EVENT_WRITE
        if mask != child.mask:
            if child.mask:
                self._selector.modify(child.connection, mask, worker)
            else:
                self._selector.register(child.connection, mask, worker)
            child.mask = mask


class _Child:
    """One worker process and the master's end of its socket pair."""

    def __init__(self, log: Path) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with os.fdopen(open_file(log, flags), "ab") as output:
            self.connection, theirs = socket.socketpair()
            with theirs:
                self.process = _started(theirs.fileno(), output)
        self.connection.setblocking(False)
        self.frames = Frames(self.connection)
        self.outbox = bytearray()
        self.spoke = False
        self.fault = ""
        self.mask = 0

    def flush(self) -> None:
        """Send what the socket takes; a closed one shows when it is read."""
        try:
            while self.outbox:
                del self.outbox[: self.connection.send(self.outbox)]
        except BlockingIOError:
            return
        except ConnectionError:
            self.outbox.clear()

    def wait(self, grace: float) -> str:
        """Wait for the process's end, by force after ``grace`` seconds; how it ended."""
        try:
            code = self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if code < 0:
            return f"killed by signal {-code}"
        return f"exit code {code}"


def _started(number: int, output: IO[bytes]) -> "subprocess.Popen[bytes]":
    """A worker process at the other end of a socket."""
    module = [sys.executable, "-P", "-m", "ribosome.runner.worker_main"]
    return subprocess.Popen(
        [*module, f"--fd={number}", f"--parent={os.getpid()}"],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=[number],
        start_new_session=True,
    )
