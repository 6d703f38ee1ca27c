"""A forked child that waits for its trial, then becomes the trainer.

While it waits it may rehearse. A request tells it all: ``argv``, ``folder``, what is to be
changed in the server's ``environment`` (null: to be removed), and ``warm``: whether to call
`serve(argv)` of the preloaded module or to execute argv. It never returns to the server's
code, leads a session of its own and dies with the server.

All of this is paid for by every trial, and a fork pays for each page that it touches: hence
plain system calls where Python has something nicer.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from ribosome.runner import processes

Serve = Callable[[Sequence[str]], int]


@dataclass(frozen=True, slots=True)
class Preloaded:
    """What a preloaded module offers: to run a trial, and to get ready for one."""

    serve: Serve
    rehearse: Callable[[], None] | None


WAITING = "ribosome-spare"
"""The process's name, as ps shows it, until it has a trial; then it is RUNNING."""

RUNNING = "ribosome-trial"

_STARTED_IN: dict[str, str | None] = dict(os.environ)


def open_outputs() -> None:
    """Make this process's outputs what a trainer's shall be, once for all its children.

    They give out every line at once, which those that Python makes for a file do not.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    sys.stdout, sys.stderr = _line_writer(1), _line_writer(2)


class Spare:
    """The server's side: a child that waits. Raises OSError where there is no room."""

    def __init__(self, preloaded: Preloaded | None) -> None:
        self._ours, theirs = socket.socketpair()
        server = os.getpid()
        with theirs:
            try:
                self.pid = os.fork()
            except OSError:
                self._ours.close()
                raise
            if self.pid == 0:
                self._ours.close()
                os._exit(_live(theirs, preloaded, server))

    def take(self, line: bytes, log: int) -> bool:
        """Hand it a request and the log's descriptor; False where it is dead."""
        with self._ours:
            try:
                sent = socket.send_fds(self._ours, [line], [log])
                self._ours.sendall(line[sent:])
            except OSError:
                return False
        return True


def _live(door: socket.socket, preloaded: Preloaded | None, server: int) -> int:
    """The child's side of the fork; returns its exit code and never raises."""
    try:
        _settle(server, door.fileno())
        if preloaded is not None and preloaded.rehearse is not None:
            _rehearse(preloaded.rehearse)
        request, log = _receive(door)
        _begin(request["environment"], request["folder"], log)
        argv: list[str] = request["argv"]
        if request["warm"] and preloaded is not None:
            return _serve(argv, preloaded.serve)
        return _execute(argv, request["environment"])
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()


def _settle(server: int, door: int) -> None:
    """Leave the server's signals, files and session; that needs nothing of a trial."""
    # The trial that runs now is told of by files that must not stay open here.
    os.closerange(3, door)
    os.closerange(door + 1, os.sysconf("SC_OPEN_MAX"))
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    processes.die_with_parent(signal.SIGKILL)
    if os.getppid() != server:
        os.kill(os.getpid(), signal.SIGKILL)
    os.setsid()
    processes.name_process(WAITING)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)


def _rehearse(rehearse: Callable[[], None]) -> None:
    # What does not work here will say so in the trial, where somebody reads it.
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
        contextlib.suppress(Exception),
    ):
        rehearse()


def _receive(door: socket.socket) -> tuple[dict[str, Any], int]:
    text, logs, _, _ = socket.recv_fds(door, 8192, 1)
    if not logs:
        os._exit(0)  # the server has let go of it
    while chunk := door.recv(8192):
        text += chunk
    return json.loads(text), logs[0]


def _begin(changes: dict[str, str | None], folder: str, log: int) -> None:
    """Take the trial's outputs, environment and folder, and close all other files."""
    processes.name_process(RUNNING)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    os.chdir(folder)


def _line_writer(descriptor: int) -> TextIO:
    return open(descriptor, "w", buffering=1, errors="backslashreplace", closefd=False)


def _execute(argv: list[str], changes: dict[str, str | None]) -> int:
    """Become the program of argv; returns only where there is no such program."""
    # Not os.environ: what a preloaded module has put there is not for another program.
    changed = (_STARTED_IN | changes).items()
    environment = {name: value for name, value in changed if value is not None}
    # Python ignores it, and what is ignored stays so through an exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvpe(argv[0], argv, environment)
    except OSError as error:
        print(f"cannot start {argv[0]}: {error.strerror}", file=sys.stderr)
        return 127


def _serve(argv: list[str], serve: Serve) -> int:
    sys.argv = ["ribosome", *argv]
    try:
        return serve(argv)
    except SystemExit as leaving:
        code: Any = leaving.code
        if code is None or isinstance(code, int):
            return code or 0
        print(code, file=sys.stderr)
        return 1
