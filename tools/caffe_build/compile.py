"""Runs the makefile on all cores, and tells how far it is."""

import os
import subprocess
import time
from pathlib import Path

from ribosome.tools.caffe_build.plan import DONE, PROGRAM
from ribosome.tools.caffe_build.report import BuildError, Say, last_lines
from ribosome.tools.text import duration

_BYTES_PER_JOB = 1 << 30
_PERCENT = 5
_COMPILER_LINES = 6
_COMPLAINT = "error:|undefined reference|cannot find|No space|Killed|not found"
# An outer make's: its options are not meant for this one.
_OUTER = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")


def compile_all(
    folder: Path, steps: int, *, jobs: int, log: Path, say: Say, keep_open: int
) -> Path:
    """Compile and link; returns the program. Raises BuildError if a compiler fails.

    ``keep_open`` is a file descriptor that make and the compilers inherit: a lock on it
    is held until the last of them ends, whatever becomes of this process.
    """
    before = sum(1 for _ in (folder / "objects").rglob("*.o"))
    if before:
        say(f"goes on: {before} of {steps} steps are done")
    start = time.monotonic()
    env = {name: held for name, held in os.environ.items() if name not in _OUTER}
    env["LC_ALL"] = "C"  # errors are picked out of the log by English words
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            ["make", "-j", str(jobs), PROGRAM],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            errors="replace",
            pass_fds=(keep_open,),
        ) as make,
    ):
        assert make.stdout is not None
        done = before
        shown = 100 * done // steps
        for line in make.stdout:
            done += line.startswith(DONE)
            percent = min(100, 100 * done // steps)
            if percent >= shown + _PERCENT:
                shown = percent
                say(f"{percent:3d} %, {duration(time.monotonic() - start)}")
    if make.returncode != 0:
        raise BuildError(
            f"compiling fails (all of it: {log}); mend what the compiler says, or compile "
            f"less at once with `make caffe ARGS='--jobs 1'`"
            f"{last_lines(log, _COMPILER_LINES, of=_COMPLAINT)}"
        )
    return folder / PROGRAM


def sensible_jobs() -> int:
    """As many compilers at once as there are cores to use, and GiB of free memory."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, _free_bytes() // _BYTES_PER_JOB))


def _free_bytes() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
