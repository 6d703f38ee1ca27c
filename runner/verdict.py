"""How a trial ended, decided from what was seen of it.

Pure: no clock, no files. `observe` sums up the events of a log, `judge` gives the
verdict.
"""

import math
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ribosome.backends.base import (
    Ending,
    Event,
    Failed,
    Finished,
    Iteration,
    Speed,
    Tested,
)
from ribosome.runner.excerpt import excerpt

CAPPED_LOSS = 87.33
"""Caffe clips a probability at the smallest float: a loss of 87.3365 is infinite."""

MESSAGE_LIMIT = 1200
"""Characters of a message."""

_HEAD = 400

_PRECEDENCE: tuple[Ending, ...] = (
    "timeout",
    "diverged",
    "out_of_memory",
    "invalid",
    "crashed",
)
_OUT_OF_MEMORY = re.compile(
    r"out of memory|outofmemory|memoryerror|bad_alloc|cannot allocate memory"
    r"|can't allocate memory|alloc_failed|memory allocation fail",
    re.IGNORECASE,
)
_ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[@-Z\\-_])")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a log has said so far.

    ``diverged`` is empty or says what was not finite; ``failed`` is the first failure
    that the trainer told of; ``tested`` the last validation. ``capped_at`` is the iteration
    of the last loss that was told of, if that was at the cap, else -1.
    """

    iteration: int = 0
    batches_per_s: float | None = None
    tested: Tested | None = None
    failed: Failed | None = None
    diverged: str = ""
    finished: bool = False
    capped_at: int = -1

    @property
    def iterations(self) -> int:
        """The highest number of an iteration that was told of."""
        return max(self.iteration, self.tested.iteration if self.tested else 0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a trial ended, and what to show of it, empty where that is ok.

    It may be ok because it was ``stopped`` during training; the message then says why.
    """

    ending: Ending
    message: str = ""
    stopped: bool = False


def observe(seen: Seen, event: Event) -> Seen:
    """What has been seen, once an event is added."""
    match event:
        case Iteration(iteration=iteration, loss=loss):
            seen = replace(seen, iteration=iteration)
            if loss is not None and not math.isfinite(loss):
                return _diverged(seen, f"the loss is {loss} at iteration {iteration}")
            if loss is not None:
                return _capped(seen, loss, iteration)
        case Speed(batches_per_s=speed):
            return replace(seen, batches_per_s=speed)
        case Tested(accuracy=accuracy, loss=loss, iteration=iteration):
            seen = replace(seen, tested=event)
            if not (math.isfinite(accuracy) and math.isfinite(loss)):
                return _diverged(
                    seen,
                    f"the validation at iteration {iteration} has accuracy {accuracy} "
                    f"and loss {loss}",
                )
            if loss >= CAPPED_LOSS:
                return _diverged(
                    seen,
                    f"the validation at iteration {iteration} has the loss {loss}, "
                    "which stands for an infinite one",
                )
        case Failed():
            return replace(seen, failed=seen.failed or event)
        case Finished():
            return replace(seen, finished=True)
    return seen


