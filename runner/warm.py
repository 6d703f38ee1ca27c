"""The worker's side of the fork server: starts it, hands it trials, survives its death.

`Launcher.launch` gives a `Launched`, one running trainer. A server that dies before it
has started a trial is replaced and asked again. After repeated deaths of a warm one,
trials are started cold, through a server that preloads nothing, and one warning says
so.
"""

import contextlib
import json
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ribosome.runner import processes
from ribosome.runner.server import Server

PATIENCE = 3
"""Deaths of a server in a row, without a trial that ended, before we stop trying."""

START_LIMIT_S = 600.0
"""For a server's import; a parallel file system under thousands of them is slow."""

ANSWER_LIMIT_S = 30.0
"""For the answer of a server that is ready: a millisecond's work, or some hundred pages
read back where memory was swapped out. One that is stopped, or hangs, takes longer."""

KILL_LIMIT_S = 10.0
"""For a trial's end after `Launched.stop`: much memory takes seconds to give back."""

_LOOK_S = 0.1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Exit:
    """How a trainer ended: its exit code, or minus the signal, and its peak memory.

    ``message`` says what went wrong where it was not the trainer that did. ``blameless``
    where somebody ended it, by SIGTERM or SIGINT, or where its server was lost with it.
    """

    code: int
    peak_bytes: int = 0
    message: str = ""
    blameless: bool = False


class Launcher:
    """Starts trainers, one at a time, by forks of a warm process where possible.

    ``preload`` is the module to import once, empty for cold starts; ``environment`` is
    what the server runs in. Used as a context, or closed with `close`.
    """

    def __init__(self, preload: str, *, environment: Mapping[str, str]) -> None:
        self._preload = preload
        self._environment = dict(environment)
        self._changes: tuple[Mapping[str, str], dict[str, str | None]] | None = None
        self._server: Server | None = None
        self._deaths = 0

    def __enter__(self) -> "Launcher":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def server_pid(self) -> int | None:
        """The process that forks, None before the first launch and after `close`."""
        return self._server.pid if self._server else None

    def prepare(self) -> None:
        """Start the server, so that its import passes while other work is done."""
        if self._server is None:
            self._server = Server(self._preload, self._environment)

    def launch(
        self,
        argv: Sequence[str],
        folder: str,
        environment: Mapping[str, str],
        log: int,
    ) -> "Launched":
        """Start a trainer in ``folder``, its outputs going to the descriptor ``log``.

        ``environment`` is all of the trainer's. Takes ``log`` over. A warm trainer gets
        the arguments behind the preloaded module's name in ``argv``. Does not wait for
        anything.
        """
        return Launched(self, argv, folder, environment, log)

    def close(self) -> None:
        """End the server and whatever it has started."""
        if self._server is not None:
            self._server.end()
            self._server = None

    def changes(self, environment: Mapping[str, str]) -> dict[str, str | None]:
        """What makes the server's environment this one; None where a name goes."""
        if self._changes is None or self._changes[0] != environment:
            ours = self._environment
            changes = dict.fromkeys(ours.keys() - environment.keys())
            changes |= {n: v for n, v in environment.items() if ours.get(n) != v}
            self._changes = dict(environment), changes
        return self._changes[1]

    def _send(
        self, request: Mapping[str, object], argv: Sequence[str], log: int
    ) -> socket.socket:
        """Ask the server for a trial; gives our side of its handle, not blocking."""
        ours, theirs = socket.socketpair()
        with theirs:
            self.prepare()
            assert self._server is not None
            module = self._server.preload
            warm = bool(module) and module in argv
            if warm:
                argv = argv[argv.index(module) + 1 :]
            # A broken door is noticed like any death: the handle is closed.
            with contextlib.suppress(OSError):
                self._server.send(
                    {**request, "argv": list(argv), "warm": warm},
                    [log, theirs.fileno()],
                )
        ours.setblocking(False)
        return ours

    def _trial_ended(self) -> None:
        self._deaths = 0

    def _server_died(self) -> str:
        """Forget a server that is gone, and say how it went."""
        assert self._server is not None
        how = self._server.end()
        self._server = None
        self._deaths += 1
        if self._preload and self._deaths >= PATIENCE:
            _log.warning(
                "warm starts are given up: the process with %s loaded ended %d times "
                "(%s); trials start cold from here on",
                self._preload,
                self._deaths,
                how,
            )
            self._preload = ""
            self._deaths = 0
        return how

    def _gives_up(self) -> bool:
        return not self._preload and self._deaths >= PATIENCE

    def _is_late(self, asked_at: float) -> bool:
        """Whether the server should have answered by now what it was asked then."""
        if self._server is None:
            return False
        ready = self._server.ready_since
        if ready is None:
            return time.monotonic() - asked_at > START_LIMIT_S
        return time.monotonic() - max(asked_at, ready) > ANSWER_LIMIT_S

    def _kill_server(self) -> None:
        if self._server is not None:
            self._server.kill()


