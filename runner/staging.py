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
from ribosome.runner.filesystems import is_shared, kind, same_file_system
from ribosome.runner.node_copy import NodeCopy, reason

BURST_BUFFERS = Path("/mnt/bb")
"""A user's folder in it is a node's NVMe drive on Summit and on Frontier."""

VARIABLES = ("SLURM_TMPDIR", "LOCAL_SCRATCH", "TMPDIR")
"""What may name a folder of the node's own, the more certain ones first."""

_IN_MEMORY = ("tmpfs", "ramfs")
"""Kinds of file systems where a copy would take the trainers' memory."""


@dataclass(frozen=True, slots=True)
class _Room:
    """A folder for the copy; ``name`` is what the config calls it, alike on every node."""

    path: Path
    name: str

    def named(self, text: str) -> str:
        """The text with the folder's name for its path.

        A path that differs from node to node would make a warning of its own for each.
        """
        return text.replace(str(self.path), self.name)


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
    room: _Room | None = None

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
    except RunError as error:
        return Staged(source, warning=not_staged(source, str(error)))
    if room is None:
        return Staged(source)
    try:
        copy = NodeCopy(room.path, folder)
        read = copy.use(going=going)
        return Staged(str(copy.data), bytes_read=read, copy=copy, room=room)
    except (OSError, RunError) as error:
        return Staged(source, warning=not_staged(source, room.named(reason(error))))


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
    if staged.room is not None:
        try:
            copied = replace(task, data=staged.folder)
            prepare(copied)
            return copied, staged
        except DataError as error:
            staged.release()
            staged.folder = task.data
            staged.warning = not_staged(task.data, staged.room.named(str(error)))
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


def _room(source: Path, setting: str, environment: Mapping[str, str]) -> _Room | None:
    """The folder to copy to; None where nothing is to be copied. Raises RunError."""
    if setting == "none":
        return None
    if setting != "auto":
        return _Room(Path(_expanded(setting, environment)), setting)
    if not is_shared(source):
        return None
    user = environment.get("USER") or _user_name()
    buffer = f"{BURST_BUFFERS}/$USER"
    candidates = [_Room(BURST_BUFFERS / user, buffer)] if user else []
    for name in VARIABLES:
        if value := environment.get(name):
            candidates.append(_Room(Path(value), f"${name}"))
    for room in candidates:
        if room.path.is_absolute() and _is_of_node(room.path, source):
            return room
    names = ", ".join((buffer, *(f"${name}" for name in VARIABLES)))
    raise RunError(
        f"no disk of the node's own was found that can be written to ({names})"
    )


def _is_of_node(room: Path, source: Path) -> bool:
    try:
        return (
            room.is_dir()
            and os.access(room, os.W_OK | os.X_OK)
            and not is_shared(room)
            and kind(room) not in _IN_MEMORY
            and not same_file_system(room, source)
        )
    except OSError:  # a folder above it that may not be looked into
        return False


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
