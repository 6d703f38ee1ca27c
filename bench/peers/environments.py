"""A virtual environment for each peer, and programs run in them.

All that is written lies under one folder: environments are kept and used again as long as
the file of requirements beside this module stays as it is.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.peers.job import Job

HERE = Path(__file__).parent
TOP = HERE.parents[1]
_STAMP = "installed.txt"
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Unmeasured(Exception):
    """A peer that cannot be installed, or a program without an answer: why, in one line."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A Python of its own; ``folder`` is the virtual environment."""

    folder: Path

    def command(self, program: str, ranks: int) -> list[str]:
        """What runs a program of this folder, in so many MPI ranks or, for 0, without MPI."""
        python = [str(self.folder / "bin" / "python"), str(HERE / program)]
        if ranks == 0:
            return python
        return [str(self.folder / "bin" / "mpiexec"), "-n", str(ranks), *python]


def environment(peer: str, folder: Path) -> Environment:
    """The environment of a peer, made if there is none yet, or not of these requirements.

    Raises Unmeasured if it cannot be made.
    """
    requirements = HERE / "requirements" / f"{peer}.txt"
    place = folder / peer
    stamp = place / _STAMP
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return Environment(place)
    print(f"installing {peer} in {place}", file=sys.stderr, flush=True)
    place.mkdir(parents=True, exist_ok=True)
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    _made([sys.executable, "-m", "venv", "--clear", str(place)], folder)
    _made([*pip, "--disable-pip-version-check", "-r", str(requirements)], folder)
    stamp.write_text(requirements.read_text())
    return Environment(place)


def _made(command: Sequence[str], folder: Path) -> None:
    scratch = {"TMPDIR": str(folder), "PIP_CACHE_DIR": str(folder / "pip")}
    done = subprocess.run(
        command, env={**os.environ, **scratch}, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise Unmeasured(f"not installed: {_last_line(done.stderr + done.stdout)}")


def run(command: Sequence[str], job: Job, limit_s: float) -> float:
    """The rate that a program answers, in evaluations per second.

    It may take ``limit_s`` seconds, its start and end included. Raises Unmeasured if it
    takes longer, fails, or ends with fewer evaluations than the job has.
    """
    with tempfile.TemporaryFile(dir=job.folder) as errors:
        process = subprocess.Popen(
            [*command, json.dumps(_fields(job))],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=TOP,
            env=_variables(job.folder),
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise Unmeasured(f"longer than {limit_s:g} s") from None
        finally:
            _end(process)
        errors.seek(0)
        said = errors.read().decode(errors="replace")
    try:
        found = json.loads(output.splitlines()[-1])
        rate, done = float(found["rate"]), int(found["done"])
    except (IndexError, KeyError, TypeError, ValueError):
        raise Unmeasured(f"no answer: {_last_line(said)}") from None
    if done < job.evaluations:
        raise Unmeasured(f"{done} of {job.evaluations} ended: {_last_line(said)}")
    return rate


def _fields(job: Job) -> dict[str, object]:
    return {name: getattr(job, name) for name in job.__slots__}


def _variables(folder: str) -> Mapping[str, str]:
    """The environment of every program: one thread each, nothing written elsewhere."""
    kept = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MPLCONFIGDIR")
    }
    return {
        **kept,
        **dict.fromkeys(_ONE_THREAD, "1"),
        "HOME": folder,
        "TMPDIR": folder,
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _end(process: subprocess.Popen[str]) -> None:
    """Leave nothing running of a program that was cut short."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
