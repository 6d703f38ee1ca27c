"""The GPUs that this process may use, found without any framework.

A worker that trains with a foreign program needs no torch. What narrows the machine's GPUs
composes: first what the kernel lets this process open (Slurm's cgroups), then the variables
of the launcher and the user, read as CUDA and ROCm read them. Which variables there are says
nothing of the GPUs' make: Slurm may set those of all makes at once (its gres.conf, Flags).
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

CUDA = "CUDA_VISIBLE_DEVICES"
ROCR = "ROCR_VISIBLE_DEVICES"
HIP = "HIP_VISIBLE_DEVICES"
NARROWING = (CUDA, ROCR, HIP, "GPU_DEVICE_ORDINAL")
"""Every variable that says which GPUs a program may see."""

TOPOLOGY = "/sys/class/kfd/kfd/topology/nodes"
"""Where the driver of AMD's GPUs describes them."""

_LISTED = re.compile(r"^(?:GPU \d+:|\s+MIG ).*\(UUID: ((?:GPU|MIG)-[^)]+)\)")
_UNIQUE = ("GPU-", "MIG-")
_CUDA_NAME = re.compile(r"\d{1,9}|GPU-.+|MIG-.+", re.ASCII)
_ROCM_NAME = re.compile(r"\d{1,9}|GPU-.+", re.ASCII)


class Gpu(msgspec.Struct, frozen=True):
    """One GPU, as a process may be told to use it.

    ``name`` is what ``variable``, CUDA's or ROCm's, calls it in the process that found it;
    ``identity`` tells it from others: a UUID where there is one, which no other GPU has, else
    a word that is the same for every process of the machine. ``verified`` is whether the
    machine was found to have it: a UUID in a launcher's variable cannot be looked up where
    nvidia-smi does not answer.
    """

    variable: str
    name: str
    identity: str
    verified: bool = True

    @property
    def unique(self) -> bool:
        """Whether the identity stands for this GPU among those of all machines."""
        return self.identity.startswith(_UNIQUE)

    @property
    def label(self) -> str:
        """What people are shown: "GPU 0", "GPU 0 (GPU-8932f937)", "GPU-8932f937", "GPU-8932f937
        (not verified)".
        """
        short = self.identity[:12] if self.unique else ""
        if not self.name.isdecimal():
            return (short or self.name) + ("" if self.verified else " (not verified)")
        return f"GPU {self.name} ({short})" if short else f"GPU {self.name}"


def visible_gpus(
    environ: Mapping[str, str],
    *,
    devices: str = "/dev",
    topology: str = TOPOLOGY,
    timeout_s: float = 20.0,
) -> tuple[Gpu, ...]:
    """The GPUs that this process may use, in their order; never raises.

    NVIDIA's are asked of nvidia-smi (one that is cut into MIG devices counts as those), and
    where that does not answer within ``timeout_s`` seconds, the files in ``devices`` that may
    be opened are counted. AMD's are read from ``topology``.
    """
    return _nvidia(environ, devices, timeout_s) or _amd(environ, topology)


def narrowed(environ: Mapping[str, str], gpu: Gpu | None) -> dict[str, str]:
    """The environment in which a program sees that GPU alone, or none, of either make."""
    rest = {name: value for name, value in environ.items() if name not in NARROWING}
    if gpu is None:
        # An empty HIP_VISIBLE_DEVICES would count as unset.
        return rest | {CUDA: "", ROCR: ""}
    # An index of ours, Slurm's or nvidia-smi's counts along the bus; CUDA's own by speed.
    order = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"} if gpu.name.isdecimal() else {}
    return order | rest | {gpu.variable: gpu.name}


def _nvidia(
    environ: Mapping[str, str], devices: str, timeout_s: float
) -> tuple[Gpu, ...]:
    listed = _listed(environ, timeout_s)
    installed = listed or _device_files(devices)
    given = environ.get(CUDA)
    if given is not None:
        gpus = _chosen(CUDA, given, _CUDA_NAME, installed, named=bool(listed))
        # CUDA finds no device at all where one is named twice.
        return gpus if _distinct(gpus) == gpus else ()
    names = listed or map(str, range(len(installed)))
    return _distinct(map(Gpu, [CUDA] * len(installed), names, installed))


