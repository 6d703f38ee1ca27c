"""Reads the log of the PyTorch trainer: one logfmt line, one event."""

import math
from collections.abc import Sequence
from typing import get_args

from ribosome.backends.base import (
    Ending,
    Event,
    Failed,
    Finished,
    Iteration,
    Speed,
    Tested,
)
from ribosome.backends.pytorch.logfmt import parse_line


class LogParser:
    """A `ribosome.backends.base.Parser`; it keeps nothing from one line to the next."""

    def feed(self, line: str) -> Sequence[Event]:
        """The event of a line, if any; a line that is damaged says nothing."""
        values = parse_line(line)
        try:
            event = _event(values)
        except (KeyError, ValueError):
            return ()
        return () if event is None else (event,)


def _event(values: dict[str, str]) -> Event | None:
    match values.get("event"):
        case "first_iteration" | "iteration":
            return Iteration(
                iteration=int(values["iteration"]),
                loss=float(values["loss"]),
                lr=float(values["lr"]),
            )
        case "speed":
            speed = float(values["batches_per_s"])
            return Speed(speed) if math.isfinite(speed) and speed > 0.0 else None
        case "test":
            return Tested(
                accuracy=float(values["accuracy"]),
                loss=float(values["loss"]),
                iteration=int(values["iteration"]),
            )
        case "failed" | "rejected" as event:
            ending, message = _ending(values["ending"]), values["message"]
            return Failed(ending, message, rejected=event == "rejected")
        case "done":
            return Finished()
    return None


def _ending(name: str) -> Ending:
    known: tuple[Ending, ...] = get_args(Ending)
    return next((ending for ending in known if ending == name), "crashed")
