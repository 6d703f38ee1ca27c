"""The trainer's environment and the worker's GPU."""

import subprocess
import sys
from pathlib import Path

import pytest

from ribosome.runner.environment import (
    LAUNCHER_PREFIXES,
    THREADS,
    gpu_of_worker,
    local_rank,
    scrub,
    trainer_environment,
    visible_gpus,
)

TWO_GPUS = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aaaa)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bbbb)
"""
CUT_GPU = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa)
  MIG 3g.20gb     Device  0: (UUID: MIG-cccc)
  MIG 3g.20gb     Device  1: (UUID: MIG-dddd)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb)
"""


def nvidia_smi(folder: Path, script: str) -> dict[str, str]:
    """An environment whose only program is an nvidia-smi that runs a shell script."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": str(folder)}


def listing(folder: Path, text: str) -> dict[str, str]:
    """An environment whose nvidia-smi prints a listing."""
    return nvidia_smi(folder, f"/bin/cat <<'EOF'\n{text}EOF")


@pytest.mark.parametrize("prefix", LAUNCHER_PREFIXES)
def test_launcher_variables_are_scrubbed(prefix: str) -> None:
    """No variable of an MPI library or launcher reaches a trainer."""
    environ = {prefix + "RANK": "0", "HOME": "/home/ada"}
    assert scrub(environ) == {"HOME": "/home/ada"}


def test_threads_are_set_for_every_library() -> None:
    """All libraries with threads of their own get the trainer's number."""
    given = trainer_environment(
        {"OMP_NUM_THREADS": "64"}, threads=2, gpu=None, extra={}
    )
    assert {given[name] for name in THREADS} == {"2"}


def test_without_a_gpu_a_trainer_sees_none() -> None:
    """A trainer on the CPU does not find GPUs that the worker could see."""
    environ = {"CUDA_VISIBLE_DEVICES": "0,1"}
    given = trainer_environment(environ, threads=1, gpu=None, extra={})
    assert given["CUDA_VISIBLE_DEVICES"] == ""


def test_a_trainer_sees_the_one_gpu() -> None:
    """CUDA_VISIBLE_DEVICES is narrowed to the worker's GPU."""
    environ = {"CUDA_VISIBLE_DEVICES": "4,5"}
    given = trainer_environment(environ, threads=1, gpu="5", extra={})
    assert given["CUDA_VISIBLE_DEVICES"] == "5"


def test_a_command_has_the_last_word() -> None:
    """What a backend's command asks for stands above our own settings."""
    extra = {"OMP_NUM_THREADS": "3", "GLOG_logtostderr": "1"}
    given = trainer_environment({}, threads=1, gpu=None, extra=extra)
    assert extra.items() <= given.items()


def test_gpus_are_those_that_nvidia_smi_lists(tmp_path: Path) -> None:
    """Without a launcher's narrowing, every GPU listed is visible, by its UUID."""
    environ = listing(tmp_path, TWO_GPUS)
    assert visible_gpus(environ) == ("GPU-aaaa", "GPU-bbbb")


def test_a_cut_gpu_counts_as_its_parts(tmp_path: Path) -> None:
    """A GPU in MIG mode can be used only by its parts."""
    environ = listing(tmp_path, CUT_GPU)
    assert visible_gpus(environ) == ("MIG-cccc", "MIG-dddd", "GPU-bbbb")


@pytest.mark.parametrize(
    ("given", "visible"),
    [
        ("3,1", ("3", "1")),
        (" 2 , GPU-x", ("2", "GPU-x")),
        ("0,-1,1", ("0",)),
        ("", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
    ],
)
def test_the_launchers_narrowing_is_read_as_cuda_reads_it(
    tmp_path: Path, given: str, visible: tuple[str, ...]
) -> None:
    """The names count in their order, up to the first that is no device."""
    environ = {**listing(tmp_path, TWO_GPUS), "CUDA_VISIBLE_DEVICES": given}
    assert visible_gpus(environ) == visible


def test_a_narrowing_without_gpus_means_none(tmp_path: Path) -> None:
    """CUDA_VISIBLE_DEVICES on a machine without GPUs makes none."""
    environ = {"PATH": str(tmp_path), "CUDA_VISIBLE_DEVICES": "0"}
    assert visible_gpus(environ, devices=str(tmp_path)) == ()


def test_device_files_count_where_nvidia_smi_is_missing(tmp_path: Path) -> None:
    """In a container without nvidia-smi, the device files tell the number of GPUs."""
    for name in ("nvidia3", "nvidia5", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    gpus = visible_gpus({"PATH": str(tmp_path)}, devices=str(tmp_path))
    assert gpus == ("0", "1")


@pytest.mark.parametrize("script", ["exit 9", "exec /bin/sleep 60"])
def test_a_broken_nvidia_smi_is_not_waited_for(tmp_path: Path, script: str) -> None:
    """An nvidia-smi that fails or hangs leaves us with the device files."""
    (tmp_path / "nvidia0").touch()
    environ = nvidia_smi(tmp_path, script)
    assert visible_gpus(environ, devices=str(tmp_path), timeout_s=0.3) == ("0",)


@pytest.mark.parametrize(
    ("environ", "rank"),
    [
        ({}, None),
        ({"OMPI_COMM_WORLD_LOCAL_RANK": "2"}, 2),
        ({"MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "4"}, 1),
        ({"MPI_LOCALRANKID": "0", "MPI_LOCALNRANKS": "1"}, None),
        ({"PMI_LOCAL_RANK": "3"}, 3),
        ({"JSM_NAMESPACE_LOCAL_RANK": "5"}, 5),
        ({"SLURM_LOCALID": "3", "SLURM_STEP_NUM_TASKS": "8"}, 3),
        ({"SLURM_LOCALID": "0", "SLURM_STEP_NUM_TASKS": "1"}, None),
        ({"SLURM_LOCALID": "0", "SLURM_NTASKS": "8"}, None),
        ({"SLURM_LOCALID": "0", "OMPI_COMM_WORLD_LOCAL_RANK": "4"}, 4),
        ({"MPI_LOCALRANKID": "one"}, None),
    ],
)
def test_the_local_rank_is_the_launchers(
    environ: dict[str, str], rank: int | None
) -> None:
    """Every launcher's own variable is read, and a launcher of one is none."""
    assert local_rank(environ) == rank


@pytest.mark.parametrize(
    ("environ", "worker", "gpu"),
    [
        ({}, 1, "a"),
        ({}, 2, "b"),
        ({}, 3, "a"),
        ({"MPI_LOCALRANKID": "1"}, 6, "b"),
        ({"MPI_LOCALRANKID": "2"}, 6, "a"),
    ],
)
def test_workers_go_round_the_gpus(
    environ: dict[str, str], worker: int, gpu: str
) -> None:
    """The local rank chooses the GPU, or else the worker's number."""
    assert gpu_of_worker(("a", "b"), environ, worker=worker) == gpu


def test_without_gpus_a_worker_has_none() -> None:
    """A machine without GPUs trains on the CPU."""
    assert gpu_of_worker((), {"MPI_LOCALRANKID": "1"}, worker=2) is None


def test_nothing_heavy_is_imported() -> None:
    """Finding GPUs, and the whole of a trial, need no framework in the worker."""
    code = (
        "import sys, ribosome.runner.environment, ribosome.runner.trial\n"
        "print({'torch', 'numpy', 'sklearn', 'mpi4py'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
