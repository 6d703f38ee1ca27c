"""Virtual time: it stands still but for the machine that moves it, and for the master's own."""

from dataclasses import dataclass
from time import perf_counter

EPOCH = 1_500_000_000.0
"""Virtual time 0, in seconds since the epoch: 14 July 2017."""


@dataclass(frozen=True, slots=True)
class Service:
    """How long the master takes, in virtual time.

    ``live``: as long as it computes and writes here, so that its limits show; no two runs
    are equal then, and this machine must have nothing else to do. ``per_message_s`` comes on
    top of that, for each message in or out: what a wire costs that a simulation has not.
    """

    live: bool = False
    per_message_s: float = 0.0


class VirtualClock:
    """The clock of a simulated machine, for the master too.

    It runs while the master computes, if the service is live, and else only moves when the
    machine moves it. ``master_s`` is the real time that the master has taken, in both.

    Real time is that of the clock on the wall: the CPU clock of a thread would not count
    what the master waits for its disk, and costs more to read than a heartbeat to handle.
    """

    def __init__(self, service: Service) -> None:
        self.master_s = 0.0
        self._service = service
        self._now = 0.0
        self._mark: float | None = None

    def monotonic(self) -> float:
        """Virtual seconds since the machine was started."""
        if self._mark is None or not self._service.live:
            return self._now
        return self._now + (perf_counter() - self._mark)

    def time(self) -> float:
        """Virtual seconds since the epoch."""
        return EPOCH + self.monotonic()

    def master_waits(self) -> float:
        """The master has handed over: what it took is counted. Returns the time."""
        if self._mark is not None:
            taken = perf_counter() - self._mark
            self._mark = None
            self.master_s += taken
            if self._service.live:
                self._now += taken
        return self._now

    def master_goes_on(self, now: float, messages: int) -> None:
        """The master computes, from this time on, with so many new messages."""
        self._now = now + messages * self._service.per_message_s
        self._mark = perf_counter()

    def master_sends(self) -> float:
        """The master sends a message. Returns the time."""
        self._now += self._service.per_message_s
        return self.monotonic()
