"""How a search comes to run over MPI: what launched this process, and how to launch one.

Nothing here imports mpi4py: that initialises MPI, and whether to do so is the question.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ribosome.genome.errors import RunError

_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "JSM_NAMESPACE_SIZE")
_RANKS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "JSM_NAMESPACE_RANK")
_FIRST_WITH_ULFM = 5


def launched_ranks(environment: Mapping[str, str] = os.environ) -> int:
    """The number of processes that mpiexec, jsrun or srun started together; 1 for alone."""
    for name in _SIZES:
        if environment.get(name, "").isdecimal():
            return int(environment[name])
    # A batch script of Slurm is alone, although its job has many tasks: only a step is not.
    if "SLURM_STEP_ID" in environment and "SLURM_PROCID" in environment:
        return int(environment.get("SLURM_STEP_NUM_TASKS", "1"))
    return 1


def launched_rank(environment: Mapping[str, str] = os.environ) -> int:
    """The number of this process among them, from 0."""
    for name in (*_RANKS, "SLURM_PROCID"):
        if environment.get(name, "").isdecimal():
            return int(environment[name])
    return 0


def survives_death(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the MPI that launched this process goes on when a rank is killed (ULFM)."""
    return environment.get("OMPI_MCA_mpi_ft_enable", "") in ("1", "true")


def find_mpiexec() -> str:
    """The mpiexec of this Python's own environment, else the first on PATH.

    Raises RunError if there is none.
    """
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("mpiexec")
    if found is None:
        raise RunError(
            "mpiexec is neither beside this Python nor on PATH: `pip install mpich`, or load "
            "your machine's MPI; without --mpi the workers need no MPI"
        )
    return found


def mpi_argv(ranks: int, argv: Sequence[str]) -> list[str]:
    """The command that runs ``argv`` as that many ranks, as root and oversubscribed too.

    Where it can be had, SIGINT and SIGTERM are blocked in them from the first moment on; see
    `ribosome.runner.signals.hold_back`.
    """
    mpiexec = find_mpiexec()
    return [mpiexec, *_options(mpiexec), "-n", str(ranks), *_holding(), *argv]


def _holding() -> list[str]:
    """What to put before a program that begins with those signals blocked (coreutils 8.31)."""
    holding = ["env", "--block-signal=INT,TERM"]
    try:
        tried = subprocess.run([*holding, "true"], capture_output=True, check=False)
    except OSError:
        return []
    return holding if tried.returncode == 0 else []


def _options(mpiexec: str) -> list[str]:
    version = subprocess.run(
        [mpiexec, "--version"], capture_output=True, text=True, check=False
    ).stdout
    return options_of(version)


def options_of(version: str) -> list[str]:
    """What an mpiexec with this text of `mpiexec --version` needs to be told.

    Open MPI refuses more ranks than cores, and root; from version 5 on it goes on without a
    rank that was killed, if asked to.
    """
    if "Open MPI" not in version and "OpenRTE" not in version:
        return []
    options = ["--oversubscribe", "--bind-to", "none"]
    found = re.search(r"\(Open MPI\) (\d+)", version)
    if found and int(found[1]) >= _FIRST_WITH_ULFM:
        options += ["--with-ft", "ulfm"]
    return ["--allow-run-as-root", *options] if os.geteuid() == 0 else options
