"""Which GPUs a process may use, and the environment that leaves a program one of them.

The environments of launchers are from their documentation, but for Slurm's without cgroups.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from gpu_kit import gpu_lines, kfd, listing, nvidia_smi

from ribosome.runner.gpus import CUDA, HIP, NARROWING, ROCR, Gpu, narrowed, visible_gpus

TWO_GPUS = gpu_lines("aaaa", "bbbb")
CUT_GPU = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa)
  MIG 3g.20gb     Device  0: (UUID: MIG-cccc)
  MIG 3g.20gb     Device  1: (UUID: MIG-dddd)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb)
"""


def named(gpus: tuple[Gpu, ...]) -> list[tuple[str, str]]:
    """(name, identity) of each."""
    return [(gpu.name, gpu.identity) for gpu in gpus]


def test_gpus_are_those_that_nvidia_smi_lists(tmp_path: Path) -> None:
    """Without a launcher's narrowing, every GPU listed is visible, by its UUID."""
    gpus = visible_gpus(listing(tmp_path, TWO_GPUS))
    assert gpus == (
        Gpu(CUDA, "GPU-aaaa", "GPU-aaaa"),
        Gpu(CUDA, "GPU-bbbb", "GPU-bbbb"),
    )


def test_a_cut_gpu_counts_as_its_parts(tmp_path: Path) -> None:
    """A GPU in MIG mode can be used only by its parts."""
    gpus = visible_gpus(listing(tmp_path, CUT_GPU))
    assert [gpu.name for gpu in gpus] == ["MIG-cccc", "MIG-dddd", "GPU-bbbb"]


@pytest.mark.parametrize(
    ("given", "visible"),
    [
        ("1,0", [("1", "GPU-bbbb"), ("0", "GPU-aaaa")]),
        (" 1 , GPU-aa", [("1", "GPU-bbbb"), ("GPU-aa", "GPU-aaaa")]),
        ("0,2,1", [("0", "GPU-aaaa")]),
        ("0,-1,1", [("0", "GPU-aaaa")]),
        ("0,,1", [("0", "GPU-aaaa")]),
        ("0 ,1 ", [("0", "GPU-aaaa"), ("1", "GPU-bbbb")]),
        ("0,0", []),
        ("1,1", []),
        ("0,GPU-a", []),
        ("0,-1,0", [("0", "GPU-aaaa")]),
        ("GPU-0", []),
        ("1,GPU-ffff,0", [("1", "GPU-bbbb")]),
        ("GPU-aaaab", []),
        ("MIG-foo,0", []),
        ("\u0661", []),
        ("GPU-,0", []),
        ("MIG-GPU-aaaa/1/0", []),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
    ],
)
def test_cudas_variable_is_read_as_cuda_reads_it(
    tmp_path: Path, given: str, visible: list[tuple[str, str]]
) -> None:
    """The names count in their order, up to the first that is no device."""
    environ = {**listing(tmp_path, TWO_GPUS), CUDA: given}
    assert named(visible_gpus(environ)) == visible


@pytest.mark.parametrize(
    ("given", "visible"),
    [
        ("MIG-dddd,MIG-c", ["MIG-dddd", "MIG-cccc"]),
        ("MIG-", []),
        ("MIG-cccc,MIG-foo,MIG-dddd", ["MIG-cccc"]),
        ("MIG-cccc,MIG-c", []),
    ],
)
def test_parts_of_a_gpu_are_named_alike(
    tmp_path: Path, given: str, visible: list[str]
) -> None:
    """By their UUIDs, or beginnings of those that fit one only."""
    gpus = visible_gpus({**listing(tmp_path, CUT_GPU), CUDA: given})
    assert [gpu.identity for gpu in gpus] == visible


