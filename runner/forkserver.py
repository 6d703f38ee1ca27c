"""The process that starts trainers: warm by a fork, or cold by a fork and an exec.

Importing a framework takes seconds; a fork of a process that has imported it takes
milliseconds. So a worker keeps one such process beside it, which imports a module once
and then forks a child for every trial. It runs one trial at a time::

    python -P -m ribosome.runner.forkserver --fd N [--preload MODULE]

A request is a line of JSON on the Unix socket N, with two descriptors: where the
child's output goes, and the *handle* of the trial, a socket. On the handle the server
says ``{"pid": n}`` and at the end ``{"exit": code, "peak": bytes}``; when the worker
shuts its side of the handle, or is gone, the trial is killed. All that a trainer has
started is dead before its end is reported.

With ``"warm": true`` the child calls `serve(argv)` of the preloaded module, else it
executes argv. The server itself never runs anything of a framework beyond its import:
no thread and no CUDA context may exist before a fork.
"""

import argparse
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from ribosome.runner import huge_pages, processes

Serve = Callable[[Sequence[str]], int]


@dataclass(frozen=True, slots=True)
class Request:
    """A trial to start, and the descriptors that came with it."""

    argv: list[str]
    environment: dict[str, str]
    folder: str
    warm: bool
    log: int
    handle: socket.socket


def main() -> None:
    """Serve until the worker is gone."""
    options = argparse.ArgumentParser(prog="ribosome.runner.forkserver")
    options.add_argument("--fd", type=int, required=True)
    options.add_argument("--preload", default="")
    given = options.parse_args()
    processes.die_with_parent(signal.SIGTERM)
    processes.become_subreaper()
    serve: Serve | None = None
    if given.preload:
        serve = importlib.import_module(given.preload).serve
    # The objects of the import never die: a child's collector need not copy their
    # pages.
    gc.collect()
    gc.freeze()
    huge_pages.gather()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    news, wake = socket.socketpair()
    for end in (news, wake):
        end.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    door = Door(socket.socket(fileno=given.fd))
    try:
        while request := door.next():
            with request.handle:
                run(request, serve, news)
    finally:
        processes.kill_descendants()
    # There is nothing to save, and to take a framework down takes a third of a second.
    os._exit(0)


class Door:
    """Where requests come in. Several may be waiting, and no read stops between them."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._text = b""
        self._descriptors: list[int] = []

    def next(self) -> Request | None:
        """The next request; None once the worker has closed its end."""
        while b"\n" not in self._text:
            chunk, came, _, _ = socket.recv_fds(self._connection, 65536, 2)
            if not chunk:
                return None
            self._text += chunk
            self._descriptors += came
        line, _, self._text = self._text.partition(b"\n")
        log, handle, *self._descriptors = self._descriptors
        return Request(**json.loads(line), log=log, handle=socket.socket(fileno=handle))


def run(request: Request, serve: Serve | None, news: socket.socket) -> None:
    """One trial, from the fork to the report of its end."""
    # The worker may have lost interest while the import was still under way.
    if select.select([request.handle], [], [], 0)[0]:
        os.close(request.log)
        return
    server = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        text = f"cannot start a trainer: {error.strerror}\n"
        os.write(request.log, text.encode())
        os.close(request.log)
        _say(request.handle, {"exit": 1, "peak": 0})
        return
    if pid == 0:
        os._exit(_child(request, serve, server))
    os.close(request.log)
    _say(request.handle, {"pid": pid})
    status, peak = _await_end(pid, request.handle, news)
    processes.kill_descendants()
    _say(request.handle, {"exit": status, "peak": peak})


def _await_end(pid: int, handle: socket.socket, news: socket.socket) -> tuple[int, int]:
    """Exit code (or minus the signal) and peak memory in bytes of the trainer."""
    killed = False
    while True:
        with contextlib.suppress(BlockingIOError):
            while news.recv(4096):
                pass
        # Any child can be an orphan of the trainer's, so all that have ended are
        # reaped.
        while True:
            ended, status, usage = os.wait4(-1, os.WNOHANG)
            if ended == pid:
                return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024
            if ended == 0:
                break
        if killed:
            select.select([news], [], [])
        elif handle in select.select([news, handle], [], [])[0]:
            killed = True
            processes.kill(pid)


def _say(handle: socket.socket, message: dict[str, int]) -> None:
    # A worker that is gone, or has lost interest, hears nothing.
    with contextlib.suppress(OSError):
        handle.sendall(json.dumps(message).encode() + b"\n")


def _child(request: Request, serve: Serve | None, server: int) -> int:
    """The trainer's side of the fork; returns its exit code and never raises."""
    try:
        _settle(request, server)
        if request.warm and serve is not None:
            return _serve(request.argv, serve)
        return _execute(request)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()


def _settle(request: Request, server: int) -> None:
    """Make this process the trainer's own, with nothing left of the server's."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    processes.die_with_parent(signal.SIGKILL)
    if os.getppid() != server:
        os.kill(os.getpid(), signal.SIGKILL)
    os.setsid()
    # Where memory runs out, the kernel shall take the trainer and not the worker.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(request.log, 1)
    os.dup2(request.log, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    # New objects: the server's remember that they write to a file.
    sys.stdout, sys.stderr = _line_writer(1), _line_writer(2)
    os.environ.clear()
    os.environ.update(request.environment)
    os.chdir(request.folder)


def _line_writer(descriptor: int) -> TextIO:
    return open(descriptor, "w", buffering=1, errors="backslashreplace", closefd=False)


def _execute(request: Request) -> int:
    """Become the program of argv; returns only where there is no such program."""
    # Python ignores it, and what is ignored stays so through an exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvpe(request.argv[0], request.argv, request.environment)
    except OSError as error:
        print(f"cannot start {request.argv[0]}: {error.strerror}", file=sys.stderr)
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


if __name__ == "__main__":
    main()
