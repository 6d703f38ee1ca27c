"""The burst buffer: a node's trials read a copy of the data in the node's own storage.

Thousands of trainers that read one shared file system wait for it and for each other. With
a copy per node it is read once per node, however many networks are trained. What stands in
the way of a copy costs the speed, not the run: the data folder itself is read then.
"""

import os
import pwd
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template

from ribosome.genome.errors import DataError, RunError
from ribosome.genome.task import Task
from ribosome.runner.filesystems import is_shared, same_file_system
from ribosome.runner.node_copy import NodeCopy, reason

BURST_BUFFERS = Path("/mnt/bb")
"""A user's folder in it is a node's NVMe drive on Summit and on Frontier."""

VARIABLES = ("SLURM_TMPDIR", "LOCAL_SCRATCH", "TMPDIR")
"""What may name a folder of the node's own, the more certain ones first."""


@dataclass(slots=True)
class Staged:
    """Where trials read their data: ``folder``, a copy or the data folder itself.

    ``bytes_read`` is what this process has read from the data folder to copy it, 0 where
    another one of the node has done so. ``warning`` says why there is no copy although
    there should be one.
    """

    folder: str
    bytes_read: int = 0
    warning: str = ""
    copy: NodeCopy | None = None

    def release(self) -> None:
        """Give the copy back; the node's last process that does so removes it."""
        if self.copy is not None:
            self.copy.release()
            self.copy = None


def stage(
    source: str,
    setting: str,
    *,
    environment: Mapping[str, str] = os.environ,
    going: Callable[[], object] = lambda: None,
) -> Staged:
    """A copy of the data folder ``source`` on this node, or the folder as it is.

    ``setting`` is "none", a folder of the node's own storage, in which environment
    variables may stand, or "auto": a copy only where the data lies on a shared file system
    and the node has storage of its own. Waits while another process of the node copies.
    Raises nothing for what fails: that is the result's ``warning``. ``going`` is called
    again and again meanwhile; what it raises goes through, and no copy is left.
    """
    folder = Path(source)
    try:
        room = _room(folder, setting, environment)
        if room is None:
            return Staged(source)
        copy = NodeCopy(room, folder)
        read = copy.use(going=going)
        return Staged(str(copy.data), bytes_read=read, copy=copy)
    except (OSError, RunError) as error:
        return Staged(source, warning=not_staged(source, reason(error)))


def is_staged(
    source: str, setting: str, *, environment: Mapping[str, str] = os.environ
) -> bool:
    """Whether `stage` would try to copy the data on a node like this one."""
    try:
        return _room(Path(source), setting, environment) is not None
    except RunError:
        return False


def stage_task(
    task: Task,
    setting: str,
    prepare: Callable[[Task], object],
    *,
    going: Callable[[], object] = lambda: None,
) -> tuple[Task, Staged]:
    """The task with its data staged and prepared: what a backend makes of it is there too.

    Where the copy cannot be prepared, for lack of room perhaps, the data folder itself is.
    Raises what ``prepare`` raises for that, and what ``going`` raises.
    """
    staged = stage(task.data, setting, going=going)
    if staged.copy is not None:
        try:
            copied = replace(task, data=staged.folder)
            prepare(copied)
            return copied, staged
        except DataError as error:
            staged.release()
            staged.folder = task.data
            staged.warning = not_staged(task.data, str(error))
        except BaseException:
            staged.release()
            raise
    prepare(task)
    return task, staged


def not_staged(source: str, why: str) -> str:
    """The warning that trials read the data folder itself. The same on every node."""
    return (
        f"trials read {source} itself, not a copy on their node: {why}; "
        'set runner.stage to a folder of the node\'s own storage, or to "none"'
    )


def _room(source: Path, setting: str, environment: Mapping[str, str]) -> Path | None:
    """The folder to copy to; None where nothing is to be copied."""
    if setting == "none":
        return None
    if setting != "auto":
        return Path(_expanded(setting, environment))
    if not is_shared(source):
        return None
    user = environment.get("USER") or _user_name()
    candidates = [BURST_BUFFERS / user] if user else []
    for name in VARIABLES:
        if value := environment.get(name):
            candidates.append(Path(value))
    for room in candidates:
        if room.is_absolute() and _is_of_node(room, source):
            return room
    raise RunError(
        f"no storage of the node's own was found ({BURST_BUFFERS}/$USER, "
        + ", ".join(f"${name}" for name in VARIABLES)
        + ")"
    )


def _is_of_node(room: Path, source: Path) -> bool:
    return (
        room.is_dir()
        and os.access(room, os.W_OK | os.X_OK)
        and not is_shared(room)
        and not same_file_system(room, source)
    )


def _expanded(setting: str, environment: Mapping[str, str]) -> str:
    """The setting with $NAME and ${NAME} replaced. Raises RunError for an unset one."""
    try:
        return Template(setting).substitute(environment)
    except KeyError as error:
        raise RunError(f"{setting}: ${error.args[0]} is not set") from None
    except ValueError:
        raise RunError(f"{setting}: a $ without a name behind it") from None


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""
