"""How long to sleep between looks at something that cannot be waited on."""

_SHORTEST_S = 2e-5
_LONGEST_S = 5e-3
_GROWTH = 1.2


class Backoff:
    """From 20 microseconds, about what a sleep costs, up to 5 ms after 31 looks."""

    def __init__(self) -> None:
        self._delay = _SHORTEST_S

    def next(self) -> float:
        """Seconds to sleep before the next look."""
        delay, self._delay = self._delay, min(self._delay * _GROWTH, _LONGEST_S)
        return delay

    def reset(self) -> None:
        """Something came: look often again."""
        self._delay = _SHORTEST_S