def test_a_uuid_that_begins_another_is_itself(tmp_path: Path) -> None:
    """A whole UUID is no abbreviation."""
    environ = listing(tmp_path, gpu_lines("aa", "aab"))
    assert named(visible_gpus({**environ, CUDA: "GPU-aa"})) == [("GPU-aa", "GPU-aa")]


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        ("GPU-aaaa", ["GPU-aaaa (not verified)"]),
        ("1,GPU-aaaa", ["GPU 1", "GPU-aaaa (not verified)"]),
        ("GPU-a,GPU-b,GPU-c", ["GPU-a (not verified)", "GPU-b (not verified)"]),
        ("GPU-aaaa,GPU-aaaa", []),
    ],
)
def test_a_uuid_that_cannot_be_looked_up_says_so(
    tmp_path: Path, given: str, labels: list[str]
) -> None:
    """Without nvidia-smi it is believed, but never for more GPUs than there are files."""
    for number in range(2):
        (tmp_path / f"nvidia{number}").touch()
    environ = {"PATH": str(tmp_path), CUDA: given}
    gpus = visible_gpus(environ, devices=str(tmp_path))
    assert [gpu.label for gpu in gpus] == labels


def test_a_narrowing_without_gpus_means_none(tmp_path: Path) -> None:
    """CUDA_VISIBLE_DEVICES on a machine without GPUs makes none."""
    environ = {"PATH": str(tmp_path), CUDA: "0"}
    folder = str(tmp_path)
    assert visible_gpus(environ, devices=folder, topology=folder) == ()


def test_device_files_count_where_nvidia_smi_is_missing(tmp_path: Path) -> None:
    """In a container without nvidia-smi, CUDA counts the device files that are there."""
    for name in ("nvidia10", "nvidia3", "nvidiactl", "nvidia-uvm", "nvidia0x"):
        (tmp_path / name).touch()
    gpus = visible_gpus({"PATH": str(tmp_path)}, devices=str(tmp_path))
    assert named(gpus) == [("0", "nvidia3"), ("1", "nvidia10")]


def test_device_files_of_other_jobs_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the cgroup of a job does not let it open, CUDA does not count."""
    for number in range(3):
        (tmp_path / f"nvidia{number}").touch()
    monkeypatch.setattr(os, "access", lambda path, _: path.name != "nvidia1")
    gpus = visible_gpus({"PATH": str(tmp_path)}, devices=str(tmp_path))
    assert named(gpus) == [("0", "nvidia0"), ("1", "nvidia2")]


@pytest.mark.parametrize("script", ["exit 9", "exec /bin/sleep 60", "echo 'GPU 0'"])
def test_a_broken_nvidia_smi_is_not_waited_for(tmp_path: Path, script: str) -> None:
    """An nvidia-smi that fails, hangs or rambles leaves us with the device files."""
    (tmp_path / "nvidia0").touch()
    environ = nvidia_smi(tmp_path, script)
    gpus = visible_gpus(environ, devices=str(tmp_path), timeout_s=0.3)
    assert named(gpus) == [("0", "nvidia0")]


def amd(
    folder: Path, environ: dict[str, str], *unique_ids: int, denied: int = 0
) -> list[tuple[str, str]]:
    """What is visible on a machine with AMD's GPUs of these unique ids alone."""
    topology = kfd(folder, *unique_ids, denied=denied)
    gpus = visible_gpus(
        {"PATH": str(folder), **environ}, devices=str(folder), topology=topology
    )
    assert {gpu.variable for gpu in gpus} <= {ROCR}
    return named(gpus)


A, B, C = ("GPU-000000000000000a", "GPU-000000000000000b", "GPU-000000000000000c")