class Launched:
    """One trainer, from the request for it to its exit."""

    def __init__(
        self,
        launcher: Launcher,
        argv: Sequence[str],
        folder: str,
        environment: Mapping[str, str],
        log: int,
    ) -> None:
        self._launcher = launcher
        self._argv = list(argv)
        changes = launcher.changes(environment)
        self._request = {"folder": folder, "environment": changes}
        self._log: int | None = log
        self._heard = b""
        self._exit: Exit | None = None
        self._asked_at = 0.0
        self._stopped_at: float | None = None
        self._ended_at: float | None = None
        self._handle: socket.socket
        self.pid: int | None = None
        """The trainer's process, the leader of a session; None until it runs."""
        try:
            self._ask()
        except OSError:
            self._close_log()
            raise

    def fileno(self) -> int:
        """Readable when there is news; changes where a server had to be replaced."""
        return self._handle.fileno()

    def poll(self) -> Exit | None:
        """How it ended, None while it runs. Waits for nothing but a dying server's end."""
        while self._exit is None:
            try:
                chunk = self._handle.recv(4096)
            except BlockingIOError:
                self._look_at_server()
                return None
            except OSError:
                chunk = b""
            if not chunk:
                self._lost()
                continue
            *lines, self._heard = (self._heard + chunk).split(b"\n")
            for line in lines:
                self._take(json.loads(line))
        return self._exit

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped_at is not None

    @property
    def ended(self) -> bool:
        """Whether the trainer has ended; `poll` tells how, once its server does.

        A server that does not for too long, being stopped itself, is killed.
        """
        if self.pid is None or not processes.is_zombie(self.pid):
            return False
        self._ended_at = self._ended_at or time.monotonic()
        if time.monotonic() - self._ended_at > ANSWER_LIMIT_S:
            self._launcher._kill_server()
        return True

    def stop(self) -> None:
        """Have it ended, with all that it has started, once it runs; `poll` tells when."""
        if self.pid is not None and self._stopped_at is None:
            self._stopped_at = time.monotonic()
            with contextlib.suppress(OSError):
                self._handle.shutdown(socket.SHUT_WR)

    def kill(self) -> Exit:
        """End it with all that it has started; waits until that is so."""
        if self.pid is None:
            self.poll()
        if self.pid is None or self._exit is not None:
            self._close()
            return self._exit or Exit(-signal.SIGKILL)
        self.stop()
        while (ended := self.poll()) is None:
            select.select([self._handle], [], [], _LOOK_S)
        return ended

    def _ask(self) -> None:
        assert self._log is not None
        self._asked_at = time.monotonic()
        self._handle = self._launcher._send(self._request, self._argv, self._log)

    def _look_at_server(self) -> None:
        """Kill a server that is silent for too long; the handle is closed with it."""
        if self.pid is None:
            late = self._launcher._is_late(self._asked_at)
        else:
            stopped = self._stopped_at
            late = stopped is not None and time.monotonic() - stopped > KILL_LIMIT_S
        if late:
            self._launcher._kill_server()

    def _take(self, message: Mapping[str, int]) -> None:
        if "pid" in message:
            self.pid = message["pid"]
            self._close_log()
            return
        self._launcher._trial_ended()
        code = message["exit"]
        # As a parent is told of it, and as a shell tells of it. We send neither.
        blameless = any(
            code in (-number, 128 + number)
            for number in (signal.SIGTERM, signal.SIGINT)
        )
        self._end(Exit(code, message["peak"], blameless=blameless))

    def _lost(self) -> None:
        """The handle was closed without an exit: the server is gone."""
        how = self._launcher._server_died()
        if self.pid is not None:
            # Its trainer was killed with it, but not what the trainer had started.
            processes.kill_session(self.pid)
            text = f"the process that forks trainers died ({how})"
            self._end(Exit(-signal.SIGKILL, message=text, blameless=True))
        elif self._launcher._gives_up():
            text = f"the process that starts trainers does not start ({how})"
            self._end(Exit(1, message=text))
        else:
            # Closed last: whoever watches the old number must not meet it again.
            with self._handle:
                self._ask()

    def _end(self, how: Exit) -> None:
        self._exit = how
        self._close()

    def _close(self) -> None:
        self._close_log()
        self._handle.close()

    def _close_log(self) -> None:
        if self._log is not None:
            os.close(self._log)
            self._log = None
