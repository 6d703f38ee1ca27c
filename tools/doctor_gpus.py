"""Checks of this machine's GPUs: what is visible, who would use what, who launched this."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from ribosome.genome.errors import RunError
from ribosome.runner.config import Config
from ribosome.runner.gpus import CUDA, NARROWING, Gpu, visible_gpus
from ribosome.runner.launch import find_mpiexec, launched_rank, launched_ranks
from ribosome.runner.placement import local_places, map_text, place_workers
from ribosome.tools.finding import Finding

LAUNCHERS = ("jsrun", "srun", "aprun", "flux")
"""Programs of a machine's own that start ranks; mpiexec is looked for beside Python, too."""

_SHOWN = 16


def gpus() -> Finding:
    """The GPUs that a process started here sees, and what hides others."""
    found = visible_gpus(os.environ)
    narrowing = [
        f"{name}={os.environ[name]}" for name in NARROWING if name in os.environ
    ]
    if found:
        text = f"{len(found)} visible: {_labels(found)}"
        if models := _models(found):
            text += f"; {models}"
        if narrowing:
            text += f" (under {', '.join(narrowing)})"
        return Finding("GPUs", "ok", text)
    if narrowing:
        advice = "trials train on the CPU; unset the variable if there are GPUs"
        return Finding("GPUs", "note", f"none under {', '.join(narrowing)}", advice)
    if shutil.which("nvidia-smi") is None:
        return Finding(
            "GPUs", "note", "none, and no nvidia-smi", "trials train on the CPU"
        )
    return Finding("GPUs", "note", "nvidia-smi finds none", "check the driver")


def local_run() -> Finding:
    """The map of a run that `ribosome search` would start here by itself."""
    config = Config()
    places = local_places(config, visible_gpus(os.environ))
    workers = f"{len(places)} workers" if len(places) != 1 else "1 worker"
    try:
        placed = place_workers(places, config.runner, "local")
    except RunError as error:
        return Finding("local run", "note", workers, str(error))
    if not placed:
        return Finding("local run", "ok", f"{workers}, on the CPU")
    text = map_text(places[:_SHOWN], placed)
    more = ", ..." if len(places) > _SHOWN else ""
    return Finding("local run", "ok", f"{workers}: {text}{more}")


def launcher() -> Finding:
    """What starts a run of many ranks here, and whether this is one of them already."""
    here = [name for name in LAUNCHERS if shutil.which(name)]
    with suppress(RunError):
        here.append(find_mpiexec())
    found = ", ".join(here) or "none"
    if (ranks := launched_ranks()) > 1:
        found += f"; this is rank {launched_rank()} of {ranks}"
    if here:
        return Finding("launcher", "ok", found)
    advice = "needed for more than one machine: pip install mpich, or load your MPI"
    return Finding("launcher", "note", found, advice)


def _labels(found: Sequence[Gpu]) -> str:
    more = ", ..." if len(found) > _SHOWN else ""
    return ", ".join(gpu.label for gpu in found[:_SHOWN]) + more


def _models(found: Sequence[Gpu]) -> str:
    """The models and their memory, of NVIDIA's; empty where nvidia-smi does not tell."""
    program = shutil.which("nvidia-smi")
    if program is None or found[0].variable != CUDA:
        return ""
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        run = subprocess.run(
            query, capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    names = {line.strip() for line in run.stdout.splitlines() if line.strip()}
    return "; ".join(sorted(names))
