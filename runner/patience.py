"""How long a run waits for workers when none is there."""

from ribosome.genome.errors import RunError

SILENCES = 10
"""Limits of silence that a run waits while every worker is silent, before it gives up."""

START_S = 3600.0
"""The longest that a run waits for its first worker: data may have to be copied to it."""


class Patience:
    """Gives a run up once nobody can be expected to work on it any more.

    ``heartbeat_s`` is the limit of silence. All times are in seconds, of a clock that never
    goes back, and ``began`` is the first.
    """

    def __init__(self, heartbeat_s: float, began: float) -> None:
        self._heartbeat_s = heartbeat_s
        self._since = began
        self._last_words = ""

    def lose(self, reason: str, now: float) -> None:
        """A worker is gone."""
        self._last_words, self._since = reason, now

    def check(self, now: float, *, present: bool, silent: bool, ready: bool) -> None:
        """Raise RunError where waiting has no more sense.

        ``present`` if workers are there or on their way, ``silent`` if some may speak again,
        ``ready`` if any has what it needs to work.
        """
        waited = now - self._since
        if not present and (not silent or waited > SILENCES * self._heartbeat_s):
            raise RunError(f"no worker is left: {self._last_words}")
        if not ready and waited > START_S:
            raise RunError(
                f"no worker is ready after {START_S:g} s: look at the machine, then go on "
                "with --resume"
            )
