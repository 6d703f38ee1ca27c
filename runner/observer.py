"""What a run tells the one who watches it."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from ribosome.genome.errors import RunError
from ribosome.runner.confirmed import Confirmed


@dataclass(frozen=True, slots=True)
class Best:
    """The best trial so far: its number, fitness and genome (text form).

    ``confirmed`` is what its repeats say, where they have made it the winner.
    """

    trial: int
    fitness: float
    genome: str
    confirmed: Confirmed | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """A run at a moment.

    ``evaluated`` and ``endings`` count the whole run; ``networks_per_hour``, ``elapsed_s``
    and ``seconds_left`` are this session's, the last None before it has a first result.
    ``running`` workers have a trial, of ``workers`` that are there.
    """

    evaluated: int
    total: int
    running: int
    workers: int
    best: Best | None
    endings: Mapping[str, int]
    networks_per_hour: float
    elapsed_s: float
    seconds_left: float | None

    @property
    def failures(self) -> dict[str, int]:
        """How many trials failed, by ending."""
        return {name: n for name, n in self.endings.items() if name != "ok"}


@dataclass(frozen=True, slots=True)
class Summary:
    """A run that has come to its end; ``evaluated`` and ``endings`` count all of it.

    ``session`` trials were evaluated in ``seconds`` by this session.
    """

    folder: str
    evaluated: int
    session: int
    seconds: float
    best: Best | None
    endings: Mapping[str, int]


class Interrupted(RunError):
    """SIGINT or SIGTERM ended the search, in good order; the message says how to go on."""

    exit_code = 130

    @classmethod
    def after(cls, evaluated: int, total: int, folder: str) -> Self:
        """After so many of the evaluations of the run in a folder."""
        config = shlex.quote(f"{folder}/config.toml")
        return cls(
            f"interrupted after {evaluated} of {total} evaluations; resume with: "
            f"ribosome search {config} -o {shlex.quote(folder)} --resume"
        )


class Observer(Protocol):
    """Watches a run. Called from the master's loop: it must not take long."""

    def update(self, status: Status) -> None:
        """The run as it stands: about four times a second, and once at the end."""
        ...

    def warn(self, text: str) -> None:
        """Something went wrong that the run survives; one line."""
        ...


class Silent:
    """Watches nothing."""

    def update(self, status: Status) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""
