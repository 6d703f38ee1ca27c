"""Which workers have been silent for too long, at a cost that does not grow with them."""

from collections import OrderedDict


class Heartbeats:
    """Remembers when each worker was last heard, in the order of that.

    ``limit_s`` is the longest silence, in seconds; 0 for no limit. All times are the
    caller's, of a clock that never goes back.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._heard: OrderedDict[int, float] = OrderedDict()
        self._looked: float | None = None

    def begin(self, worker: int, now: float) -> None:
        """A worker is to be heard from now on."""
        if self._limit_s:
            self._heard[worker] = now
            self._heard.move_to_end(worker)

    def hear(self, worker: int, now: float) -> None:
        """A worker has said something; nothing happens if it is not watched."""
        if worker in self._heard:
            self._heard[worker] = now
            self._heard.move_to_end(worker)

    def end(self, worker: int) -> None:
        """A worker is not expected to be heard any more."""
        self._heard.pop(worker, None)

    def silent(self, now: float) -> list[int]:
        """The workers whose silence has become too long; they are not watched any more.

        To be called after everything that has arrived was heard, and often. If it was not,
        it was the caller who was held up, and nobody's silence counts until now.
        """
        if self._looked is not None and now - self._looked > self._limit_s / 2:
            self._heard = OrderedDict.fromkeys(self._heard, now)
        self._looked = now
        found: list[int] = []
        while self._heard:
            worker = next(iter(self._heard))
            if now - self._heard[worker] <= self._limit_s:
                break
            del self._heard[worker]
            found.append(worker)
        return found
