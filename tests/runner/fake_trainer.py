"""A trainer that does on command whatever a trainer may do; imports no framework.

Run as a program it is a cold start's, preloaded it is a warm start's.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

OK = (
    "event=first_iteration iteration=0 loss=2.3 lr=0.1\n"
    "event=speed batches_per_s=50\n"
    "event=test accuracy=0.75 loss=0.5 iteration=10\n"
    "event=done\n"
)


def serve(argv: Sequence[str]) -> int:
    """Do what the first argument names with the others."""
    name, *arguments = argv
    return _BEHAVIOURS[name](*arguments)


def _ok(code: str = "0") -> int:
    sys.stdout.write(OK)
    return int(code)


def _raises() -> int:
    raise ValueError("no such luck")


def _exits(code: str) -> int:
    print("leaving")
    return int(code)


def _signal(number: str) -> int:
    print("last words", flush=True)
    os.kill(os.getpid(), int(number))
    return 0


def _hangs() -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("alive", flush=True)
    time.sleep(1000)
    return 0


def _prints_forever() -> int:
    while True:
        print("tick", flush=True)


def _dots() -> int:
    while True:
        sys.stdout.write(".")
        sys.stdout.flush()
        time.sleep(0.02)


def _floods(megabytes: str) -> int:
    block = (b"x" * 1023 + b"\n") * 1024
    for _ in range(int(megabytes)):
        os.write(1, block)
    return _ok()


def _long_line() -> int:
    for _ in range(20):
        os.write(1, b"y" * (1 << 20))
    os.write(1, b"\n")
    return _ok()


def _garbage() -> int:
    os.write(1, bytes(range(256)) * 64 + b"\n")
    return _ok()


def _leaves_orphan(session: str) -> int:
    subprocess.Popen(["sleep", "1000"], start_new_session=session == "new")
    return _ok()


def _hangs_with_child(session: str) -> int:
    subprocess.Popen(["sleep", "1000"], start_new_session=session == "new")
    return _hangs()


def _closes_output() -> int:
    _ok()
    sys.stdout.flush()
    os.close(1)
    os.close(2)
    time.sleep(0.3)
    os._exit(0)


def _diverges(then: str) -> int:
    print("event=iteration iteration=4 loss=nan lr=0.1")
    if then == "hangs":
        return _hangs()
    print("event=test accuracy=1.0 loss=nan iteration=10\nevent=done")
    return 0


def _checks(then: str) -> int:
    print("event=iteration iteration=4 loss=2.3 lr=0.1")
    print("event=test accuracy=0.25 loss=2 iteration=5", flush=True)
    return _hangs() if then == "hangs" else _ok()


def _out_of_memory() -> int:
    print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB")
    print("and one line more")
    return 1


def _tells() -> int:
    """Say in one line of JSON what this process is like."""
    state = {
        "pid": os.getpid(),
        "session": os.getsid(0),
        "folder": str(Path.cwd()),
        "files": sorted(int(path.name) for path in Path("/proc/self/fd").iterdir()),
        "environment": dict(os.environ),
        "input": str(Path("/proc/self/fd/0").readlink()),
        "path0": sys.path[0],
    }
    print("told " + json.dumps(state))
    return _ok()


_BEHAVIOURS: dict[str, Callable[..., int]] = {
    "ok": _ok,
    "checks": _checks,
    "raises": _raises,
    "exits": _exits,
    "signal": _signal,
    "hangs": _hangs,
    "prints_forever": _prints_forever,
    "dots": _dots,
    "floods": _floods,
    "long_line": _long_line,
    "garbage": _garbage,
    "leaves_orphan": _leaves_orphan,
    "hangs_with_child": _hangs_with_child,
    "closes_output": _closes_output,
    "diverges": _diverges,
    "out_of_memory": _out_of_memory,
    "tells": _tells,
}

if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))
