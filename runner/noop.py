"""An evaluator that trains nothing: what is left is the run itself, to test and to time."""

import hashlib
import time

from ribosome.runner.messages import Result, Work

_SCALE = 1 << 32


class NoopEvaluator:
    """Makes a fitness, or in one case of 16 a failure, out of the genome's bytes alone.

    A trial takes ``seconds``; 0 answers at once.
    """

    def __init__(self, *, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._work: Work | None = None
        self._started = self._clock = 0.0

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
        digest = hashlib.blake2b(work.genome, digest_size=4).digest()
        number = int.from_bytes(digest, "big")
        failed = number % 16 == 0
        return Result(
            trial=work.trial,
            ending="diverged" if failed else "ok",
            fitness=None if failed else number / _SCALE,
            loss=None if failed else 1.0 - number / _SCALE,
            seconds=seconds,
            started_at=self._started,
            finished_at=time.time(),
            message="one case of 16" if failed else "",
        )

    def cancel(self) -> None:
        """Forget the trial."""
        self._work = None

    def close(self) -> None:
        """Nothing is kept between trials."""
