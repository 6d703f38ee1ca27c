"""A worker with trainers that do what they should not: every trial ends, and as its kind.

One worker runs all of it, one trial after the other, warm and cold: what one of them does
must not reach the next.
"""

import os
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import misbehaving
import misbehaving_backend
import msgspec
import numpy as np
import pytest
from misbehaving import BEHAVIOURS, Behaviour
from staging_kit import make_source
from trial_kit import marked

from ribosome.backends.data import DataInfo
from ribosome.genome.codec import pack
from ribosome.genome.space_file import load_space
from ribosome.runner import trial_evaluator
from ribosome.runner.config import Config, RunnerConfig
from ribosome.runner.messages import (
    GivenBack,
    Left,
    Result,
    Setup,
    Stop,
    Work,
    decode_report,
    encode,
)
from ribosome.runner.verdict import MESSAGE_LIMIT
from ribosome.runner.worker import Worker
from ribosome.search.variation import draw

SPACE = load_space("menndl")
GENOME = pack(SPACE, draw(SPACE.groups, np.random.default_rng(1)))
DATA = DataInfo("", "squares", 1, 12, 12, 3, train=30, val=30)
KEPT = ["deep/network.txt", "log.txt"]


@dataclass(slots=True)
class Fire:
    """What became of one trial of every kind, by the name of what it did."""

    folder: Path
    precious: Path
    names: list[str]
    results: dict[str, Result] = field(default_factory=dict)
    reason: str | None = None

    def trial(self, name: str) -> Path:
        """The folder of a trial."""
        return self.folder / "trials" / str(self.names.index(name) + 1)

    def files(self, name: str) -> list[str]:
        """What stands in the folder of a trial, as paths in it."""
        folder = self.trial(name)
        return sorted(
            str(path.relative_to(folder))
            for path in folder.rglob("*")
            if not path.is_dir()
        )


class Master:
    """An endpoint that hands out a trial once the one before has ended."""

    def __init__(self, setup: Setup, fire: Fire) -> None:
        self._fire = fire
        self._messages = deque[bytes]([encode(setup)])
        self._next = iter(enumerate(fire.names, start=1))
        self._hand_out()

    def fileno(self) -> None:
        """Nothing to wait on."""

    def receive(self) -> list[bytes]:
        """What there is."""
        messages = list(self._messages)
        self._messages.clear()
        return messages

    def send(self, data: bytes) -> None:
        """Take a report."""
        for event in decode_report(data).events:
            if isinstance(event, GivenBack):
                # As the master has it after the second time.
                event = Result(event.trial, "crashed", message=event.message)
            if isinstance(event, Result):
                self._fire.results[self._fire.names[event.trial - 1]] = event
                self._hand_out()
            elif isinstance(event, Left):
                self._fire.reason = event.reason

    def _hand_out(self) -> None:
        number, name = next(self._next, (0, ""))
        if name:
            # The backend asks for it when the trial is launched, here in this process.
            os.environ[misbehaving_backend.STORM] = name
            self._messages.append(encode(Work(number, GENOME, number, 0.5)))
        else:
            self._messages.append(encode(Stop()))


@pytest.fixture(scope="module", params=["warm", "cold"])
def fire(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fire]:
    """All of it, by one worker; a good trial is the last."""
    folder = tmp_path_factory.mktemp("run")
    precious = tmp_path_factory.mktemp("precious")
    (precious / "thesis").write_text("years of work")
    data = replace(
        DATA, folder=str(make_source(tmp_path_factory.mktemp("data") / "data"))
    )
    fire = Fire(folder, precious, [*BEHAVIOURS, "ok"])
    runner = RunnerConfig(
        warm_start=request.param == "warm",
        gpus="none",
        stall_limit_s=3.0,
        wall_limit_s=6.0,
        log_limit_mb=4,
    )
    setup = Setup(msgspec.json.encode(Config(runner=runner)), str(folder), 1)
    variables = misbehaving_backend.environment(folder, precious, "ok")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.setenv("FIRE_MARKER", str(folder))
        backend = misbehaving_backend.Misbehaving()
        patch.setattr(trial_evaluator, "backend", lambda _: backend)
        patch.setattr(trial_evaluator, "find_data", str)
        patch.setattr(trial_evaluator, "read_info", lambda _: data)
        Worker(Master(setup, fire)).run()
        yield fire


