"""SIGINT and SIGTERM as a request, not as an exception at any line.

And SIGURG, which a batch system sends as a warning before the time limit: it reaches every
process of a job, and all but the master ignore it, where SIGTERM would end the trainers.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

_CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGURG)


class StopRequest:
    """Counts the signals that ask a run to end, while it is entered as a context.

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
