"""How long caffe has trained, from the lines of its log as they come."""

import re
import time
from collections.abc import Callable

_FIRST = re.compile(rb"Iteration \d+(?: \(|, loss = )")
_LINE_LIMIT = 4096


class TrainingClock:
    """Seconds of training.

    It starts with the first iteration that is displayed and stands still while caffe
    validates. ``limit_s`` is what it may show, 0 for anything; `expired` says that caffe
    was told so.
    """

    def __init__(
        self, limit_s: float, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.expired = False
        self._limit_s = limit_s
        self._now = now
        self._started = False
        self._since: float | None = None
        self._before_s = 0.0
        self._part = b""

    def see(self, output: bytes) -> None:
        """Take in a piece of the log."""
        if self._limit_s <= 0.0:
            return
        *lines, part = (self._part + output).split(b"\n")
        self._part = part[:_LINE_LIMIT]
        for line in lines:
            if b"Testing net (#" in line:
                self._stop()
            elif b"Test net output #" in line:
                if self._started:
                    self._go()
            elif not self._started and _FIRST.search(line):
                self._started = True
                self._go()

    def left_s(self) -> float | None:
        """Seconds until caffe has to be told; None where it need not be."""
        if self._limit_s <= 0.0 or self.expired or self._since is None:
            return None
        return self._limit_s - self._before_s - (self._now() - self._since)

    def _go(self) -> None:
        if self._since is None:
            self._since = self._now()

    def _stop(self) -> None:
        if self._since is not None:
            self._before_s += self._now() - self._since
            self._since = None
