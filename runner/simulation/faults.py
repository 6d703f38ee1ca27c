"""What goes wrong on a simulated machine: failures of trials, and of workers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ribosome.backends.base import Ending

if TYPE_CHECKING:
    from numpy.random import Generator


@dataclass(frozen=True, slots=True)
class Death:
    """A worker dies ``at`` virtual seconds; another takes its number ``back_after`` it.

    It stays away if that is None, or if the machine does not tell of deaths.
    """

    worker: int
    at: float
    back_after: float | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A worker neither hears nor speaks for some ``seconds``, as after SIGSTOP.

    Its trial goes on. What came for it meanwhile it finds when it comes back.
    """

    worker: int
    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Faults:
    """All of it. ``endings`` are shares of the trials, which fail at any time of theirs.

    ``repeated`` is the share of reports of a result that are sent twice.
    """

    endings: Mapping[Ending, float] = field(default_factory=dict)
    repeated: float = 0.0
    deaths: tuple[Death, ...] = ()
    pauses: tuple[Pause, ...] = ()


def random_deaths(
    workers: int,
    *,
    until: float,
    mean_life_s: float,
    back_after: float | None,
    rng: "Generator",
) -> tuple[Death, ...]:
    """Deaths up to ``until`` virtual seconds, at a constant rate for each worker."""
    count = int(rng.poisson(workers * until / mean_life_s))
    times = sorted((until * rng.random(count)).tolist())
    who = rng.integers(1, workers + 1, count).tolist()
    return tuple(Death(*one, back_after) for one in zip(who, times, strict=True))
