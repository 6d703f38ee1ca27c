"""Checks of a machine: what Ribosome needs of it, what it finds, and what to do."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ribosome.backends.caffe.binary import caffe_version, find_caffe
from ribosome.backends.data import cache_folder
from ribosome.genome.errors import ConfigError, RunError
from ribosome.runner.cores import usable_cores
from ribosome.tools.doctor_gpus import gpus, launcher, local_run
from ribosome.tools.finding import Finding
from ribosome.tools.text import size

PACKAGES = ("click", "jinja2", "msgspec", "numpy", "pillow", "rich")
"""What every command may need, by the names of the distributions."""

MPI_CHECK_TIME_S = 60.0
_RANKS_CHECK = "from mpi4py import MPI; print(f'<{MPI.COMM_WORLD.size}>')"
_TORCH_CHECK = (
    "import torch; print(torch.__version__, torch.version.cuda, "
    "torch.cuda.device_count(), flush=True)"
)
_FOR_CAFFE = "only the backends caffe and nvcaffe train with it"
_LEAST_FREE_BYTES = 1 << 30


def checks() -> Iterator[Finding]:
    """All findings, the quick ones first."""
    for check in _CHECKS:
        yield check()


def python() -> Finding:
    """The interpreter."""
    return Finding("Python", "ok", f"{platform.python_version()}, {sys.executable}")


def environment() -> Finding:
    """Whether this is a virtual environment."""
    if sys.prefix != sys.base_prefix:
        return Finding("environment", "ok", sys.prefix)
    return Finding(
        "environment", "note", "none", "a virtual environment keeps versions apart"
    )


def packages() -> Finding:
    """The libraries that every command may need."""
    lacking = [name for name in PACKAGES if _version(name) is None]
    if lacking:
        names = " ".join(lacking)
        return Finding(
            "libraries", "missing", f"no {names}", f"pip install {names}", True
        )
    found = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    return Finding("libraries", "ok", found)


def scikit_learn() -> Finding:
    """scikit-learn: makes the built-in digits, once."""
    found = _version("scikit-learn")
    if found is None:
        advice = "pip install scikit-learn, to make the built-in digits"
        return Finding("scikit-learn", "note", "not installed", advice)
    return Finding("scikit-learn", "ok", found)


def torch() -> Finding:
    """PyTorch, and whether it sees GPUs; required where no caffe trains either."""
    if _version("torch") is None:
        return _no_torch("not installed", "pip install torch")
    try:
        run = _python(_TORCH_CHECK, limit_s=120.0)
    except subprocess.TimeoutExpired:
        advice = "`python -c 'import torch'` should take seconds: look at the disk"
        return _no_torch("import takes too long", advice)
    if run.returncode != 0:
        advice = "install it again: pip install --force-reinstall torch"
        return _no_torch(_last_line(run.stderr), advice)
    number, cuda, devices = run.stdout.split()
    if cuda == "None":
        return Finding("PyTorch", "ok", f"{number}, for the CPU only")
    found = f"{number}, CUDA {cuda}, {devices} GPUs visible"
    if devices == "0":
        advice = "trials train on the CPU; check nvidia-smi and CUDA_VISIBLE_DEVICES"
        return Finding("PyTorch", "note", found, advice)
    return Finding("PyTorch", "ok", found)


def _no_torch(found: str, advice: str) -> Finding:
    try:
        find_caffe()
    except ConfigError:
        advice += "; the PyTorch trainer needs it"
        return Finding("PyTorch", "missing", found, advice, True)
    return Finding("PyTorch", "note", found, f"{advice}; caffe trains without it")


def mpi() -> Finding:
    """Whether mpiexec starts two ranks that know of each other."""
    from ribosome.runner.launch import find_mpiexec, mpi_argv

    if _version("mpi4py") is None:
        advice = "pip install mpi4py mpich, to search over MPI"
        return Finding("MPI", "note", "no mpi4py", advice)
    try:
        mpiexec = find_mpiexec()
        argv = mpi_argv(2, [sys.executable, "-c", _RANKS_CHECK])
        run = subprocess.run(
            argv, capture_output=True, text=True, timeout=MPI_CHECK_TIME_S, check=False
        )
    except RunError as error:
        return Finding("MPI", "note", "no mpiexec", str(error))
    except subprocess.TimeoutExpired:
        advice = f"run `{mpiexec} -n 2 hostname` and see what it waits for"
        return Finding("MPI", "note", f"{mpiexec} does not come to an end", advice)
    # The two may print into each other's lines.
    sizes = re.findall(r"<(\d+)>", run.stdout)
    library = f"mpi4py {_version('mpi4py')}, {mpiexec}"
    if run.returncode != 0:
        advice = f"run `{mpiexec} -n 2 hostname` to see whether MPI works at all"
        return Finding("MPI", "note", f"{library}: {_last_line(run.stderr)}", advice)
    if sizes != ["2", "2"]:
        return Finding(
            "MPI",
            "note",
            f"{library}: starts 2 ranks that see worlds of size {' and '.join(sizes)}",
            "mpiexec and mpi4py are of different MPIs: use the mpiexec of mpi4py's MPI, "
            "or pip install mpi4py mpich into one environment",
        )
    return Finding("MPI", "ok", f"{library}: two ranks see each other")


def caffe() -> Finding:
    """The caffe that trains for the Caffe backends, and its version."""
    try:
        program = find_caffe()
    except ConfigError as error:
        return Finding("Caffe", "note", "none", f"{_FOR_CAFFE}: {error}")
    try:
        number = caffe_version(program)
    except ConfigError as error:
        return Finding("Caffe", "note", f"{program} does not run", str(error))
    return Finding("Caffe", "ok", f"{number}, {program}")


def cores() -> Finding:
    """The cores that this process may use."""
    return Finding("cores", "ok", f"{usable_cores()} of {os.cpu_count()} usable")


def memory() -> Finding:
    """The memory that is free, by the kernel's estimate."""
    values = dict(
        line.split(":", 1)
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    )
    total, free = (
        int(values[key].split()[0]) * 1024 for key in ("MemTotal", "MemAvailable")
    )
    found = f"{size(free)} of {size(total)} free"
    if free < _LEAST_FREE_BYTES:
        return Finding(
            "memory", "note", found, "a trainer needs about 1 GiB: free some"
        )
    return Finding("memory", "ok", found)


def cache() -> Finding:
    """Whether built-in data can be kept."""
    folder = cache_folder()
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(place).free
    found = f"{folder}, {size(free)} free"
    if not place.is_dir() or not os.access(place, os.W_OK):
        advice = "set RIBOSOME_CACHE to a folder that you can write to"
        return Finding("cache", "missing", f"{folder}: cannot be written", advice, True)
    if free < _LEAST_FREE_BYTES:
        return Finding("cache", "note", found, "the disk is almost full: free some")
    return Finding("cache", "ok", found)


def _python(code: str, *, limit_s: float) -> subprocess.CompletedProcess[str]:
    # In a process of its own, for a library that is broken may end the one that imports
    # it.
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _last_line(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1].strip() if lines else "fails without a word"


_CHECKS: tuple[Callable[[], Finding], ...] = (
    python,
    environment,
    packages,
    scikit_learn,
    cores,
    memory,
    cache,
    gpus,
    local_run,
    launcher,
    caffe,
    torch,
    mpi,
)
