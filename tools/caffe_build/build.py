"""From nothing to a caffe that has been seen to run, in a folder of the cache.

Every step can be interrupted: what it makes gets its name only when it is complete, and
the next `make caffe` goes on from there. The program itself gets its name last, after it
has run a network.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ribosome.backends.caffe.binary import (
    built_caffe,
    built_folder,
    caffe_environment,
    caffe_version,
)
from ribosome.genome.errors import ConfigError
from ribosome.tools.caffe_build import debian, plan, sdist
from ribosome.tools.caffe_build.compile import compile_all, sensible_jobs
from ribosome.tools.caffe_build.edits import EDITS, apply_edits
from ribosome.tools.caffe_build.report import BuildError, Say
from ribosome.tools.text import size

NEEDED_BYTES = 300 << 20
"""Free space that a build takes at most: sources, objects and the program."""

RECIPE = hashlib.sha256(
    repr((sdist.SHA256, EDITS, plan.FLAGS, plan.LIBRARIES)).encode()
).hexdigest()
"""Changes whenever what is built would: an older program or build is no use then."""

_TRIAL_TIME_S = 120.0
_TRIAL_NETWORK = """\
name: "trial"
layer {
  name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 1 dim: 8 dim: 8 } }
}
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {
    num_output: 3 kernel_size: 3 weight_filler { type: "xavier" }
  }
}
"""
_TRIAL_SHAPE = "Top shape: 2 3 6 6"


def build(say: Say, jobs: int | None = None) -> Path:
    """Build caffe unless it is there; returns its path.

    ``say`` is told how far it is. ``jobs`` compilers run at once: by default as many as
    cores and memory allow. Raises BuildError, and OSError where the cache cannot be
    written.
    """
    folder = built_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder, say) as lock:
        program = built_caffe()
        if _is_done(program):
            say(f"caffe {caffe_version(str(program))} is there: {program}")
            return program
        _check_space(folder)
        debian.provide(folder / "packages.log", say)
        archive = sdist.fetch(folder)
        work = _prepare(folder / "work", archive)
        steps = plan.write_plan(work, debian.compiler())
        jobs = jobs or sensible_jobs()
        say(f"compiles in {work}, {jobs} at once")
        log = folder / "compile.log"
        made = compile_all(work, steps, jobs=jobs, log=log, say=say, keep_open=lock)
        try_out(made)
        _install(made, program)
        shutil.rmtree(work)
        say(f"caffe {caffe_version(str(program))} is built: {program}")
        return program


def try_out(program: Path) -> None:
    """See that a caffe runs a small network. Raises BuildError if it does not."""
    network = program.with_name("trial.prototxt")
    network.write_text(_TRIAL_NETWORK, encoding="utf-8")
    argv = [str(program), "time", "-model", str(network), "-iterations", "1"]
    try:
        run = subprocess.run(
            argv,
            env={**os.environ, **caffe_environment()},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_TRIAL_TIME_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BuildError(
            f"{program}: takes more than {_TRIAL_TIME_S:.0f} s for a tiny network; see "
            "what else this machine does, and run `make caffe` again"
        ) from None
    if run.returncode != 0 or _TRIAL_SHAPE not in run.stderr:
        said = run.stderr.strip().splitlines() or ["nothing"]
        raise BuildError(
            f"{program}: was built but does not run a tiny network: exit code "
            f"{run.returncode}, {said[-1]!r}; run {' '.join(argv)!r} to see more"
        )


@contextmanager
def _alone(folder: Path, say: Say) -> Iterator[int]:
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waits for another build in {folder}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _is_done(program: Path) -> bool:
    recipe = program.with_name("recipe")
    if not program.is_file() or not recipe.is_file():
        return False
    if recipe.read_text(encoding="utf-8") != RECIPE:
        return False
    try:
        caffe_version(str(program))
    except ConfigError:
        # The system's libraries have changed since it was built.
        caffe_version.cache_clear()
        return False
    return True


def _check_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise BuildError(
            f"{folder}: {size(free)} free, but a build needs {size(NEEDED_BYTES)}; free "
            "some, or set RIBOSOME_CACHE to a folder on another disk"
        )


def _prepare(work: Path, archive: Path) -> Path:
    # What an older recipe left is of no use.
    recipe = work / "recipe"
    if not recipe.is_file() or recipe.read_text(encoding="utf-8") != RECIPE:
        shutil.rmtree(work, ignore_errors=True)
        fresh = work / "unpacking"
        sdist.unpack(archive, fresh)
        apply_edits(fresh)
        fresh.rename(work / plan.SOURCE)
        recipe.write_text(RECIPE, encoding="utf-8")
    return work


def _install(made: Path, program: Path) -> None:
    program.parent.mkdir(exist_ok=True)
    program.unlink(missing_ok=True)  # an older one is not of the recipe written here
    shutil.copy(made.parent / plan.SOURCE / "LICENSE", program.parent)
    program.with_name("recipe").write_text(RECIPE, encoding="utf-8")
    made.replace(program)
