"""The failures of a run, grouped by how they ended and by what they say.

Two messages are alike if they differ only in numbers, addresses and paths, and in which
worker tells of it. Pure: records in, groups out.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ribosome.runner.records import Record

_LAST_WORDS = re.compile(r"; its log ends: .*|(\(SIG(?!ABRT)[A-Z]+\)): .*")
_WHERE = re.compile(r"worker \d+ on \S+: ")
_VARIABLE = re.compile(
    r"0x[0-9a-f]+"
    r"|\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"
    r"|(?:/[\w.+~-]+)+/?"
    r"|(?:(?<!\w)[-+])?\d[\d_]*(?:\.\d+)?(?:e[-+]?\d+)?",
    re.IGNORECASE,
)
_ALIKE = 240
"""Characters that decide: what stands behind them is the rest of a log."""

_MANY = 5
"""Failures that a worker must have before anything is said of it."""

_SIGMAS = 5.0


@dataclass(frozen=True, slots=True)
class Group:
    """Failures that are alike, in order of trial; ``share`` is that of all failures."""

    ending: str
    trials: "tuple[Record, ...]"
    share: float

    @property
    def workers(self) -> list[int]:
        """The workers concerned, by number."""
        return sorted({t.worker for t in self.trials if t.worker is not None})


@dataclass(frozen=True, slots=True)
class Outlier:
    """A worker that fails far more than the others: its trials, and the others' share."""

    worker: int
    failed: int
    ended: int
    others: float


def is_failure(trial: "Record") -> bool:
    """Whether a trial ended, and not as ok."""
    return trial.ending not in (None, "ok")


def failed(trials: "Iterable[Record]") -> "list[Record]":
    """The failures among trials."""
    return [trial for trial in trials if is_failure(trial)]


def group(trials: "Iterable[Record]") -> list[Group]:
    """The failures among trials in groups, the most frequent first."""
    found: dict[tuple[str, str], list[Record]] = {}
    failures = failed(trials)
    for trial in failures:
        key = str(trial.ending), pattern(trial.message or "")
        found.setdefault(key, []).append(trial)
    groups = [
        Group(ending, tuple(alike), len(alike) / len(failures))
        for (ending, _), alike in found.items()
    ]
    return sorted(groups, key=lambda g: (-len(g.trials), g.trials[0].trial))


def pattern(message: str) -> str:
    """What alike messages have in common.

    Not the last words of a trainer that was ended, or that a signal has ended: but for an
    abort they are no reason.
    """
    text = _VARIABLE.sub("#", _LAST_WORDS.sub(r"\1", _WHERE.sub("", message)))
    return " ".join(text.split())[:_ALIKE].lower()


def outliers(trials: "Sequence[Record]") -> list[Outlier]:
    """The workers that fail far more than the others, the worst first.

    Far more is at least twice the share of failures of all others together, and five
    standard deviations above it: chance makes nobody an outlier, not among thousands.
    """
    ended = Counter(t.worker for t in trials if t.ending and t.worker is not None)
    failures = Counter(t.worker for t in failed(trials) if t.worker is not None)
    every, all_failures = ended.total(), failures.total()
    found: list[tuple[float, Outlier]] = []
    for worker, count in failures.items():
        mine = ended[worker]
        others = every - mine
        if count < _MANY or others == 0:
            continue
        share = (all_failures - count) / others
        # One more failure than was seen, so that a share of 0 is not taken for certain.
        cautious = (all_failures - count + 1) / (others + 1)
        sigma = sqrt(mine * cautious * (1 - cautious)) or 1.0
        distance = (count - mine * cautious) / sigma
        if count >= 2 * mine * cautious and distance >= _SIGMAS:
            found.append((-distance, Outlier(worker, count, mine, share)))
    return [outlier for _, outlier in sorted(found, key=lambda pair: pair[0])]
