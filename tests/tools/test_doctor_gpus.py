"""`ribosome doctor` shows the GPUs, who would use which, and what starts ranks."""

import os
import sys
from pathlib import Path

import pytest

from ribosome.runner.gpus import NARROWING
from ribosome.tools import doctor_gpus
from ribosome.tools.finding import Finding

NVIDIA_SMI = """#!/bin/sh
case "$1" in
-L) echo "GPU 0: V100 (UUID: GPU-aaaaaaaa-1)"; echo "GPU 1: V100 (UUID: GPU-bbbbbbbb-2)";;
*) echo "V100, 16 GiB"; echo "V100, 16 GiB";;
esac
"""


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose programs are in this folder: none."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in (*NARROWING, "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_ID"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def two_gpus(machine: Path) -> None:
    """An nvidia-smi that knows of two."""
    program(machine / "nvidia-smi", NVIDIA_SMI)


def program(path: Path, text: str = "#!/bin/sh\n") -> None:
    """An executable shell script."""
    path.write_text(text)
    path.chmod(0o755)


@pytest.mark.usefixtures("two_gpus")
def test_gpus_are_listed() -> None:
    """How many, by which names, and of which model."""
    text = "2 visible: GPU-aaaaaaaa, GPU-bbbbbbbb; V100, 16 GiB"
    assert doctor_gpus.gpus() == Finding("GPUs", "ok", text)


@pytest.mark.usefixtures("two_gpus")
def test_what_narrows_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who misses a GPU sees why it is not there."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    found = doctor_gpus.gpus().found
    assert found.startswith("1 visible: GPU 1 (GPU-bbbbbbbb)")
    assert found.endswith("(under CUDA_VISIBLE_DEVICES=1)")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    finding = doctor_gpus.gpus()
    assert (finding.state, finding.found) == (
        "note",
        "none under CUDA_VISIBLE_DEVICES=7",
    )


def test_no_gpu_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """CPUs train too."""
    monkeypatch.setattr(doctor_gpus, "visible_gpus", lambda _: ())
    finding = doctor_gpus.gpus()
    assert (finding.state, finding.required) == ("note", False)
    assert "CPU" in finding.advice


def test_an_nvidia_smi_that_fails_is_a_note(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a driver to look at."""
    program(machine / "nvidia-smi", "#!/bin/sh\nexit 9\n")
    real = doctor_gpus.visible_gpus
    monkeypatch.setattr(
        doctor_gpus, "visible_gpus", lambda environ: real(environ, devices=str(machine))
    )
    finding = doctor_gpus.gpus()
    assert (finding.state, finding.advice) == ("note", "check the driver")


@pytest.mark.usefixtures("two_gpus")
def test_the_map_of_a_local_run_is_shown() -> None:
    """Which worker would use which GPU."""
    text = "2 workers: worker 1 -> GPU-aaaaaaaa, worker 2 -> GPU-bbbbbbbb"
    assert doctor_gpus.local_run() == Finding("local run", "ok", text)


def test_a_local_run_without_gpus_has_a_worker_per_core(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As many as this process may use."""
    monkeypatch.setattr(doctor_gpus, "visible_gpus", lambda _: ())
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert doctor_gpus.local_run().found == "1 worker, on the CPU"


def test_launchers_are_named(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those on PATH or beside Python, and that one of them started this process."""
    monkeypatch.setattr(sys, "executable", str(machine / "python"))
    finding = doctor_gpus.launcher()
    assert (finding.state, finding.found) == ("note", "none")
    program(machine / "srun")
    program(machine / "mpiexec")
    found = f"srun, {machine / 'mpiexec'}"
    assert doctor_gpus.launcher() == Finding("launcher", "ok", found)
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setenv("PMI_RANK", "2")
    assert doctor_gpus.launcher().found == f"{found}; this is rank 2 of 4"
