"""The environment of a trainer: scrubbed of the launcher's, and narrowed to one GPU.

A trainer that imports mpi4py under the variables of its parent's launcher joins, and
can kill, its parent's rank; so none of them goes through. GPUs are found without torch:
a worker that trains with a foreign program needs no framework of its own.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path

LAUNCHER_PREFIXES = (
    "OMPI_",
    "PMIX_",
    "PMI_",
    "PRTE_",
    "PRRTE_",
    "OPAL_",
    "MPI_",
    "MPIR_",
    "MPICH_",
    "HYDRA_",
    "HYDI_",
    "I_MPI_",
    "FI_",
    "MPIEXEC_",
)
"""How the variables of MPI libraries and launchers begin."""

THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

# Rank and number of ranks. An MPI launcher may run inside a Slurm step, so Slurm is last.
_LOCAL_RANKS = (
    ("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
    ("MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
    ("PMI_LOCAL_RANK", "PMI_LOCAL_SIZE"),
    ("MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_SIZE"),
    ("PALS_LOCAL_RANKID", "PALS_LOCAL_SIZE"),
    ("JSM_NAMESPACE_LOCAL_RANK", "JSM_NAMESPACE_LOCAL_SIZE"),
    ("SLURM_LOCALID", "SLURM_STEP_NUM_TASKS"),
)

_GPU_LINE = re.compile(r"^GPU \d+: .*\(UUID: (GPU-[^)]+)\)")
_MIG_LINE = re.compile(r"^\s+MIG .*\(UUID: (MIG-[^)]+)\)")
_VISIBLE = re.compile(r"\d+|GPU-.+|MIG-.+")


def scrub(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what MPI and its launchers put there."""
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(LAUNCHER_PREFIXES)
    }


def trainer_environment(
    environ: Mapping[str, str],
    *,
    threads: int,
    gpu: str | None,
    extra: Mapping[str, str],
) -> dict[str, str]:
    """What a trainer gets of the worker's environment, with ``extra`` on top.

    ``gpu`` is one of `visible_gpus`; with None the trainer sees no GPU at all.
    """
    environment = scrub(environ)
    environment |= dict.fromkeys(THREADS, str(threads))
    environment["CUDA_VISIBLE_DEVICES"] = gpu or ""
    # Lines must reach the log as they are printed: limits are judged by them.
    environment["PYTHONUNBUFFERED"] = "1"
    return environment | dict(extra)


def local_rank(environ: Mapping[str, str]) -> int | None:
    """The number of this process among its launcher's on this machine, from 0.

    None where no launcher started several: local workers of one master that was itself
    started as the only rank would else all believe that they are rank 0.
    """
    for rank, size in _LOCAL_RANKS:
        if environ.get(rank, "").isdecimal() and environ.get(size) != "1":
            # A Slurm batch script has a rank, and runs in no step.
            if rank == "SLURM_LOCALID" and size not in environ:
                return None
            return int(environ[rank])
    return None


def visible_gpus(
    environ: Mapping[str, str], *, devices: str = "/dev", timeout_s: float = 20.0
) -> tuple[str, ...]:
    """The GPUs that this process may use, each as a CUDA_VISIBLE_DEVICES would name it.

    Composes with the CUDA_VISIBLE_DEVICES that a launcher gave, and reads it as CUDA
    does: whatever follows the first name that is none is not visible. Where it is not
    set, nvidia-smi is asked (a GPU that is cut into MIG devices counts as those), and
    where that does not answer within ``timeout_s`` seconds, the files in ``devices``
    are counted.
    """
    installed = _listed(environ, timeout_s) or _device_files(devices)
    given = environ.get("CUDA_VISIBLE_DEVICES")
    if given is None or not installed:
        return installed
    names = (name.strip() for name in given.split(","))
    return tuple(takewhile(_VISIBLE.fullmatch, names))


def gpu_of_worker(
    gpus: tuple[str, ...], environ: Mapping[str, str], *, worker: int
) -> str | None:
    """The GPU of a worker: they go round the machine's GPUs; None where there is none.

    The local rank decides where a launcher gave one, else the worker's number, from 1.
    """
    if not gpus:
        return None
    rank = local_rank(environ)
    return gpus[(worker - 1 if rank is None else rank) % len(gpus)]


def _listed(environ: Mapping[str, str], timeout_s: float) -> tuple[str, ...]:
    program = shutil.which("nvidia-smi", path=environ.get("PATH"))
    if program is None:
        return ()
    try:
        answer = subprocess.run(
            [program, "-L"],
            capture_output=True,
            check=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=scrub(environ),
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found: list[list[str]] = []
    for line in answer.splitlines():
        if gpu := _GPU_LINE.match(line):
            found.append([gpu[1]])
        elif (part := _MIG_LINE.match(line)) and found:
            found[-1].append(part[1])
    return tuple(name for gpu, *parts in found for name in (parts if parts else [gpu]))


def _device_files(devices: str) -> tuple[str, ...]:
    # Counted, not read: in a container the one visible GPU may be /dev/nvidia3.
    files = Path(devices).glob("nvidia[0-9]*")
    return tuple(str(index) for index, _ in enumerate(files))
