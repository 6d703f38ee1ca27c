"""Job scripts: the batch script that runs a search on a system of `ribosome.runner.system`.

Every GPU trains: the ranks are one worker for each GPU (times `runner.trials_per_gpu`) and
one more for the master, on the first node, which is given no GPU.

- LSF: jsrun is told the cores and the GPU of every rank by an explicit resource file (IBM
  Spectrum LSF JSM, "ERF format"), since resource sets of one shape, `-r 6 -c 7 -g 1`, leave
  the master neither a core nor a place.
- Slurm: one srun with `--distribution=arbitrary`, where the first node stands in the list of
  hosts once more than the others. Each rank sees all GPUs of its node and Ribosome chooses;
  `--gpus-per-task=1` would want a GPU for the master, or hide the others behind a cgroup.

The warning before the time limit is SIGURG: see `ribosome.runner.signals`.
"""

import re
import shlex
from dataclasses import dataclass

from ribosome.genome.errors import ConfigError
from ribosome.genome.harmless import is_harmless
from ribosome.runner.config import Config
from ribosome.runner.system import System
from ribosome.templates.environment import template

_NAME = re.compile(r"[\w.+@:-]{1,64}", re.ASCII)
_LONGEST_MIN = 366 * 24 * 60
_TIMES = (
    re.compile(r"(?P<m>\d+)", re.A),
    re.compile(r"(?P<h>\d+):(?P<m>[0-5]?\d)(?::(?P<s>[0-5]?\d))?", re.A),
    re.compile(
        r"(?P<d>\d+)-(?P<h>[01]?\d|2[0-3])(?::(?P<m>[0-5]?\d)(?::(?P<s>[0-5]?\d))?)?",
        re.A,
    ),
    re.compile(r"(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m(?:in)?)?", re.A | re.I),
)


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked of a system; ``minutes`` None: no time limit, on this machine only.

    Paths are as the script will meet them, from the folder that it is submitted in. Raises
    ConfigError for what a script or a scheduler could misread.
    """

    config: str
    run: str
    nodes: int
    minutes: int | None
    name: str = "ribosome"
    account: str = ""
    queue: str = ""

    def __post_init__(self) -> None:
        for what, word in (
            ("name", self.name),
            ("account", self.account),
            ("queue", self.queue),
        ):
            if word.startswith("-") or not (_NAME.fullmatch(word) or word == ""):
                raise ConfigError(
                    f"{what} {word!r}: take up to 64 letters, digits and any of ._+@:-"
                )
        if not self.name:
            raise ConfigError("the name of the job is empty; give it one")
        for what, path in (("config", self.config), ("run folder", self.run)):
            if not path or not is_harmless(path):
                raise ConfigError(
                    f"{what} {path!r}: a job script cannot name a path that is empty or "
                    "has line breaks or control characters; rename it"
                )
        if self.nodes < 1:
            raise ConfigError(f"nodes {self.nodes}: a job needs at least one")


@dataclass(frozen=True, slots=True)
class Layout:
    """How many ranks a job has, and where."""

    nodes: int
    gpus_per_node: int
    workers_per_node: int

    @property
    def ranks(self) -> int:
        """All workers, and the master."""
        return self.nodes * self.workers_per_node + 1


def parse_time(text: str) -> int:
    """The minutes of a time limit, seconds rounded up: 90, 90m, 2h, 1d12h, 2:00, 2:00:00,
    1-12:00.

    "90" is 90 minutes, and "2:00" is two hours, as LSF reads it; to Slurm it would be two
    minutes. Behind a colon a number is below 60, and hours behind days are below 24. Raises
    ConfigError for anything else, for nothing and for more than a year.
    """
    for pattern in _TIMES:
        if text and (match := pattern.fullmatch(text)):
            number = {
                unit: int(digits or 0) for unit, digits in match.groupdict().items()
            }
            minutes = number.get("d", 0) * 1440 + number.get("h", 0) * 60
            minutes += number.get("m", 0)
            minutes += -(-number.get("s", 0) // 60)
            if 0 < minutes <= _LONGEST_MIN:
                return minutes
    raise ConfigError(
        f"time {text!r}: write hours and minutes as in 2:00, 2:00:00, 1-12:00, or 90m, 2h; "
        "minutes and seconds below 60, in all from a minute to a year"
    )


def layout(system: System, config: Config, nodes: int) -> Layout:
    """The ranks of a job: a worker for each GPU and each trial that shares it.

    Raises ConfigError where neither GPUs nor workers of a node are known.
    """
    workers = system.gpus_per_node * config.runner.trials_per_gpu
    workers = workers or system.workers_per_node
    if not workers and system.scheduler != "none":
        raise ConfigError(
            "how many workers a node has is not known: give --gpus-per-node, or "
            "--workers-per-node where there are no GPUs"
        )
    return Layout(nodes, system.gpus_per_node, workers)


def warnings(system: System, job: Job) -> list[str]:
    """What the scheduler may refuse, for its limits are known for the default queue only."""
    if job.minutes is None or job.queue not in ("", system.queue):
        return []
    for limit in system.limits:
        if job.nodes <= limit.nodes:
            if job.minutes <= limit.hours * 60:
                return []
            return [
                f"jobs of up to {limit.nodes} nodes ran at most {limit.hours} hours here; "
                "the scheduler may refuse this one"
            ]
    if not system.limits:
        return []
    return [f"no more than {system.limits[-1].nodes} nodes were given to one job here"]


def render(system: System, config: Config, job: Job) -> str:
    """The job script.

    Raises ConfigError where system and job do not fit.
    """
    ranks = layout(system, config, job.nodes)
    if system.scheduler == "none" and job.nodes != 1:
        raise ConfigError(
            f"nodes {job.nodes}: without a scheduler a job is of one node; choose another "
            "--system"
        )
    if system.scheduler == "lsf" and not system.cores_of_gpus:
        raise ConfigError(
            "jsrun is told the cores of every rank: for another number of GPUs start a "
            "system file of your own (--show) and give cores_of_gpus there"
        )
    if system.scheduler != "none" and job.minutes is None:
        raise ConfigError("a job needs a time limit: give --time, as in --time 2:00")
    if job.minutes is not None and system.scheduler != "none":
        warned = -(-system.warning_s // 60)  # LSF counts it in minutes
        if job.minutes <= warned:
            raise ConfigError(
                f"time {_hours(job.minutes)}: the search is warned {warned} minutes before its "
                "end, and this job would end as it begins; give more --time"
            )
    values = {
        "system": system,
        "job": job,
        "layout": ranks,
        "hours": _hours(job.minutes),
        "trials_per_gpu": config.runner.trials_per_gpu,
        "threads": config.training.threads,
        "queue": job.queue or system.queue,
        "config": _quoted_path(job.config),
        "run": _quoted_path(job.run),
        "options": shlex.join(system.launcher_options),
        "cores": _cores(system),
    }
    return template(f"jobscript_{system.scheduler}.sh.jinja").render(values)


def _hours(minutes: int | None) -> str:
    """Hours and minutes, as in 2:05."""
    return "" if minutes is None else f"{minutes // 60}:{minutes % 60:02}"


def _quoted_path(path: str) -> str:
    """One word of the shell that no program takes for an option."""
    return shlex.quote(f"./{path}" if path.startswith("-") else path)


@dataclass(frozen=True, slots=True)
class _Cores:
    """Cores by rank: the master's, those of the first GPU beside it, those of each GPU."""

    master: str
    beside_master: str
    of_gpus: tuple[str, ...]


def _cores(system: System) -> _Cores | None:
    if not system.cores_of_gpus:
        return None
    first, last = map(int, system.cores_of_gpus[0].split("-"))
    return _Cores(str(first), f"{first + 1}-{last}", system.cores_of_gpus)
