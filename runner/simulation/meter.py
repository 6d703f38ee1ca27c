"""What a simulated machine measures of its workers while it runs."""

from typing import NamedTuple


class _Sums(NamedTuple):
    at: float
    busy_s: float  # over all workers
    ended: int


class Meter:
    """Counts messages, and sums up what workers do. All times are virtual seconds.

    A wait lies between the end of a trial and the next one's start, at one worker.
    ``fed_at`` is when the last worker started its first trial: the machine is ramped up.
    From then until no new trials come it is in full swing, in which `utilisation` and
    `ended_per_s` are measured: both are None if there was no such time.
    """

    def __init__(self, workers: int) -> None:
        self.messages_in = 0
        self.messages_out = 0
        self.waits = 0
        self.wait_s = 0.0
        self.longest_wait_s = 0.0
        self.fed_at: float | None = None
        self._workers = self._unfed = workers
        self._busy = 0
        self._newest = 0
        self._sums = self._when_fed = self._at_newest = _Sums(0.0, 0.0, 0)

    def receive(self, at: float, trial: int) -> None:
        """A worker was given a trial, which may not be the first to get it."""
        if trial > self._newest:
            self._newest = trial
            self._count(at, 0)
            self._at_newest = self._sums

    def start(self, at: float, *, idle_since: float | None, first: bool) -> None:
        """A worker starts a trial: its ``first``, or after one until ``idle_since``."""
        self._count(at, 1)
        if first:
            self._unfed -= 1
            if not self._unfed:
                self.fed_at, self._when_fed = at, self._sums
        elif idle_since is not None:
            self.waits += 1
            self.wait_s += at - idle_since
            self.longest_wait_s = max(self.longest_wait_s, at - idle_since)

    def end(self, at: float) -> None:
        """A worker's trial is over, in whatever way."""
        self._count(at, -1)

    @property
    def utilisation(self) -> float | None:
        """The busy share of all workers, in full swing."""
        seconds = self._swing_s
        if seconds <= 0.0:
            return None
        busy_s = self._at_newest.busy_s - self._when_fed.busy_s
        return busy_s / (self._workers * seconds)

    @property
    def ended_per_s(self) -> float | None:
        """Trials that come to their end in a second, in full swing."""
        seconds = self._swing_s
        if seconds <= 0.0:
            return None
        return (self._at_newest.ended - self._when_fed.ended) / seconds

    @property
    def _swing_s(self) -> float:
        return 0.0 if self.fed_at is None else self._at_newest.at - self.fed_at

    def _count(self, at: float, change: int) -> None:
        since, busy_s, ended = self._sums
        busy_s += self._busy * (at - since)
        self._sums = _Sums(at, busy_s, ended + (change < 0))
        self._busy += change