def judge(
    seen: Seen,
    exit_code: int,
    *,
    says: Callable[[int], Ending | None],
    limit: str = "",
    fault: str = "",
    halted: str = "",
    folder: str = "",
    oom_killed: bool = False,
    peak_bytes: int = 0,
    lines: Sequence[str] = (),
) -> Verdict:
    """The one ending of a trial.

    ``exit_code`` is minus the signal where one ended the trainer, ``says`` the
    backend's reading of it, ``limit`` the limit that made us end the trial (empty: none
    did), ``fault`` what else made us end it, ``halted`` why we stopped it although nothing
    was wrong with it, ``folder`` the trial's, ``oom_killed``
    whether the kernel killed for memory meanwhile, ``peak_bytes`` the most main memory
    that the trainer had, ``lines`` the last of the log. The first row of the table that
    holds decides:

    ============= ====================================================================
    timeout       a limit was reached, or the trainer said so
    diverged      a loss or an accuracy that is not finite or is capped, or the trainer
                  said so; whatever the exit code, and whatever accuracy was printed
    out_of_memory the trainer said so; or it failed and its last lines name the lack of
                  memory; or it was killed while the kernel ran out of memory
    invalid       the trainer said so
    crashed       we ended it for a fault; the trainer said so; any other exit code than
                  0; an end without `Finished` or without a validation; an accuracy
                  outside 0 to 1
    ok            none of these: exit code 0, finite loss, an accuracy from 0 to 1
    ============= ====================================================================

    A trial that was halted after a check is ok unless the log says that it diverged; how its
    trainer took its end says nothing. One that came to its regular end first was not halted.
    """
    by_itself = seen.finished and exit_code == 0
    sound = not seen.diverged and seen.tested and not _impossible(seen.tested)
    if halted and sound and not by_itself:
        return Verdict("ok", clean(halted), stopped=True)
    claims: dict[Ending, str] = {}

    def claim(ending: Ending, message: str) -> None:
        claims.setdefault(ending, message)

    last = excerpt(lines, folder=folder)
    if limit:
        claim("timeout", f"{limit}; its log ends: {last}" if last else limit)
    if fault:
        claim("crashed", f"{fault}; its log ends: {last}" if last else fault)
    if seen.diverged:
        claim("diverged", seen.diverged)
    if seen.failed is not None:
        told = seen.failed.ending
        claim(told if told in _PRECEDENCE else "crashed", seen.failed.message or last)
    if exit_code != 0:
        read = says(exit_code)
        memory = [n for n, line in enumerate(lines) if _OUT_OF_MEMORY.search(line)]
        if read is not None and read not in ("ok", "crashed"):
            claim(read, last or _how(exit_code))
        if oom_killed and exit_code in (-signal.SIGKILL, 128 + signal.SIGKILL):
            claim(
                "out_of_memory",
                "killed when the machine ran out of memory, "
                f"at {peak_bytes / 2**20:.0f} MiB of its own",
            )
        if memory:
            claim("out_of_memory", excerpt(lines[: memory[-1] + 1], folder=folder))
        claim("crashed", f"{_how(exit_code)}: {last}" if last else _how(exit_code))
    if missing := _missing(seen):
        claim("crashed", f"{missing}: {last}" if last else missing)
    for ending in _PRECEDENCE:
        if ending in claims:
            return Verdict(ending, clean(claims[ending]))
    return Verdict("ok")


def clean(text: str) -> str:
    """One line of printable text of `MESSAGE_LIMIT` characters: the two ends of a longer."""
    shown = "".join(c if c.isprintable() else " " for c in _ESCAPE.sub("", text))
    line = " ".join(shown.split())
    if len(line) <= MESSAGE_LIMIT:
        return line
    return f"{line[:_HEAD]} … {line[_HEAD + 3 - MESSAGE_LIMIT :]}"


def _diverged(seen: Seen, how: str) -> Seen:
    return replace(seen, diverged=seen.diverged or how)


def _capped(seen: Seen, loss: float, iteration: int) -> Seen:
    """A loss of training: the cap is no chance where two in a row are at it."""
    if loss < CAPPED_LOSS:
        return replace(seen, capped_at=-1)
    if not 0 <= seen.capped_at < iteration:
        return replace(seen, capped_at=iteration)
    return _diverged(
        seen,
        f"the loss stays at {loss}, which stands for an infinite one, at iteration "
        f"{iteration}",
    )


def _impossible(tested: Tested) -> str:
    if 0.0 <= tested.accuracy <= 1.0:
        return ""
    return f"the trainer printed an impossible accuracy, {tested.accuracy}"


def _missing(seen: Seen) -> str:
    if seen.tested is None:
        return "the trainer ended without a validation"
    if impossible := _impossible(seen.tested):
        return impossible
    return "" if seen.finished else "the trainer ended before its regular end"


def _how(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"killed by signal {-exit_code} ({signal.Signals(-exit_code).name})"
    except ValueError:
        return f"killed by signal {-exit_code}"