@pytest.mark.parametrize(
    ("environ", "visible"),
    [
        ({}, [("0", A), ("1", B), ("2", C)]),
        ({ROCR: "2,0"}, [("2", C), ("0", A)]),
        ({ROCR: B}, [(B, B)]),
        ({ROCR: ""}, []),
        ({ROCR: "0,3,1"}, [("0", A)]),
        ({ROCR: "0,,1"}, [("0", A)]),
        ({ROCR: "1,0,1,2"}, [("1", B), ("0", A)]),
        ({ROCR: "GPU-ffff"}, []),
        ({ROCR: "0", HIP: "0,0"}, [("0", A)]),
        # HIP's index counts among those that ROCm shows.
        ({ROCR: "2,0", HIP: "1"}, [("0", A)]),
        ({HIP: "1,2"}, [("1", B), ("2", C)]),
        ({HIP: "-1"}, []),
        # HIP reads CUDA's variable for its own.
        ({CUDA: "2"}, [("2", C)]),
        # Slurm without a Flags line in gres.conf sets the variables of all makes.
        ({ROCR: "2", CUDA: "2", "GPU_DEVICE_ORDINAL": "2"}, [("2", C)]),
    ],
)
def test_rocms_variables_are_read_as_rocm_reads_them(
    tmp_path: Path, environ: dict[str, str], visible: list[tuple[str, str]]
) -> None:
    """ROCR_VISIBLE_DEVICES narrows first, then HIP's own counts inside."""
    assert amd(tmp_path, environ, 10, 11, 12) == visible


def test_gpus_of_other_jobs_do_not_count(tmp_path: Path) -> None:
    """What the kernel does not let this job read of AMD's GPUs is not visible."""
    assert amd(tmp_path, {}, 10, denied=7) == [("0", A)]


def test_amds_old_gpus_have_no_number_of_their_own(tmp_path: Path) -> None:
    """Then the driver's node tells them apart on one machine, and on no other."""
    assert amd(tmp_path, {}, 0) == [("0", "kfd1")]
    assert not Gpu(ROCR, "0", "kfd1").unique


def test_variables_of_the_other_make_say_nothing(tmp_path: Path) -> None:
    """Slurm's ROCR_VISIBLE_DEVICES on a machine with NVIDIA's GPUs changes nothing."""
    environ = {**listing(tmp_path, TWO_GPUS), CUDA: "1", ROCR: "0", HIP: "0"}
    assert named(visible_gpus(environ)) == [("1", "GPU-bbbb")]


def test_a_program_sees_the_one_gpu() -> None:
    """Whatever else narrows is gone: it would count among what is left."""
    environ = dict.fromkeys(NARROWING, "4,5") | {"HOME": "/home/ada"}
    assert narrowed(environ, Gpu(CUDA, "GPU-b", "GPU-b")) == {
        "HOME": "/home/ada",
        CUDA: "GPU-b",
    }
    assert narrowed(environ, Gpu(ROCR, "5", "GPU-b"))[ROCR] == "5"
    assert CUDA not in narrowed(environ, Gpu(ROCR, "5", "GPU-b"))


def test_an_index_counts_along_the_bus() -> None:
    """As nvidia-smi's and Slurm's do, unless the environment says otherwise."""
    gpu = Gpu(CUDA, "1", "GPU-b")
    assert narrowed({}, gpu)["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    given = {"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}
    assert narrowed(given, gpu)["CUDA_DEVICE_ORDER"] == "FASTEST_FIRST"


def test_without_a_gpu_a_program_sees_none() -> None:
    """Of neither make; HIP takes an empty variable of its own for none."""
    environ = dict.fromkeys(NARROWING, "0,1")
    assert narrowed(environ, None) == {CUDA: "", ROCR: ""}


@pytest.mark.parametrize(
    ("name", "identity", "label"),
    [
        ("0", "GPU-8932f937-d72c-4106", "GPU 0 (GPU-8932f937)"),
        ("GPU-8932f937-d72c-4106", "GPU-8932f937-d72c-4106", "GPU-8932f937"),
        ("3", "nvidia3", "GPU 3"),
    ],
)
def test_people_are_shown_a_short_name(name: str, identity: str, label: str) -> None:
    """The index where there is one, and the beginning of the UUID."""
    assert Gpu(CUDA, name, identity).label == label


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
