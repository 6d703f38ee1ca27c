"""Options and arguments that several commands share, and what they stand for."""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ribosome.genome.errors import ConfigError
from ribosome.genome.harmless import harmless
from ribosome.genome.task import DIGITS, Task, Training
from ribosome.genome.toml import read_toml

if TYPE_CHECKING:
    from ribosome.genome.space import Genes, Space

F = TypeVar("F", bound=Callable[..., Any])

TASK_KEYS = ("data", "name", "channels", "height", "width", "classes", "mean", "scale")
_SIZES = ("channels", "height", "width", "classes")


def task_options(command: F) -> F:
    """Add --task and --data: what a network is for."""
    command = click.option(
        "--data",
        metavar="NAME",
        help="The data set that the network is for: a built-in name or a data folder.",
    )(command)
    return click.option(
        "--task",
        "task_file",
        metavar="FILE",
        help="A TOML file whose [task] gives channels, height, width and classes.",
    )(command)


def resolve_task(task_file: str | None, data: str | None) -> Task:
    """The task that --task and --data name; scikit-learn's digits without either.

    Raises ConfigError for a task file that says something wrong, DataError for a data
    set that does not exist.
    """
    if task_file is not None and data is not None:
        raise click.UsageError("Give --task or --data, not both.")
    if data is not None:
        return _task_of_data(data)
    if task_file is not None:
        return _task_of_file(Path(task_file))
    return DIGITS


def read_genome(text: str, space: str | None = None) -> "tuple[Space, Genes]":
    """The genes of a genome's text, and its space: ``space`` or else the one it names.

    For a tuned genome it is the tuning space of its template within that space.
    Raises GenomeError for a damaged genome, SpaceError for an unknown space.
    """
    from ribosome.genome.codec import from_text, space_named_by
    from ribosome.genome.errors import GenomeError
    from ribosome.genome.hyperparameters import space_of
    from ribosome.genome.space_file import load_space, shipped_spaces

    named, _ = space_named_by(text)
    if space is None and named not in shipped_spaces():
        raise GenomeError(
            f"genome is of a space {named!r} that is not shipped; "
            "name its space file with --space"
        )
    found = space_of(load_space(space or named), text)
    return found, from_text(found, text)


def read_genome_of_run(text: str, space: str) -> "tuple[Space, Genes]":
    """As `read_genome`, for a genome of a run that searches in ``space``.

    What a run tunes may be of a shipped space instead.
    """
    from ribosome.genome.codec import space_named_by
    from ribosome.genome.space_file import load_space

    named, _ = space_named_by(text)
    return read_genome(text, space if load_space(space).name == named else None)


def _task_of_data(data: str) -> Task:
    from ribosome.backends.data import find_data, read_info

    return read_info(find_data(data)).task(Training())


def _task_of_file(path: Path) -> Task:
    try:
        table = read_toml(path).get("task")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; check the path") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not TOML ({error})") from None
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: no [task] in it; add one with {', '.join(_SIZES)}")
    for key in table:
        if key not in TASK_KEYS:
            near = difflib.get_close_matches(key, TASK_KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else ", ".join(TASK_KEYS)
            raise ConfigError(f"{path}: [task] has no key {key!r}; {hint}")
    if "data" in table:
        return _task_of_data(str(table["data"]))
    missing = [key for key in _SIZES if key not in table]
    if missing:
        raise ConfigError(f"{path}: [task] lacks {', '.join(missing)}; add them")
    for key in _SIZES:
        value = table[key]
        if type(value) is not int or not 1 <= value < 2**31:
            raise ConfigError(
                f"{path}: [task] {key} is {value!r}, but must be a whole number from 1 "
                "to 2147483647"
            )
    channels = table["channels"]
    mean = table.get("mean", [])
    if not isinstance(mean, list) or not all(map(_is_number, mean)):
        raise ConfigError(f"{path}: [task] mean is {mean!r}, but must list numbers")
    if len(mean) not in (0, channels):
        raise ConfigError(
            f"{path}: [task] mean has {len(mean)} numbers for {channels} channels; "
            "give one per channel, or none"
        )
    scale = table.get("scale", 1.0)
    if not _is_number(scale) or scale <= 0:
        raise ConfigError(
            f"{path}: [task] scale is {scale!r}, but must be a number above 0"
        )
    return Task(
        name=harmless(str(table.get("name", path.stem))),
        channels=channels,
        height=table["height"],
        width=table["width"],
        classes=table["classes"],
        mean=tuple(map(float, mean)),
        scale=float(scale),
    )


def _is_number(value: object) -> bool:
    """Whether it is a number that single precision can hold: not NaN, no bool."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= 1e38
    )


ranks_option = click.option(
    "--mpi",
    "ranks",
    metavar="N",
    type=click.IntRange(min=2),
    help="Run as N ranks under mpiexec: one master and N - 1 workers.",
)
progress_option = click.option(
    "--progress",
    type=click.Choice(["auto", "live", "plain", "none"]),
    default="auto",
    show_default=True,
    help="A display that is redrawn, or lines; auto: live in a terminal.",
)
