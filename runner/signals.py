"""SIGINT and SIGTERM as a request, not as an exception at any line.

And SIGURG, which a batch system sends as a warning before the time limit: it reaches every
process of a job, and all but the master ignore it, where SIGTERM would end the trainers.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

_CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGURG)
_HELD = (signal.SIGINT, signal.SIGTERM)


def hold_back() -> None:
    """Keep SIGINT and SIGTERM back until `let_through`, or until a `StopRequest` is entered.

    While modules are imported and MPI starts, they would end one rank by a traceback and the
    others by the crash of their MPI. They are not lost. To be called before there are other
    threads: those that are there keep nothing back.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)


def held_back() -> bool:
    """Whether such a signal has come, and waits."""
    return not signal.sigpending().isdisjoint(_HELD)


def let_through() -> None:
    """What was kept back arrives now, and what follows at once."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


class StopRequest:
    """Counts the signals that ask a run to end, while it is entered as a context.

    What was held back (`hold_back`) counts, too.

    Outside the main thread Python delivers no signals, and nothing is caught.
    """

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Catch the signals."""
        if threading.current_thread() is threading.main_thread():
            for number in _CAUGHT:
                self._before[number] = signal.signal(number, self._note)
            let_through()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put back what was there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
