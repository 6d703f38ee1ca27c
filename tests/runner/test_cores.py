"""How many cores a process may use."""

import os
from pathlib import Path

import pytest

from ribosome.runner.cores import usable_cores


def machine(folder: Path, cgroup: str, files: dict[str, str]) -> int:
    """The cores that a process in these cgroups may use, on a machine of 64."""
    proc, cgroups = folder / "proc", folder / "cgroup"
    proc.mkdir()
    cgroups.mkdir()
    (proc / "cgroup").write_text(cgroup)
    for name, text in files.items():
        (cgroups / name).parent.mkdir(parents=True, exist_ok=True)
        (cgroups / name).write_text(text)
    return usable_cores(cgroups=str(cgroups), proc=str(proc))


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))


@pytest.mark.parametrize(
    ("cgroup", "files", "cores"),
    [
        # Version 2, in a container: its own root.
        ("0::/\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 2),
        # A job in a slice: what is above counts, too.
        (
            "0::/system.slice/job\n",
            {
                "system.slice/cpu.max": "300000 100000",
                "system.slice/job/cpu.max": "max 100000",
            },
            3,
        ),
        # Version 1, with the controllers' usual folder or the host's path.
        (
            "4:cpu,cpuacct:/job\n3:cpuset:/\n",
            {
                "cpu,cpuacct/job/cpu.cfs_quota_us": "800000\n",
                "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            },
            8,
        ),
        (
            "1:cpu:/host/path\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            64,
        ),
        (
            "1:cpu:/host/path\n",
            {"cpu/cpu.cfs_quota_us": "500000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            5,
        ),
        ("9:name=systemd:/\n", {"cpu.max": "nonsense"}, 64),
        ("", {}, 64),
    ],
)
def test_quotas_bound_the_cores(
    tmp_path: Path, cgroup: str, files: dict[str, str], cores: int
) -> None:
    """The smallest quota of a process's cgroups counts, in whole cores, at least one."""
    assert machine(tmp_path, cgroup, files) == cores


def test_affinity_bounds_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process bound to three cores has three, whatever its quota."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 4, 5})
    assert machine(tmp_path, "0::/\n", {"cpu.max": "800000 100000"}) == 3