each = pytest.mark.parametrize(
    ("name", "behaviour"), BEHAVIOURS.items(), ids=BEHAVIOURS
)


@each
def test_every_trial_ends_as_its_kind(
    fire: Fire, name: str, behaviour: Behaviour
) -> None:
    """Whatever a trainer does, its trial has the ending that stands in the table."""
    result = fire.results[name]
    assert result.ending == behaviour.ending, result.message
    assert (result.fitness is None) == (behaviour.ending != "ok")


def test_the_worker_outlives_all_of_it(fire: Fire) -> None:
    """A good trial after all the others is ok, and the worker leaves in good order."""
    assert fire.results["ok"].ending == "ok"
    assert fire.reason == ""


def test_no_process_is_left(fire: Fire) -> None:
    """Daemons, children in sessions of their own and servers are gone."""
    assert marked(str(fire.folder), servers=True) == []


def test_a_link_is_not_followed(fire: Fire) -> None:
    """What a trainer's link leads to is as it was."""
    assert [path.name for path in fire.precious.iterdir()] == ["thesis"]
    assert (fire.precious / "thesis").read_text() == "years of work"


def test_no_link_is_left(fire: Fire) -> None:
    """A link in the place of a folder is removed, also of a failure."""
    assert not [p for p in (fire.folder / "trials").iterdir() if p.is_symlink()]


@each
def test_failures_keep_what_explains_them(
    fire: Fire, name: str, behaviour: Behaviour
) -> None:
    """Of a failure our files and the log stay, and nothing that the trainer made."""
    if behaviour.ending == "ok" or name.startswith("links"):
        return
    assert fire.files(name) == KEPT


@each
def test_failures_say_where_and_why(
    fire: Fire, name: str, behaviour: Behaviour
) -> None:
    """The message begins with worker and host, and is one line of bounded length."""
    message = fire.results[name].message
    if behaviour.ending == "ok":
        assert message == ""
        return
    assert re.match(r"worker 1 on \S+: \S", message)
    assert len(message) <= MESSAGE_LIMIT
    assert message.isprintable()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("raises", "exit code 1: ValueError: no such luck at 0x"),
        ("raises_in_generated", "IndexError: list index out of range (network.py:2)"),
        ("sigkill", "killed by signal 9 (SIGKILL): last words"),
        ("segfaults", "killed by signal 11 (SIGSEGV)"),
        ("finishes_then_crashes", "killed by signal 11 (SIGSEGV)"),
        ("leaves_at_once", "the trainer ended without a validation"),
        ("host_memory", "MemoryError (misbehaving.py:"),
        (
            "runs_away",
            "it printed more than 4 MiB (runner.log_limit_mb); its log ends:",
        ),
        ("hangs", "no line of log for 3 s; its log ends: alive"),
        ("stops_itself", "no line of log for 3 s; its log ends: good night"),
        ("ticks_forever", "not done after 6 s; its log ends: tick"),
        ("nan_loss", "the loss is nan at iteration 4"),
        ("kills_its_parent", "the process that forks trainers died (signal 9)"),
    ],
)
def test_messages_name_the_cause(fire: Fire, name: str, words: str) -> None:
    """What went wrong is told in the trainer's own last words."""
    assert words in fire.results[name].message


def test_a_runaway_log_stays_small(fire: Fire) -> None:
    """On the disk is no more than the limit."""
    assert (fire.trial("runs_away") / "log.txt").stat().st_size < 5 << 20


def test_every_kind_of_ending_is_there() -> None:
    """The kit has something for every ending that a trainer can bring about."""
    found = {misbehaving.ending_of(name) for name in [*BEHAVIOURS, "ok"]}
    assert found == {
        *("ok", "diverged", "invalid", "out_of_memory", "timeout", "crashed")
    }
