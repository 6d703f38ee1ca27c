"""The process that starts trainers: warm by a fork, or cold by a fork and an exec.

Importing a framework takes seconds; a fork of a process that has imported it takes
milliseconds. So a worker keeps one such process beside it, which imports a module once
and then forks a child for every trial. It runs one trial at a time::

    python -P -m ribosome.runner.forkserver --fd N [--preload MODULE]

A request is a line of JSON on the Unix socket N, with two descriptors: where the
child's output goes, and the *handle* of the trial, a socket. On the handle the server
says ``{"pid": n}`` and at the end ``{"exit": code, "peak": bytes}``; when the worker
shuts its side of the handle, or is gone, the trial is killed. All that a trainer has
started is dead before its end is reported. One byte on the socket N says that the import
is done.

The child is forked ahead, while the trial before it runs, and waits for its request as a
*spare* (`ribosome.runner.spare`). The server itself never runs
anything of a framework beyond its import: no thread and no CUDA context may exist before
a fork.
"""

import argparse
import contextlib
import gc
import importlib
import os
import select
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from ribosome.runner import huge_pages, processes
from ribosome.runner.spare import Preloaded, Spare, open_outputs

NAME = "ribosome-server"
"""The process's name, as ps shows it."""

_ENDING = (signal.SIGTERM, signal.SIGHUP)
"""What comes when the worker dies, the second if we are stopped at that time."""


@dataclass(frozen=True, slots=True)
class Request:
    """A trial to start: the line that came, and the descriptors that came with it."""

    line: bytes
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
    processes.name_process(NAME)
    # Where memory runs out, the kernel shall take a trainer, which inherits this and is
    # larger than we are, and not the worker.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    preloaded: Preloaded | None = None
    if given.preload:
        module = importlib.import_module(given.preload)
        preloaded = Preloaded(module.serve, getattr(module, "rehearse", None))
    open_outputs()
    # What the import made never dies: a child's collector need not copy its pages.
    gc.collect()
    gc.freeze()
    huge_pages.gather()
    for number in _ENDING:
        signal.signal(number, _leave)
    news, wake = socket.socketpair()
    for end in (news, wake):
        end.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _do_nothing)
    try:
        _serve_worker(Door(socket.socket(fileno=given.fd)), preloaded, news)
    finally:
        processes.kill_descendants()
    # There is nothing to save, and to take a framework down takes a third of a second.
    os._exit(0)


def _leave(*_: object) -> None:
    # Both signals may come, and the second must not break off the killing of all that
    # runs. They are not ignored, because children would inherit that.
    for number in _ENDING:
        signal.signal(number, _do_nothing)
    # No clean-up of Python's: the worker must not see the trial's handle closed before all
    # of the trial is dead.
    processes.kill_descendants()
    os._exit(0)


def _do_nothing(*_: object) -> None:
    pass


class Door:
    """Where requests come in. Several may be waiting, and no read stops between them."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._text = b""
        self._descriptors: list[int] = []

    def open(self) -> None:
        """Tell the worker that requests are answered from now on."""
        with contextlib.suppress(OSError):
            self._connection.sendall(b"!")

    def next(self) -> Request | None:
        """The next request; None once the worker has closed its end."""
        while b"\n" not in self._text:
            try:
                chunk, came, _, _ = socket.recv_fds(self._connection, 8192, 2)
            except ConnectionResetError:  # it has gone before it heard that we are open
                return None
            if not chunk:
                return None
            self._text += chunk
            self._descriptors += came
        line, _, self._text = self._text.partition(b"\n")
        log, handle, *self._descriptors = self._descriptors
        return Request(line, log, socket.socket(fileno=handle))


def _serve_worker(door: Door, preloaded: Preloaded | None, news: socket.socket) -> None:
    spare = _fork(preloaded)
    door.open()
    while request := door.next():
        with request.handle:
            # The worker may have lost interest while the import was still under way.
            if select.select([request.handle], [], [], 0)[0]:
                os.close(request.log)
                continue
            spare = _run(request, spare, preloaded, news)


def _run(
    request: Request,
    spare: Spare | None,
    preloaded: Preloaded | None,
    news: socket.socket,
) -> Spare | None:
    """One trial, from the hand-over to the report of its end; returns the next spare."""
    # A spare may have been killed while it waited, or there was no room for one.
    if spare is None or not _hand_over(request, spare):
        spare = _fork(preloaded)
        if spare is None or not _hand_over(request, spare):
            os.write(request.log, b"cannot start a trainer: fork failed\n")
            os.close(request.log)
            _say(request.handle, b'{"exit": 1, "peak": 0}')
            return None
    os.close(request.log)
    following = _fork(preloaded)
    status, peak = _await_end(spare.pid, request.handle, news)
    but = following.pid if following else None
    processes.kill_descendants(but=but)
    _say(request.handle, b'{"exit": %d, "peak": %d}' % (status, peak))
    return following


def _hand_over(request: Request, spare: Spare) -> bool:
    # Told first: who ends a trial that runs must know that there is one to wait for.
    _say(request.handle, b'{"pid": %d}' % spare.pid)
    return spare.take(request.line, request.log)


def _fork(preloaded: Preloaded | None) -> Spare | None:
    try:
        return Spare(preloaded)
    except OSError:
        return None


def _await_end(pid: int, handle: socket.socket, news: socket.socket) -> tuple[int, int]:
    """Exit code (or minus the signal) and peak memory in bytes of the trainer."""
    watched = [news, handle]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if handle in ready:
            watched.remove(handle)
            processes.kill(pid)
        if news not in ready:
            continue
        news.recv(4096)
        # Any child can be an orphan of the trainer's: all that have ended are reaped.
        while True:
            ended, status, usage = os.wait4(-1, os.WNOHANG)
            if ended == pid:
                return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024
            if ended == 0:
                break


def _say(handle: socket.socket, message: bytes) -> None:
    # A worker that is gone, or has lost interest, hears nothing.
    with contextlib.suppress(OSError):
        handle.sendall(message + b"\n")


if __name__ == "__main__":
    main()
