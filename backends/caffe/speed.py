"""Training speed from the time stamps of Caffe's log.

Caffe prints a speed of its own beside each displayed iteration. It cannot be believed: at
the first one it is uninitialised memory, in BVLC's it counts validations and snapshots, in
NVIDIA's the first after a validation is too high. The stamps are exact to a microsecond.
Between the lines of two displayed iterations i and j lie j - i whole iterations, because a
line is printed between the passes of its iteration and the update.

Not every log is so kind as to hold such a window with nothing else in it, so there are
grades of evidence, and a figure is of the best one that there is (`_Evidence`). A short run
may hold no second displayed iteration: its figure is then from its only line to the first
snapshot or validation, which counts one update too many and is too low by a fraction of
one iteration.
"""

from enum import IntEnum

_DAY_S = 86_400.0
_LONGEST_S = _DAY_S / 2  # more than that is a clock that was set back
_GROWTH = 1.005


class _Evidence(IntEnum):
    """What a figure rests on, the best first."""

    CLEAN = 0  # windows from line to line that hold nothing but training
    MENDED = 1  # windows with a validation in them, whose time is taken off
    DOUBTED = 2  # clean ones where Caffe's own seconds say something else
    PARTIAL = 3  # from a line to the next validation or snapshot; or NVCaffe's start-up
    STATED = 4  # NVCaffe's last line, which counts everything


class Speedometer:
    """Batches per second, from what a log says one line after the other.

    Times are seconds of the day, NaN where a line has no stamp: no window lasts a day, so
    the date is not needed, and its change does no harm. Each method gives the figure where
    there is reason to tell it anew, else None: better evidence, or more of it by a
    two-hundredth.
    """

    def __init__(self) -> None:
        self._batches = [0.0] * len(_Evidence)
        self._seconds = [0.0] * len(_Evidence)
        self._best: int = _Evidence.STATED
        self._tell_at_s = 0.0
        self._iteration = 0
        self._at = 0.0
        # Something other than training was in the window: first of all, the start-up.
        self._bounded = True
        self._mendable = False
        self._validating = False
        self._paused_at = 0.0
        self._paused_s = 0.0

    def displayed(
        self,
        iteration: int,
        at: float,
        printed_s: float | None,
        printed_iterations: int,
    ) -> float | None:
        """An iteration was trained and displayed.

        ``printed_s`` is how long Caffe says that the last ``printed_iterations`` took; None
        for NVCaffe's first three iterations, the start-up, where it does not say.
        """
        batches, seconds = iteration - self._iteration, at - self._at
        self._iteration, self._at = iteration, at
        if self._bounded:
            return self._mend(batches, _within_a_day(seconds))
        if seconds < 0.0:
            seconds = _within_a_day(seconds)
        if printed_s is None:
            return self._add(_PARTIAL, batches, seconds)
        if printed_iterations == batches and not (
            # Printed to the millisecond, and not at the very moment of the stamp.
            0.9 * seconds - 0.02 < printed_s < 1.1 * seconds + 0.02
        ):
            return self._add(_DOUBTED, batches, seconds)
        return self._add(_CLEAN, batches, seconds)

    def validating(self, iteration: int, at: float) -> float | None:
        """A validation begins, before the passes of an iteration."""
        figure = self._bound(iteration, at)
        if self._validating:
            self._mendable = False  # the one before was broken off
        self._validating, self._paused_at = True, at
        return figure

    def validated(self, at: float) -> None:
        """A result of the validation was printed; training goes on behind the last."""
        self._paused_s += _within_a_day(at - self._paused_at)
        self._validating, self._paused_at = False, at

    def interrupted(self, iteration: int, at: float) -> float | None:
        """A snapshot, or the end of training, after so many iterations.

        When a snapshot has been written is not in the log, so its window is not mended.
        """
        figure = self._bound(iteration, at)
        self._mendable = False
        return figure

    def stated(self, batches_per_s: float) -> float | None:
        """The trainer's own figure for the whole run."""
        return self._add(_Evidence.STATED, batches_per_s, 1.0)

    def _bound(self, iteration: int, at: float) -> float | None:
        """Something other than training begins; what came before it is a part."""
        if self._bounded:
            return None
        self._bounded, self._mendable = True, True
        self._validating, self._paused_s = False, 0.0
        # The passes of this iteration are still to come.
        batches = iteration - self._iteration - 1
        return self._add(_PARTIAL, batches, _within_a_day(at - self._at))

    def _mend(self, batches: int, seconds: float) -> float | None:
        """A window with something else in it ends, and a new one begins."""
        self._bounded = False
        if not self._mendable or self._validating:
            return None
        return self._add(_MENDED, batches, seconds - self._paused_s)

    def _add(self, grade: int, batches: float, seconds: float) -> float | None:
        # So written that NaN is refused too.
        if not (0.0 < seconds < _LONGEST_S and batches > 0.0):
            return None
        self._batches[grade] += batches
        self._seconds[grade] = whole = self._seconds[grade] + seconds
        if grade > self._best or (grade == self._best and whole < self._tell_at_s):
            return None
        self._best, self._tell_at_s = grade, whole * _GROWTH
        return self._batches[grade] / whole


_CLEAN, _MENDED, _DOUBTED, _PARTIAL = (int(grade) for grade in list(_Evidence)[:4])


def _within_a_day(seconds: float) -> float:
    return seconds % _DAY_S
