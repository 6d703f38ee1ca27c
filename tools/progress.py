"""How a search shows itself while it runs: a live display, or now and then a line.

The display is redrawn from the master's own loop, without a thread, and can be told
that it writes to a terminal: under mpiexec the master's stdout is a pipe that ends in
one.
"""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol, Self

import click

from ribosome.genome.harmless import harmless
from ribosome.tools import text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ribosome.runner.observer import Status

Style = Literal["live", "plain", "none"]

LINE_EVERY_S = 5.0


class Display(Protocol):
    """An observer of a search (`ribosome.runner.observer.Observer`) that can be closed."""

    def update(self, status: "Status") -> None:
        """Show a run as it stands."""
        ...

    def warn(self, message: str) -> None:
        """Show something that went wrong and that the run survives."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def make_display(style: Style, title: str) -> Display:
    """The display of that style; ``title`` says what is searched."""
    title = harmless(title)
    if style == "live":
        return Live(title)
    return Plain(title) if style == "plain" else Hidden()


class Hidden:
    """Shows nothing but warnings, on stderr."""

    def update(self, status: "Status") -> None:
        """Show nothing."""

    def warn(self, text: str) -> None:
        """A line on stderr."""
        click.echo(f"ribosome: warning: {harmless(text)}", err=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to be shown."""


class Plain(Hidden):
    """A line every few seconds, for logs and pipes."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._last: Status | None = None
        self._shown: Status | None = None
        self._next = time.monotonic() + LINE_EVERY_S

    def update(self, status: "Status") -> None:
        """Print a line if it is time and something has changed."""
        self._last = status
        if time.monotonic() >= self._next:
            self._print()
            self._next = time.monotonic() + LINE_EVERY_S

    def __enter__(self) -> Self:
        click.echo(self._title)
        return self

    def __exit__(self, *_: object) -> None:
        """The run's last state is always shown."""
        self._print()

    def _print(self) -> None:
        status, shown = self._last, self._shown
        if status is None or (shown and shown.endings == status.endings):
            return
        self._shown = status
        click.echo(line(status))


class Live:
    """Redraws itself in a terminal: a bar, the best so far, speed, failures, time left."""

    def __init__(self, title: str, *, console: "Console | None" = None) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._title = title
        self._console = console or Console(force_terminal=True, highlight=False)
        self._live = RichLive(console=self._console, auto_refresh=False)

    def update(self, status: "Status") -> None:
        """Redraw."""
        self._live.update(panel(status, self._title), refresh=True)

    def warn(self, text: str) -> None:
        """A line above the display."""
        line = f"warning: {harmless(text)}"
        self._console.print(line, style="yellow", markup=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last state on the screen."""
        self._live.stop()


def line(status: "Status") -> str:
    """A run in one line."""
    parts = [f"{status.evaluated} of {status.total} evaluated"]
    if status.best is not None:
        parts.append(f"best {status.best.fitness:.4f} (trial {status.best.trial})")
    if status.networks_per_hour:
        parts.append(f"{status.networks_per_hour:,.0f} networks/hour")
    if status.failures:
        parts.append(f"failed: {failures(status.failures)}")
    if status.evaluated < status.total and status.seconds_left is not None:
        parts.append(f"{text.duration(status.seconds_left)} left")
    return ", ".join(parts)


def panel(status: "Status", title: str) -> "RenderableType":
    """A run as the live display shows it, six lines."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    best = status.best
    facts = {
        "evaluated": f"{status.evaluated} of {status.total} networks",
        "best": "-"
        if best is None
        else f"{best.fitness:.4f} validation accuracy, trial {best.trial}",
        "speed": _speed(status),
        "failures": failures(status.failures) or "none",
        "time": _time(status),
    }
    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, fact in facts.items():
        style = "bold green" if name == "best" and best is not None else ""
        grid.add_row(Text(name, style="dim"), Text(fact, style=style))
    bar = Table.grid()
    bar.add_row(ProgressBar(status.total, status.evaluated, width=60))
    return Group(Text(title, style="bold"), bar, grid)


def failures(counts: Mapping[str, int]) -> str:
    """How many failed how: "3 (2 diverged, 1 timeout)"; empty without a failure."""
    total = sum(counts.values())
    return f"{total} ({text.counts(counts)})" if total else ""


def _speed(status: "Status") -> str:
    parts = []
    if status.networks_per_hour:
        parts.append(f"{status.networks_per_hour:,.0f} networks/hour")
    if status.workers:  # at the end they are gone
        parts.append(f"{status.running} of {status.workers} workers busy")
    return ", ".join(parts) or "-"


def _time(status: "Status") -> str:
    passed = f"{text.duration(status.elapsed_s)} passed"
    if status.evaluated >= status.total or status.seconds_left is None:
        return passed
    return f"{text.duration(status.seconds_left)} left, {passed}"