def _amd(environ: Mapping[str, str], topology: str) -> tuple[Gpu, ...]:
    installed = _kfd_nodes(topology)
    everything = ",".join(map(str, range(len(installed))))
    given = environ.get(ROCR, everything)
    gpus = _unrepeated(_chosen(ROCR, given, _ROCM_NAME, installed))
    # HIP counts among what ROCm has left. It takes CUDA's variable for its own, too; but
    # beside ROCm's that one comes from a launcher which means the same GPUs by both.
    inner = environ.get(HIP) or (environ.get(CUDA) if ROCR not in environ else None)
    if not inner:
        return gpus
    left = _chosen(HIP, inner, _ROCM_NAME, [gpu.identity for gpu in gpus])
    names = {gpu.identity: gpu for gpu in gpus}
    return _unrepeated(tuple(names[gpu.identity] for gpu in left))


def _chosen(
    variable: str,
    given: str,
    pattern: re.Pattern[str],
    installed: list[str],
    *,
    named: bool = True,
) -> tuple[Gpu, ...]:
    """The GPUs that a variable names: those before the first name that is none.

    ``named`` is whether ``installed`` are all names that there are; else a UUID is taken as
    it stands, as long as there are no more of them than GPUs.
    """
    gpus: list[Gpu] = []
    for name in (name.strip() for name in given.split(",")):
        if not pattern.fullmatch(name):
            break
        if name.isdecimal():
            if int(name) >= len(installed):
                break
            gpus.append(Gpu(variable, name, installed[int(name)]))
        elif named:
            # The beginning of a UUID is enough where it is the only one of its kind.
            whole = [identity for identity in installed if identity.startswith(name)]
            if name not in installed and len(whole) != 1:
                break
            gpus.append(Gpu(variable, name, name if name in installed else whole[0]))
        elif len(gpus) < len(installed):
            gpus.append(Gpu(variable, name, name, verified=False))
        else:
            break
    return tuple(gpus)


def _unrepeated(gpus: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """The GPUs before the first that was named already."""
    seen: set[str] = set()
    for number, gpu in enumerate(gpus):
        if gpu.identity in seen:
            return gpus[:number]
        seen.add(gpu.identity)
    return gpus


def _distinct(gpus: Iterable[Gpu]) -> tuple[Gpu, ...]:
    first: dict[str, Gpu] = {}
    for gpu in gpus:
        first.setdefault(gpu.identity, gpu)
    return tuple(first.values())


def _listed(environ: Mapping[str, str], timeout_s: float) -> list[str]:
    """The UUIDs that nvidia-smi knows: of a GPU's parts where it is cut."""
    program = shutil.which("nvidia-smi", path=environ.get("PATH"))
    if program is None:
        return []
    try:
        answer = subprocess.run(
            [program, "-L"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=dict(environ),
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    found: list[list[str]] = []
    for line in filter(None, map(_LISTED.match, answer.splitlines())):
        if line[0].startswith("GPU"):
            found.append([line[1]])
        elif found:
            found[-1].append(line[1])
    return [name for gpu, *parts in found for name in (parts if parts else [gpu])]


def _device_files(devices: str) -> list[str]:
    """The GPUs' files that may be opened: a job may be given some of them only."""
    files = [
        path
        for path in Path(devices).glob("nvidia[0-9]*")
        if path.name[6:].isdecimal() and os.access(path, os.R_OK | os.W_OK)
    ]
    return [path.name for path in sorted(files, key=lambda path: int(path.name[6:]))]


def _kfd_nodes(topology: str) -> list[str]:
    """The identities of AMD's GPUs. Those of others' jobs cannot be read."""
    found: list[str] = []
    nodes = [path for path in Path(topology).glob("*") if path.name.isdecimal()]
    for node in sorted(nodes, key=lambda path: int(path.name)):
        try:
            if int((node / "gpu_id").read_text()) == 0:  # a CPU
                continue
            lines = (node / "properties").read_text().splitlines()
        except (OSError, ValueError):
            continue
        values = dict(line.split(" ", 1) for line in lines if " " in line)
        number = values.get("unique_id", "0").strip()
        unique = number.isdecimal() and int(number)
        found.append(f"GPU-{unique:016x}" if unique else f"kfd{node.name}")
    return found
