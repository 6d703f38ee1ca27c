"""How many cores this process may use: of its affinity, as far as its cgroups pay for them."""

import os
from pathlib import Path


def usable_cores(*, cgroups: str = "/sys/fs/cgroup", proc: str = "/proc/self") -> int:
    """The usable cores, at least 1.

    A container or job with a quota of time (cgroup v2's cpu.max, v1's cpu.cfs_quota_us) may
    see more cores than it can use.
    """
    cores = len(os.sched_getaffinity(0))
    quotas = [
        quota
        for line in _read(Path(proc, "cgroup")).splitlines()
        for quota in _quotas(line, Path(cgroups))
    ]
    return max(1, min([cores, *map(int, quotas)]))


def _quotas(line: str, root: Path) -> list[float]:
    """The quotas, in cores, of a line "ID:CONTROLLERS:PATH" and of what is above."""
    _, controllers, path = line.split(":", 2)
    names = controllers.split(",")
    if controllers and "cpu" not in names:
        return []
    base = root / controllers if controllers else root
    if not base.is_dir():
        base = root / "cpu"
    # In a container the path is the host's, and only the root of it is there.
    folder = Path(path.lstrip("/"))
    folders = [base / folder, *(base / above for above in folder.parents), base]
    return [quota for place in dict.fromkeys(folders) for quota in _quota(place)]


def _quota(folder: Path) -> list[float]:
    words = _read(folder / "cpu.max").split()
    if not words:
        words = [
            _read(folder / f"cpu.cfs_{what}_us").strip() for what in ("quota", "period")
        ]
    if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):
        return [int(words[0]) / int(words[1])]
    return []  # "max", -1, or no such file


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
