"""Which workers fail where others do not: a broken GPU fails with every network."""

from collections import Counter
from dataclasses import dataclass

_CHANCE = 0.01
"""The most rows of failures by mere chance that a whole run may be expected to have."""


@dataclass(slots=True)
class _Row:
    """Failures of one kind, one after another, on one worker."""

    ending: str
    others: int
    repeats: int = 0
    genome: str = ""


class Quarantine:
    """Judges workers by their results.

    A worker is barred after ``length`` failures in a row that end alike, of different
    genomes, if other workers have succeeded since the row began: else it is the search's
    or the data's fault. An ending that is common in the run must repeat more often, as
    often as chance alone hardly would: networks diverge on a sound machine too. 0 bars none.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._rows: dict[int, _Row] = {}
        self._endings: Counter[str] = Counter()

    def bars(self, worker: int, ending: str, genome: str) -> bool:
        """Take in a result; whether its worker is to get no more work."""
        self._endings[ending] += 1
        if ending == "ok":
            # A row counts the successes of others, and has ended with one of its own.
            self._rows.pop(worker, None)
            return False
        row = self._rows.get(worker)
        if row is None or row.ending != ending:
            row = self._rows[worker] = _Row(ending, self._endings["ok"])
        row.repeats += row.genome != genome
        row.genome = genome
        return (
            0 < self._length <= row.repeats
            and self._endings["ok"] > row.others
            and self._by_chance(ending, row.repeats) <= _CHANCE
        )

    def forget(self, worker: int) -> None:
        """Another process has taken the worker's place; how others died there still counts."""
        if worker in self._rows and self._rows[worker].ending != "lost":
            del self._rows[worker]

    def _by_chance(self, ending: str, repeats: int) -> float:
        """The expected number of such rows, were this worker no worse than the others."""
        results = self._endings.total()
        elsewhere = results - repeats
        share = (self._endings[ending] - repeats) / elsewhere if elsewhere else 0.0
        return float(results * share**repeats)


def barred(place: str, ending: str, message: str) -> str:
    """What to say of a worker at a place that was barred, and of its last trial's end."""
    return (
        f"{place} is quarantined: one network after another ended as {ending} there "
        f"while others trained elsewhere; the last said: {message or 'nothing'}; "
        "look at that machine"
    )
