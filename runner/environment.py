"""The environment of a trainer: scrubbed of the launcher's, and narrowed to one GPU.

A trainer that imports mpi4py under the variables of its parent's launcher joins, and
can kill, its parent's rank; so none of them goes through.
"""

from collections.abc import Mapping

from ribosome.backends.base import GPU_SHARE
from ribosome.runner.gpus import Gpu, narrowed

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
    gpu: Gpu | None,
    extra: Mapping[str, str],
    trials_per_gpu: int = 1,
) -> dict[str, str]:
    """What a trainer gets of the worker's environment, with ``extra`` on top.

    It sees ``gpu`` alone, under index 0, and no GPU at all with None; ``trials_per_gpu``
    trainers use it at the same time.
    """
    environment = narrowed(scrub(environ), gpu)
    environment |= dict.fromkeys(THREADS, str(threads))
    environment.pop(GPU_SHARE, None)
    if gpu is not None and trials_per_gpu > 1:
        environment[GPU_SHARE] = f"{1 / trials_per_gpu:.6f}"
    # Lines must reach the log as they are printed: limits are judged by them.
    environment["PYTHONUNBUFFERED"] = "1"
    return environment | dict(extra)
