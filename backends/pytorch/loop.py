"""The iterations of training: when they end, what is logged, how fast they were.

A GPU works behind the program's back, and to ask it for a loss is to wait for it: that is
done only where a line is logged. On a CPU the loss of every iteration is looked at.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from ribosome.backends.pytorch.clock import Clock
from ribosome.backends.pytorch.device import Device
from ribosome.backends.pytorch.validation import CAP, capped_loss, is_capped
from ribosome.genome.solver import Solver
from ribosome.genome.task import Training

SHARES = 10_000
"""Steps of the learning rate's schedule in a run that only time ends."""


QUIET_S = 30.0
"""Seconds after which the next iteration is logged though its turn has not come."""


class Trained(NamedTuple):
    """One batch that the network was trained on: mean loss, logits and labels."""

    loss: Tensor
    logits: Tensor
    labels: Tensor


Step = Callable[[int, float], Trained]
"""Trains the batch of an iteration, counted from 0, at a learning rate."""

Log = Callable[..., None]
"""Writes a line: the event, and its values as keywords."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How training went.

    ``timed`` iterations took ``seconds``: those after the start-up, without what logging
    took. ``diverged`` says how the loss was lost, and is empty if it was not.
    """

    iterations: int
    timed: int
    seconds: float
    diverged: str = ""


Check = Callable[[Outcome], None]
"""Validates the network, given how training went so far."""


def iterate(
    step: Step,
    solver: Solver,
    training: Training,
    device: Device,
    log: Log,
    check: Check = lambda _: None,
) -> Outcome:
    """Train until the iterations, the time or the loss are over, whichever is first.

    ``check`` is called at each of the training's checks, and takes none of its time.
    """
    rate_at = _rates(solver, training)
    watch = _Watch(training.display, device, log)
    warm = _warm(training.max_iterations)
    every = training.check_every
    clock = Clock()
    for iteration in itertools.count():
        rate = rate_at(iteration, clock.seconds())
        trained = step(iteration, rate)
        diverged = watch.look(trained, iteration, rate, clock)
        done = iteration + 1
        if done in (1, warm):
            device.synchronize()
            since, seconds = done, clock.seconds()
        if diverged or done == training.max_iterations:
            break
        if 0.0 < training.time_limit_s <= clock.seconds():
            break
        if every and done % every == 0:
            device.synchronize()
            with clock.stopped():
                now = clock.seconds()
                check(Outcome(done, done - since, now - seconds))
    device.synchronize()
    return Outcome(done, done - since, clock.seconds() - seconds, diverged)


class _Watch:
    """Logs a loss now and then, and says when it is lost."""

    def __init__(self, display: int, device: Device, log: Log) -> None:
        self._display = display
        self._always = device.device.type == "cpu"
        self._log = log
        self._logged_s = 0.0
        self._capped = False

    def look(self, trained: Trained, iteration: int, rate: float, clock: Clock) -> str:
        """What is wrong with the loss of an iteration; empty for nothing."""
        if iteration % self._display == 0:
            return self._show(trained, iteration, rate, clock)
        if clock.seconds() - self._logged_s >= QUIET_S:
            # A sign of life. When it comes is chance, and decides nothing but for a NaN,
            # which would end training at the next line anyway.
            loss = self._write(trained, iteration, rate, clock)
            return (
                f"the loss is NaN at iteration {iteration}" if math.isnan(loss) else ""
            )
        if self._always and math.isnan(trained.loss.item()):
            return f"the loss is NaN at iteration {iteration}"
        return ""

    def _show(self, trained: Trained, iteration: int, rate: float, clock: Clock) -> str:
        loss = self._write(trained, iteration, rate, clock)
        if math.isnan(loss):
            return f"the loss is NaN at iteration {iteration}"
        before, self._capped = self._capped, is_capped(loss)
        if before and self._capped:
            return f"the loss stays at {CAP}, Caffe's cap, at iteration {iteration}"
        return ""

    def _write(
        self, trained: Trained, iteration: int, rate: float, clock: Clock
    ) -> float:
        """Log an iteration; its loss."""
        loss = capped_loss(trained.logits, trained.labels).mean().item()
        with clock.stopped():
            event = "iteration" if iteration else "first_iteration"
            self._log(event, iteration=iteration, loss=loss, lr=rate)
        self._logged_s = clock.seconds()
        return loss


def _rates(solver: Solver, training: Training) -> Callable[[int, float], float]:
    """The learning rate by iteration, and by seconds where only time ends the run."""
    if training.max_iterations:
        schedule = solver.schedule(training.max_iterations)
        return lambda iteration, _: schedule.rate(iteration)
    schedule = solver.schedule(SHARES)
    pace = SHARES / training.time_limit_s
    return lambda _, seconds: schedule.rate(min(int(seconds * pace), SHARES - 1))


def _warm(max_iterations: int) -> int:
    """Iterations that count as start-up: a tenth of the run, from 1 to 10.

    The first one chooses algorithms and fills caches, and a few more may.
    """
    return min(10, max(1, max_iterations // 10)) if max_iterations else 10
