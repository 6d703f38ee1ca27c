"""Processes that end with their parent, and the killing of all that a process started.

Linux only: prctl and /proc. A trainer may start processes of its own, in sessions of
their own; what starts trainers declares itself the *subreaper* of everything below it,
so that every orphan becomes its child and can be found and killed.
"""

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36

# Loaded here, because a child must not import between fork and the first prctl.
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def die_with_parent(number: signal.Signals) -> None:
    """Ask the kernel for a signal once the thread that started this process ends."""
    _call(_PR_SET_PDEATHSIG, int(number))


def become_subreaper() -> None:
    """Become the parent of every process below this one whose own parent ends."""
    _call(_PR_SET_CHILD_SUBREAPER, 1)


def name_process(name: str) -> None:
    """Show another name in ps, of 15 characters at most."""
    buffer = ctypes.create_string_buffer(name.encode())
    _call(_PR_SET_NAME, ctypes.addressof(buffer))


def kill_descendants(*, but: int | None = None) -> None:
    """Kill all that descends from this process, a subreaper, and reap it.

    ``but`` is a child that stays.
    """
    me = os.getpid()
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        children = [
            pid for pid, parent, _ in _processes() if parent == me and pid != but
        ]
        if not children:
            return
        for pid in children:
            kill(pid)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def kill_session(session: int) -> None:
    """Kill every process of a session; reaping is their parents' business."""
    for pid, _, of_session in _processes():
        if of_session == session:
            kill(pid)


def kill(pid: int) -> None:
    """SIGKILL, where there is still something to kill."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def oom_kills(root: Path = Path("/")) -> int:
    """How often the kernel has killed for want of memory here, as far as it tells.

    The counter of our own control group where there is one, else that of the machine.
    """
    for path in (*_group_counters(root), root / "proc/vmstat"):
        with contextlib.suppress(OSError, ValueError):
            for line in path.read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)
    return 0


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


def _processes() -> Iterator[tuple[int, int, int]]:
    """Process, parent and session of all that runs; a zombie runs no more."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            text = (folder / "stat").read_text(errors="replace")
            # The name of the program stands in brackets and may hold anything.
            state, parent, _, session = text.rpartition(")")[2].split()[:4]
            if state != "Z":
                yield int(folder.name), int(parent), int(session)


def _call(option: int, value: int) -> None:
    if _prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
