"""One running trainer: its log streamed and parsed, its limits kept, its end judged.

A `Trial` never waits: whoever owns it watches `fileno` and calls `poll`, which takes in
a bounded amount of output at a time, so that a trainer that floods its log cannot keep
its worker from anything else.
"""

import os
import select
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ribosome.backends.base import Command, Ending, Parser, Tested
from ribosome.runner.processes import oom_kills
from ribosome.runner.trial_log import TrialLog
from ribosome.runner.verdict import Seen, Verdict, judge, observe
from ribosome.runner.warm import Exit, Launched, Launcher

LOG = "log.txt"
"""The log's name in the folder of its trial."""

_READ_BYTES = 1 << 16
_READS_AT_ONCE = 4
_DRAIN_BYTES = 1 << 20  # the most that a pipe may hold
_TESTS = 1000  # a trainer that floods its log with them is no worker's end
_LAST_LINES = 100  # a traceback through a framework takes most of them


@dataclass(frozen=True, slots=True)
class Limits:
    """What a trial may take: seconds, and bytes of output; infinity for no limit.

    ``stall_s`` is the longest time without a line of log. Both times count from the
    moment that the trainer's process exists.
    """

    wall_s: float = float("inf")
    stall_s: float = float("inf")
    log_bytes: float = float("inf")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a trial; ``blameless`` if it says nothing of the network.

    That is where somebody has ended it, or the process that started it.
    """

    verdict: Verdict
    seen: Seen
    blameless: bool = False


class Trial:
    """A trainer that runs in ``folder``, with its log in the file `LOG` there.

    ``says`` is the backend's reading of an exit code. A trial that has diverged is
    ended at once: its verdict stands, and its GPU is wanted elsewhere.
    """

    def __init__(
        self,
        launcher: Launcher,
        command: Command,
        folder: Path,
        environment: dict[str, str],
        *,
        parser: Parser,
        says: Callable[[int], Ending | None],
        limits: Limits,
    ) -> None:
        self._parser = parser
        self._says = says
        self._limits = limits
        self._seen = Seen()
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._folder = folder
        self._broken_limit = self._fault = self._halted = ""
        self.tested: deque[Tested] = deque(maxlen=_TESTS)
        """The validations that nobody has looked at yet, the latest of them."""
        self._oom_kills = oom_kills()
        self._log = TrialLog(folder / LOG)
        self._pipe: int | None
        self._pipe, write = os.pipe()
        os.set_blocking(self._pipe, False)
        self._news = select.epoll()
        try:
            self._process: Launched = launcher.launch(
                command.argv, str(folder), environment, write
            )
        except OSError:
            self._release()
            raise
        self._running_since: float | None = None
        self._last_line_at = 0.0
        self._news.register(self._pipe, select.EPOLLIN)
        self._watched = self._process.fileno()
        self._news.register(self._watched, select.EPOLLIN)

    def fileno(self) -> int:
        """Readable when `poll` has something to do, limits apart."""
        return self._news.fileno()

    def poll(self) -> Outcome | None:
        """Take in the news without waiting; the outcome once the trial has ended."""
        self._read(_READ_BYTES * _READS_AT_ONCE)
        ended = self._process.poll()
        if ended is None:
            if not self._process.stopping:
                limit = self._limit_reached()
                if limit and not self._process.ended:
                    self._broken_limit = limit
                if (
                    self._broken_limit
                    or self._fault
                    or self._halted
                    or self._seen.diverged
                ):
                    self._process.stop()
            self._watch()
            return None
        return self._outcome(ended)

    def halt(self, why: str) -> None:
        """Have it stopped with what its last check has found, unless it is ending already.

        `poll` tells the outcome. Nothing happens to one that has not been validated yet.
        """
        under_way = not (self._process.stopping or self._process.ended)
        if under_way and self._seen.tested is not None and not self._seen.finished:
            self._halted = self._halted or why

    def kill(self) -> None:
        """End it with all that it has started, and forget it."""
        self._process.kill()
        self._release()

    def _watch(self) -> None:
        number = self._process.fileno()
        if number != self._watched:
            self._watched = number
            self._news.register(number, select.EPOLLIN)

    def _read(self, most: int) -> None:
        while most > 0 and self._pipe is not None:
            try:
                output = os.read(self._pipe, _READ_BYTES)
            except BlockingIOError:
                return
            if not output:
                self._close_pipe()
                return
            most -= len(output)
            self._take(self._log.feed(output))
            self._look_at_log()

    def _take(self, lines: list[str]) -> None:
        if not lines:
            return
        self._last_line_at = time.monotonic()
        self._last.extend(lines)
        for line in lines:
            for event in self._parser.feed(line):
                self._seen = observe(self._seen, event)
                if isinstance(event, Tested):
                    self.tested.append(event)

    def _look_at_log(self) -> None:
        if self._fault:
            return
        if self._log.trouble:
            self._fault = f"its log cannot be written: {self._log.trouble}"
        elif self._log.taken > self._limits.log_bytes:
            most = f"{self._limits.log_bytes / 2**20:g} MiB"
            self._fault = f"it printed more than {most} (runner.log_limit_mb)"

    def _limit_reached(self) -> str:
        now = time.monotonic()
        if self._running_since is None:
            if self._process.pid is None:
                return ""
            self._running_since = self._last_line_at = now
        if now - self._running_since > self._limits.wall_s:
            return f"not done after {self._limits.wall_s:g} s"
        if now - self._last_line_at > self._limits.stall_s:
            return f"no line of log for {self._limits.stall_s:g} s"
        return ""

    def _outcome(self, ended: Exit) -> Outcome:
        self._read(_DRAIN_BYTES)
        self._take(self._log.close())
        self._look_at_log()
        if ended.message:
            self._last.append(ended.message)
        verdict = judge(
            self._seen,
            ended.code,
            says=self._says,
            limit=self._broken_limit,
            fault=self._fault,
            halted="" if self._broken_limit or self._fault else self._halted,
            folder=str(self._folder),
            oom_killed=ended.code != 0 and oom_kills() > self._oom_kills,
            peak_bytes=ended.peak_bytes,
            lines=list(self._last),
        )
        self._release()
        blameless = ended.blameless and verdict.ending == "crashed" and not self._fault
        return Outcome(verdict, self._seen, blameless)

    def _close_pipe(self) -> None:
        # Closing takes it out of what is watched: an ended pipe is readable for ever.
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None

    def _release(self) -> None:
        self._close_pipe()
        self._news.close()
        self._log.close()
