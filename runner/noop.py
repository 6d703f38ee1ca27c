"""An evaluator that trains nothing: what is left is the run itself, to test and to time."""

import hashlib
import time

from ribosome.runner.evaluator import ready_here
from ribosome.runner.messages import Ready, Result, Work

_SCALE = 1 << 32


def noop_fitness(genome: bytes) -> float | None:
    """A fitness from 0 up to 1 out of the bytes alone; None in one case of 16."""
    number = int.from_bytes(hashlib.blake2b(genome, digest_size=4).digest(), "big")
    return number / _SCALE if number % 16 else None


class NoopEvaluator:
    """Makes a fitness, or in one case of 16 a failure, out of the genome's bytes alone.

    A trial takes ``seconds``; 0 answers at once.
    """

    def __init__(self, *, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._work: Work | None = None
        self._started = self._clock = 0.0

    def ready(self) -> Ready:
        """The process itself, without a GPU."""
        return ready_here()

    def start(self, work: Work) -> None:
        """Begin a trial."""
        self._work = work
        self._started, self._clock = time.time(), time.monotonic()

    def fileno(self) -> int | None:
        """None: only time can tell."""
        return None

    def poll(self) -> Result | None:
        """The result, once its time has come."""
        seconds = time.monotonic() - self._clock
        if self._work is None or seconds < self._seconds:
            return None
        work, self._work = self._work, None
        fitness = noop_fitness(work.genome)
        return Result(
            trial=work.trial,
            ending="diverged" if fitness is None else "ok",
            fitness=fitness,
            loss=None if fitness is None else 1.0 - fitness,
            seconds=seconds,
            started_at=self._started,
            finished_at=time.time(),
            message="one case of 16" if fitness is None else "",
        )

    def halt(self, why: str) -> None:
        """Nothing: there are no checks."""

    def cancel(self) -> None:
        """Forget the trial."""
        self._work = None

    def close(self) -> None:
        """Nothing is kept between trials."""
