"""The running count of a run: how its trials ended, and which is the best."""

from collections import Counter

from ribosome.runner.clock import Clock, SystemClock
from ribosome.runner.confirmed import Confirmed
from ribosome.runner.observer import Best, Status, Summary


class Tally:
    """Counts results; what was there before this session is counted by `add` too."""

    def __init__(self, total: int, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self.total = total
        self.endings: Counter[str] = Counter()
        self.best: Best | None = None
        """The best first result."""
        self.winner: Best | None = None
        """The best by its repeats, once all of them have ended."""
        self.evaluated = 0
        self.begin()

    def begin(self) -> None:
        """The session begins: its speed is counted from here."""
        self._before = self.evaluated
        self._began = self._clock.monotonic()

    @property
    def bar(self) -> float:
        """The best fitness so far; -1 before there is one."""
        return self.best.fitness if self.best else -1.0

    def add(self, trial: int, ending: str, fitness: float | None, genome: str) -> bool:
        """Count one result; True if it is the best so far (the first of equals is)."""
        self.count(ending)
        if fitness is None or fitness <= self.bar:
            return False
        self.best = Best(trial, fitness, genome)
        return True

    def count(self, ending: str) -> None:
        """Count a result that is no first one: a network was trained again."""
        self.evaluated += 1
        self.endings[ending] += 1

    def crown(self, winner: Confirmed) -> None:
        """The repeats have named a winner."""
        self.winner = Best(winner.trial, winner.fitness, winner.genome, winner)

    def status(self, *, running: int, workers: int) -> Status:
        """The run as it stands."""
        elapsed = self._clock.monotonic() - self._began
        session = self.evaluated - self._before
        pace = elapsed / session if session else None
        return Status(
            evaluated=self.evaluated,
            total=self.total,
            running=running,
            workers=workers,
            best=self.best,
            endings=dict(self.endings),
            networks_per_hour=3600.0 / pace if pace else 0.0,
            elapsed_s=elapsed,
            seconds_left=None if pace is None else pace * (self.total - self.evaluated),
        )

    def summary(self, folder: str) -> Summary:
        """The run as it ended."""
        return Summary(
            folder=folder,
            evaluated=self.evaluated,
            session=self.evaluated - self._before,
            seconds=self._clock.monotonic() - self._began,
            best=self.winner or self.best,
            endings=dict(self.endings),
        )
