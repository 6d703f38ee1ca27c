"""What a worker does with one genome: the interface between worker and trial."""

import os
import socket
from typing import Protocol

from ribosome.genome.errors import RunError
from ribosome.runner.messages import Checked, GivenBack, Ready, Result, Work


class Unfit(RunError):
    """A worker that can evaluate nothing any more, through no fault of the trial at hand."""


def ready_here() -> Ready:
    """A worker in this process, without a GPU and without data of its own."""
    return Ready(socket.gethostname(), os.getpid())


class Evaluator(Protocol):
    """Evaluates one genome at a time without blocking its worker."""

    def ready(self) -> Ready:
        """What the master is told of this worker; `ready_here` where nothing is special."""
        ...

    def start(self, work: Work) -> None:
        """Begin a trial. Never raises for a bad genome: that is a result."""
        ...

    def fileno(self) -> int | None:
        """What to wait on for news of the trial; None when only time can tell."""
        ...

    def poll(self) -> Checked | Result | GivenBack | None:
        """Take in what there is, without waiting; the result once the trial has ended.

        Before it, one by one, the validations during training: there may be more at once.
        A trial that says nothing of its network is given back. Raises Unfit.
        """
        ...

    def halt(self, why: str) -> None:
        """Have the running trial end with the accuracy of its last check, as stopped.

        Nothing happens to one that has no check, or that is ending.
        """
        ...

    def cancel(self) -> None:
        """End the running trial, with every process of it, and forget it."""
        ...

    def close(self) -> None:
        """Give back everything that is kept between trials."""
        ...
