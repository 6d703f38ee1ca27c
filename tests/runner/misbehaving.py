"""A trainer that misbehaves on demand, in every way that we know of; a plug-in backend for it.

``BEHAVIOURS`` says by name what is done and how the trial must end. As a program or
preloaded, the first argument is that name. Only the standard library is imported here: a
thousand of these are started cold.
"""

import ctypes
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

OK = (
    "event=first_iteration iteration=0 loss=2.3 lr=0.1\n"
    "event=speed batches_per_s=50\n"
    "event=test accuracy={accuracy} loss=0.5 iteration=10\n"
    "event=done\n"
)
DONE = OK.format(accuracy=0.75)
PRECIOUS = "PRECIOUS"
"""The variable that names a folder which no trial may touch."""

INVALID = 4


class Behaviour(NamedTuple):
    """What a trainer does, how its trial must end, and how often it is drawn."""

    do: Callable[[], int]
    ending: str
    weight: float = 1.0


def serve(argv: Sequence[str]) -> int:
    """Do what the first argument names; the second is the accuracy of ``ok``."""
    if argv[0] == "ok":
        sys.stdout.write(OK.format(accuracy=argv[1] if len(argv) > 1 else 0.75))
        return 0
    return BEHAVIOURS[argv[0]].do()


def _say(text: str) -> None:
    os.write(1, text.encode())


def _well(code: int = 0) -> int:
    _say(DONE)
    return code


# Ends of its own.


def _raises() -> int:
    raise ValueError(f"no such luck at 0x{os.getpid():x}")


def _raises_in_generated() -> int:
    path = Path("network.py").absolute()
    path.write_text("def forward():\n    return [][7]\n")
    space: dict[str, Callable[[], int]] = {}
    exec(compile(path.read_text(), str(path), "exec"), space)  # noqa: S102 - as a trainer
    return space["forward"]()


def _signals(number: signal.Signals) -> Callable[[], int]:
    def do() -> int:
        _say("last words\n")
        signal.signal(number, signal.SIG_DFL) if number != signal.SIGKILL else None
        os.kill(os.getpid(), number)
        time.sleep(10)
        return 0

    return do


def _segfaults() -> int:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return ctypes.string_at(0)[0]


def _finishes_then_crashes() -> int:
    _well()
    return _segfaults()


def _runs_out_of_memory() -> int:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
    return len(bytearray(1 << 31))


def _says(text: str, code: int = 1) -> Callable[[], int]:
    def do() -> int:
        _say(text)
        return code

    return do


def _fills_its_folder() -> int:
    Path("core").write_bytes(bytes(1 << 20))
    Path("deep").mkdir()
    Path("deep/weights").write_bytes(bytes(1 << 20))
    raise OSError("no more")


# Output.


def _runs_away() -> int:
    block = (b"and on " * 146 + b"\n") * 64
    while True:
        os.write(1, block)


def _one_line() -> int:
    for _ in range(8):
        os.write(1, b"y" * (1 << 18))
    return _says("\n" + DONE, 0)()


def _garbage() -> int:
    os.write(1, bytes(range(256)) * 64 + b"\n")
    return _well()


def _closes_output() -> int:
    _well()
    os.close(1)
    os.close(2)
    time.sleep(0.05)
    return 0


# No end.


def _hangs() -> int:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, set(signal.Signals) - {signal.SIGKILL})
    _say("alive\n")
    time.sleep(1000)
    return 0


def _stops_itself() -> int:
    _say("good night\n")
    os.kill(os.getpid(), signal.SIGSTOP)
    return 0


def _ticks_forever() -> int:
    while True:
        _say("tick\n")
        time.sleep(0.01)


def _hangs_after_nan() -> int:
    _say("event=iteration iteration=4 loss=nan lr=0.1\n")
    return _hangs()


# Processes of its own.


def _sleeper(*, new_session: bool = False) -> None:
    subprocess.Popen(["sleep", "1000"], start_new_session=new_session)


def _leaves_child() -> int:
    _sleeper()
    return _well()


def _leaves_daemon() -> int:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(1000)
        os._exit(0)
    return _well()


def _leaves_zombie() -> int:
    if os.fork() == 0:
        # Its own child is dead and never asked for; both are left to whoever comes.
        if os.fork() == 0:
            os._exit(0)
        time.sleep(1000)
    if os.fork() == 0:
        os._exit(0)
    time.sleep(0.02)
    return _well()


