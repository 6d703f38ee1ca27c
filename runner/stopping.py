"""What ends a trial during training: rules that go by the validations there. Pure.

A *check* is such a validation. Trials are compared with others at the same check and in the
same phase only, since another phase may train for longer:

- ``median`` stops a trial whose best accuracy so far is below the median of what the earlier
  ones had as their best there (Golovin et al., Google Vizier, KDD 2017).
- ``halving`` stops one that is not among the best ``keep`` of all that came so far
  (asynchronous successive halving as it stops: Li et al., MLSys 2020).

A network that predicts one class whatever the image is known by its accuracy, which is that
class's share of the validation images: so ended 34 % of the networks of MENNDL's own runs.
"""

from array import array
from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Sequence
from math import ceil
from typing import Protocol

from ribosome.backends.base import Tested
from ribosome.runner.config import StoppingConfig

_PRINTED = 1e-6
"""By how much an accuracy may be off that was printed with six digits."""


class Rule(Protocol):
    """Judges a trial at a check."""

    def why(self, earlier: Sequence[float], best: float) -> str:
        """Why a trial is to be stopped whose ``best`` accuracy that is; empty to go on.

        ``earlier`` are those of the others at the same check, in ascending order.
        """
        ...


class Median:
    """The median rule; it stops nothing before it has ``grace`` results to go by."""

    def __init__(self, grace: int) -> None:
        self._grace = grace

    def why(self, earlier: Sequence[float], best: float) -> str:
        """See `Rule`."""
        count = len(earlier)
        if count < self._grace:
            return ""
        median = (earlier[(count - 1) // 2] + earlier[count // 2]) / 2.0
        if best >= median:
            return ""
        return f"its accuracy {best:.4f} is below {median:.4f}, the median of {count}"


class Halving:
    """Asynchronous successive halving; at least the best of all always goes on."""

    def __init__(self, keep: float) -> None:
        self._keep = keep

    def why(self, earlier: Sequence[float], best: float) -> str:
        """See `Rule`."""
        count = len(earlier) + 1
        better = len(earlier) - bisect_right(earlier, best)
        # Rounded against what 0.1 * 30 is in binary.
        if better < max(1, ceil(round(self._keep * count, 9))):
            return ""
        return f"its accuracy {best:.4f} is behind {better} of {count - 1} others"


def make_rule(settings: StoppingConfig) -> Rule | None:
    """The rule of [stopping]; None for none."""
    match settings.rule:
        case "median":
            return Median(settings.grace)
        case "halving":
            return Halving(settings.keep)
    return None


class Checks:
    """All checks of a run so far, and what a rule says of each new one.

    Eight bytes for each, and somewhat more for the trials that run.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._at: defaultdict[tuple[str, int], array[float]] = defaultdict(
            lambda: array("d")
        )
        self._running: dict[int, tuple[int, float]] = {}
        """Of each trial that runs, the last check and the best accuracy."""

    def take(self, phase: str, trial: int, iteration: int, accuracy: float) -> str:
        """Take in a check; why the trial is to be stopped, empty if it may go on.

        A trial that is trained once more, because its worker was lost, is judged again and
        not counted again.
        """
        last, best = self._running.get(trial, (0, 0.0))
        best = max(best, accuracy)
        earlier = self._at[phase, iteration]
        if iteration <= last:
            # It is among them itself, and its best may be of a later check.
            others, place = earlier[:], bisect_right(earlier, best) - 1
            if place >= 0:
                others.pop(place)
            return self._rule.why(others, best)
        self._running[trial] = iteration, best
        why = self._rule.why(earlier, best)
        insort(earlier, best)
        return why

    def end(self, trial: int) -> None:
        """The trial has ended: nothing more is heard of it."""
        self._running.pop(trial, None)


class Constant:
    """Finds networks that predict one class, from the accuracy alone.

    ``after`` is the share of the training from which on they are looked for, 0 for never;
    ``shares`` are those of the classes among the validation ``images``. Exact to what a log
    prints: where Caffe counts some images twice, because no good batch divides their
    number, it may find none.
    """

    def __init__(self, after: float, shares: Sequence[float], *, images: int) -> None:
        self._after = after
        self._shares = shares
        self._margin = min(_PRINTED, 0.5 / max(1, images))

    def why(self, tested: Tested, iterations: int) -> str:
        """Why a trial is to be stopped at a check of so many ``iterations`` in all; or ""."""
        if not self._after or tested.iteration < self._after * iterations:
            return ""
        for number, share in enumerate(self._shares):
            if share and abs(tested.accuracy - share) <= self._margin:
                return (
                    f"constant prediction, its accuracy {tested.accuracy:.4f} is the share "
                    f"of class {number}"
                )
        if tested.accuracy == 0.0:
            return "constant prediction, not one image is right"
        return ""
