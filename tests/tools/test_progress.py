"""The displays of a search."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from ribosome.runner.observer import Best, Status
from ribosome.tools import progress
from ribosome.tools.progress import Hidden, Live, Plain, make_display

STATUS = Status(
    evaluated=34,
    total=60,
    running=2,
    workers=2,
    best=Best(31, 0.98611, "genome"),
    endings={"ok": 30, "diverged": 3, "out_of_memory": 1},
    networks_per_hour=1234.5,
    elapsed_s=99.0,
    seconds_left=75.0,
)


def test_a_line_has_everything() -> None:
    """Evaluated, best, speed, failures by kind, time left."""
    assert progress.line(STATUS) == (
        "34 of 60 evaluated, best 0.9861 (trial 31), 1,234 networks/hour, "
        "failed: 4 (3 diverged, 1 out of memory), 1 min 15 s left"
    )


def test_a_line_at_the_start_is_short() -> None:
    """What is not known yet is left out."""
    status = Status(0, 60, 1, 2, None, {}, 0.0, 1.0, None)
    assert progress.line(status) == "0 of 60 evaluated"


def shown(status: Status, *, width: int = 80) -> str:
    """What the live display leaves in a terminal, as text."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, color_system=None)
    with Live("Searching", console=console) as display:
        display.update(status)
        display.warn("worker 2 was lost")
    return out.getvalue()


def test_the_live_display_has_everything() -> None:
    """The same facts, a line for each, and warnings above them."""
    text = shown(STATUS)
    for part in (
        "Searching",
        "34 of 60 networks",
        "0.9861 validation accuracy, trial 31",
        "1,234 networks/hour, 2 of 2 workers busy",
        "4 (3 diverged, 1 out of memory)",
        "1 min 15 s left, 1 min 39 s passed",
        "warning: worker 2 was lost",
    ):
        assert part in text


def test_workers_that_are_gone_are_not_counted() -> None:
    """The last state of a run has no workers: none of none is not said to be busy."""
    text = shown(replace(STATUS, running=0, workers=0))
    assert "1,234 networks/hour" in text
    assert "busy" not in text


def test_the_live_display_fits_eighty_columns() -> None:
    """No line is longer, and none is cut."""
    from rich.console import Console as Plainly

    out = io.StringIO()
    Plainly(file=out, width=80).print(progress.panel(STATUS, "Searching"))
    lines = out.getvalue().splitlines()
    assert len(lines) == 7
    assert max(map(len, lines)) <= 80
    assert "…" not in out.getvalue()


def test_the_bar_is_as_long_as_what_is_done() -> None:
    """Half of the networks, half of the bar's 60 cells."""
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system="standard")
    console.print(progress.panel(replace(STATUS, evaluated=30), "Searching"))
    bar = out.getvalue().splitlines()[1]
    filled, _, rest = bar.partition("╺")
    assert filled.count("━") == 30
    assert rest.count("━") == 29


def test_plain_prints_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line when it is time and something has changed, and the last state at the end."""
    clock = iter([0.0, 1.0, 6.0, 6.0, 12.0, 12.0, 13.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with Plain("Searching") as display:
        for evaluated in (33, 34, 34, 35):
            endings = {"ok": evaluated}
            display.update(replace(STATUS, evaluated=evaluated, endings=endings))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "Searching",
        "34 of 60 evaluated",
        "35 of 60 evaluated",
    ]


def test_hidden_shows_warnings_only(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing on stdout."""
    with Hidden() as display:
        display.update(STATUS)
        display.warn("a worker was lost")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "ribosome: warning: a worker was lost\n"


def test_displays_by_name() -> None:
    """Each style has its display."""
    assert type(make_display("none", "x")) is Hidden
    assert type(make_display("plain", "x")) is Plain
    assert type(make_display("live", "x")) is Live