def _leaves_many() -> int:
    for number in range(40):
        if os.fork() == 0:
            if number % 2:
                os.setsid()
            time.sleep(1000)
    return _well()


def _leaves_forking() -> int:
    """Children that start others as long as they live, up to a bound for the machine."""
    if os.fork() == 0:
        for _ in range(100):
            if os.fork() == 0:
                time.sleep(0.02)
                if os.fork() == 0:
                    time.sleep(1000)
                os._exit(0)
        time.sleep(1000)
    return _well()


def _kills_its_parent() -> int:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(10)
    return 0


# Its folder.


def _removes_its_folder() -> int:
    shutil.rmtree(Path.cwd())
    return _well()


def _links_its_folder(code: int = 0) -> int:
    folder = Path.cwd()
    shutil.rmtree(folder)
    folder.symlink_to(os.environ[PRECIOUS])
    return _well(code)


def _links_its_folder_and_fails() -> int:
    return _links_its_folder(1)


BEHAVIOURS: dict[str, Behaviour] = {
    "raises": Behaviour(_raises, "crashed"),
    "raises_in_generated": Behaviour(_raises_in_generated, "crashed"),
    "sigkill": Behaviour(_signals(signal.SIGKILL), "crashed"),
    "sigterm": Behaviour(_signals(signal.SIGTERM), "crashed"),
    "sigabrt": Behaviour(_signals(signal.SIGABRT), "crashed"),
    "segfaults": Behaviour(_segfaults, "crashed"),
    "finishes_then_crashes": Behaviour(_finishes_then_crashes, "crashed"),
    "leaves_at_once": Behaviour(_says("", 0), "crashed"),
    "odd_exit_code": Behaviour(_says("leaving\n", 77), "crashed"),
    "impossible_accuracy": Behaviour(_says(OK.format(accuracy=1.5), 0), "crashed"),
    "fills_its_folder": Behaviour(_fills_its_folder, "crashed"),
    "runs_away": Behaviour(_runs_away, "crashed"),
    "kills_its_parent": Behaviour(_kills_its_parent, "crashed"),
    "invalid": Behaviour(_says("a shape does not fit\n", INVALID), "invalid"),
    "host_memory": Behaviour(_runs_out_of_memory, "out_of_memory"),
    "cuda_memory": Behaviour(
        _says("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\n"),
        "out_of_memory",
    ),
    "bad_alloc": Behaviour(
        _says("terminate called after throwing an instance of 'std::bad_alloc'\n", 134),
        "out_of_memory",
    ),
    "nan_loss": Behaviour(
        _says("event=iteration iteration=4 loss=nan lr=0.1\n" + DONE, 0), "diverged"
    ),
    "nan_accuracy": Behaviour(_says(OK.format(accuracy="nan"), 0), "diverged"),
    "hangs_after_nan": Behaviour(_hangs_after_nan, "diverged"),
    "hangs": Behaviour(_hangs, "timeout", 0.4),
    "stops_itself": Behaviour(_stops_itself, "timeout", 0.4),
    "ticks_forever": Behaviour(_ticks_forever, "timeout", 0.2),
    "one_line": Behaviour(_one_line, "ok"),
    "garbage": Behaviour(_garbage, "ok"),
    "closes_output": Behaviour(_closes_output, "ok"),
    "leaves_child": Behaviour(_leaves_child, "ok"),
    "leaves_daemon": Behaviour(_leaves_daemon, "ok"),
    "leaves_zombie": Behaviour(_leaves_zombie, "ok"),
    "leaves_many": Behaviour(_leaves_many, "ok"),
    "leaves_forking": Behaviour(_leaves_forking, "ok"),
    "removes_its_folder": Behaviour(_removes_its_folder, "ok"),
    "links_its_folder": Behaviour(_links_its_folder, "ok"),
    "links_its_folder_and_fails": Behaviour(_links_its_folder_and_fails, "crashed"),
}


def drawn(storm: int, seed: int, share: float) -> str:
    """What the trial with a seed does: with probability ``share`` it misbehaves."""
    generator = random.Random(f"{storm}:{seed}")
    if generator.random() >= share:
        return "ok"
    weights = [behaviour.weight for behaviour in BEHAVIOURS.values()]
    return generator.choices(list(BEHAVIOURS), weights)[0]


def ending_of(name: str) -> str:
    """How a trial must end."""
    return "ok" if name == "ok" else BEHAVIOURS[name].ending


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))
