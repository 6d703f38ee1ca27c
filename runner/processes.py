"""Processes that end with their parent, and the killing of all that a process started.

Linux only: prctl and /proc. A trainer may start processes of its own, in sessions of
their own; what starts trainers declares itself the *subreaper* of everything below it,
so that every orphan becomes its child and can be found and killed.
"""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36

_PATIENCE_S = 10.0
_MOMENT_S = 0.0005

# Loaded here, because a child must not import between fork and the first prctl.
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def die_with_parent(number: signal.Signals) -> None:
    """Ask the kernel for a signal once the thread that started this process ends."""
    _call(_PR_SET_PDEATHSIG, ctypes.c_ulong(number))


def become_subreaper() -> None:
    """Become the parent of every process below this one whose own parent ends."""
    _call(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1))


def name_process(name: str) -> None:
    """Show another name in ps, of 15 characters at most."""
    _call(_PR_SET_NAME, ctypes.c_char_p(name.encode()))


def kill_descendants(*, but: int | None = None) -> None:
    """Kill all that descends from this process, a subreaper of one thread, and reap it.

    ``but`` is a child that stays, and has no descendants. Gives up after 10 s on what does
    not die, or is started anew faster than it can be found.
    """
    me = os.getpid()
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if _has_no_child(me, but):
            return
        found = _descendants(me, but, _listed())
        if not found or time.monotonic() > deadline:
            return
        # A group dies at once; one by one, its members could start others meanwhile.
        for group in {process.group for process in found} - {os.getpgrp()}:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        for process in found:
            kill(process.pid)
        time.sleep(_MOMENT_S)


def kill_session(session: int) -> None:
    """Kill every process of a session; reaping is their parents' business."""
    for process in _processes(_listed()):
        if process.session == session:
            kill(process.pid)


def kill(pid: int) -> None:
    """SIGKILL, where there is still something to kill."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def is_zombie(pid: int) -> bool:
    """Whether a process has ended and waits for its parent to take note of that."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state == b"Z"


def oom_kills(root: Path = Path("/")) -> int:
    """How often the kernel has killed for want of memory here, as far as it tells.

    The counter of our own control group where there is one, else that of the machine;
    which one that is, is found once.
    """
    path = _oom_counter(root)
    return (_count_in(path) or 0) if path else 0


@lru_cache(maxsize=8)
def _oom_counter(root: Path) -> Path | None:
    for path in (*_group_counters(root), root / "proc/vmstat"):
        if _count_in(path) is not None:
            return path
    return None


def _count_in(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return None


def _group_counters(root: Path) -> Iterator[Path]:
    groups = root / "sys/fs/cgroup"
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            inside = path.lstrip("/")
            if not controllers:
                yield groups / inside / "memory.events"
            elif "memory" in controllers.split(","):
                yield groups / "memory" / inside / "memory.oom_control"


class _Process(NamedTuple):
    pid: int
    parent: int
    group: int
    session: int


def _descendants(me: int, but: int | None, numbers: Iterable[int]) -> list[_Process]:
    """What descends from a process, the child ``but`` and its session left out."""
    children: dict[int, list[_Process]] = {}
    for process in _processes(numbers):
        if but not in (process.pid, process.session):
            children.setdefault(process.parent, []).append(process)
    found = children.pop(me, [])
    for process in found:  # grows while it is gone through
        found.extend(children.pop(process.pid, ()))
    return found


def _processes(numbers: Iterable[int]) -> Iterator[_Process]:
    """Those that run of the processes with these numbers; a zombie runs no more."""
    for number in numbers:
        try:
            file = os.open(f"/proc/{number}/stat", os.O_RDONLY)
        except OSError:
            continue
        try:
            text = os.read(file, 4096)
        except OSError:
            continue
        finally:
            os.close(file)
        # The name of the program stands in brackets and may hold anything.
        state, parent, group, session = text.rpartition(b")")[2].split(None, 4)[:4]
        if state not in b"ZX":
            yield _Process(number, int(parent), int(group), int(session))


def _has_no_child(me: int, but: int | None) -> bool:
    """Whether this process has no child but one, and so no other descendant.

    Not so where the kernel does not tell. To look through all of /proc takes milliseconds
    on a busy machine. The list can lack a child only while another is reaped, which is for
    this process to do; an orphan is added to it before its parent can be reaped.
    """
    try:
        file = os.open(f"/proc/self/task/{me}/children", os.O_RDONLY)
    except OSError:
        return False
    try:
        children = os.read(file, 4096)
    finally:
        os.close(file)
    return children in (b"", b"%d " % (but or 0))


def _listed() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208


def _call(option: int, value: ctypes.c_ulong | ctypes.c_char_p) -> None:
    if _prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
