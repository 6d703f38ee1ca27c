"""A machine that jobs are submitted to: what a job script for it needs to know (TOML).

::

    description = "My cluster: 4 GPUs a node"
    scheduler = "slurm"         # "lsf", "none"
    gpus_per_node = 4
    setup = ["module load python", "source ~/ribosome/bin/activate"]

`System` lists every key; `ribosome jobscript --system NAME --show` prints a shipped file to
start from. The lines of ``setup`` are commands: read a stranger's file before its jobs run.
"""

import re
from difflib import get_close_matches
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ribosome.genome.errors import ConfigError
from ribosome.genome.toml import parse_toml, read_text
from ribosome.runner.wording import plainly

_Many = Annotated[int, Meta(ge=0, le=1024)]
_Name = Annotated[str, Meta(pattern=r"\A(?!-)[A-Za-z0-9_.+@:-]*\Z")]
_Line = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f\u0085\u2028\u2029]+\Z")]
_Option = Annotated[str, Meta(pattern=r"\A-[^\x00-\x1f\x7f\u0085\u2028\u2029]+\Z")]
_Cores = Annotated[str, Meta(pattern=r"\A[0-9]{1,5}-[0-9]{1,5}\Z")]
_PHRASES = {
    f"Expected `str` matching regex {kind.__metadata__[0].pattern!r}": shape  # type: ignore[attr-defined]
    for kind, shape in (
        (_Name, "letters, digits and any of ._+@:-"),
        (_Line, "one line, without control characters"),
        (_Option, "one line that begins with -, as the scheduler's options do"),
        (_Cores, 'the first and the last core, as in "0-6"'),
    )
}
_SCHEDULERS = ("slurm", "lsf", "none")


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule of the default queue: jobs of at most ``nodes`` run at most ``hours``."""

    nodes: Annotated[int, Meta(ge=1)]
    hours: Annotated[int, Meta(ge=1)]


class System(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A machine, its scheduler and its nodes.

    ``workers_per_node`` stands in for GPUs where there are none. ``cores_of_gpus`` are the
    cores beside each GPU, in the order of the GPUs: its worker is bound to them; the master
    takes the first core of all from them. LSF counts them as an ERF with
    "cpu_index_using: logical" does at the job's SMT level, Slurm as Linux does.
    """

    scheduler: Literal["slurm", "lsf", "none"]
    description: _Line = "a machine"
    gpus_per_node: _Many = 0
    workers_per_node: _Many = 0
    cores_of_gpus: tuple[_Cores, ...] = ()
    whole_nodes: bool = False  # a job has its nodes for itself, with all their cores
    queue: _Name = ""  # LSF's queue, Slurm's partition, where --queue is not given
    directives: tuple[_Option, ...] = ()  # more lines of #BSUB or #SBATCH
    mpi: _Name = ""  # srun's --mpi; empty: the machine's default
    launcher_options: tuple[_Option, ...] = ()  # more options of srun or jsrun
    setup: tuple[_Line, ...] = ()  # commands that put ribosome and its MPI on PATH
    warning_s: Annotated[int, Meta(ge=60, le=3600)] = (
        120  # SIGURG before the time limit
    )
    limits: tuple[Limit, ...] = ()  # by ascending nodes


def shipped_systems() -> tuple[str, ...]:
    """The names of the systems that come with Ribosome."""
    files = resources.files("ribosome.runner.systems").iterdir()
    return tuple(
        sorted(file.name[:-5] for file in files if file.name.endswith(".toml"))
    )


def system_text(name_or_path: str) -> str:
    """The TOML of a shipped system or of a file.

    Raises ConfigError, with the nearest name, where there is no such system.
    """
    names = shipped_systems()
    path = Path(name_or_path)
    try:
        if name_or_path in names:
            folder = resources.files("ribosome.runner.systems")
            return (folder / f"{name_or_path}.toml").read_text(encoding="utf-8")
        if path.suffix == ".toml" or "/" in name_or_path:
            return read_text(path)
    except OSError as error:
        why = error.strerror
        raise ConfigError(
            f"{path}: the system file cannot be read: {why}; check the path"
        ) from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; is this a system file?") from None
    near = get_close_matches(name_or_path, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "or give a path ending in .toml"
    raise ConfigError(
        f"no system is called {name_or_path!r}: there are {', '.join(names)}; {hint}"
    )


@lru_cache(maxsize=32)
def load_system(name_or_path: str) -> System:
    """A shipped system, or the user's own from a file.

    Raises ConfigError, with file and key, for anything that such a file may not say.
    """
    return parse_system(system_text(name_or_path), source=name_or_path)


def parse_system(text: str, *, source: str) -> System:
    """The system that a TOML text describes; ``source`` names it in errors."""
    try:
        document = parse_toml(text)
    except ValueError as error:
        raise ConfigError(f"system file {source}: not valid TOML: {error}") from None
    _check_keys(document, System, source, "")
    for limit in _tables(document.get("limits")):
        _check_keys(limit, Limit, source, " in [[limits]]")
    try:
        system = msgspec.convert(document, System)
    except msgspec.ValidationError as error:
        raise ConfigError(f"system file {source}: {_wrong(error)}") from None
    _check(system, source)
    return system


def _check_keys(
    table: dict[str, Any], struct: type[msgspec.Struct], source: str, place: str
) -> None:
    known = struct.__struct_fields__
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            )
            raise ConfigError(
                f"system file {source}: unknown key {key!r}{place}; {hint}"
            )


def _tables(value: object) -> list[dict[str, Any]]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]


def _wrong(error: msgspec.ValidationError) -> str:
    """Which key is wrong, and how."""
    what, place = plainly(error, _PHRASES)
    if "enum" in what:
        what = f"take one of {', '.join(_SCHEDULERS)}"
    if missing := re.search(r"missing required field (\w+)", what):
        return f"{missing[1]} is missing{f' in {place}' if place else ''}"
    return f"{place}: {what}"


def _check(system: System, source: str) -> None:
    """What no single key tells."""
    cores = system.cores_of_gpus
    if cores and len(cores) != system.gpus_per_node:
        raise ConfigError(
            f"system file {source}: cores_of_gpus has {len(cores)} entries for "
            f"{system.gpus_per_node} GPUs a node; give one for each GPU"
        )
    taken: dict[int, str] = {}
    # GPUs of one socket may share its cores; but jsrun wants them for each rank apart.
    for entry in cores if system.scheduler == "lsf" else dict.fromkeys(cores):
        first, last = map(int, entry.split("-"))
        if last <= first:
            raise ConfigError(
                f"system file {source}: cores_of_gpus: {entry!r} is not two cores or "
                "more, first to last; the master takes one of them"
            )
        for core in range(first, last + 1):
            if core in taken:
                raise ConfigError(
                    f"system file {source}: cores_of_gpus: {taken[core]!r} and {entry!r} "
                    f"share core {core}; give each GPU cores of its own"
                )
            taken[core] = entry
    if system.scheduler == "lsf" and not cores:
        raise ConfigError(
            f"system file {source}: cores_of_gpus is missing: jsrun is told the cores "
            'of every rank; give one entry for each GPU, as in ["0-6", "7-13"]'
        )
    if list(system.limits) != sorted(system.limits, key=lambda limit: limit.nodes):
        raise ConfigError(f"system file {source}: write [[limits]] by ascending nodes")
