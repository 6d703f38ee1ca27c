"""Whole runs with local workers: refusals, resuming, kills and interruptions."""

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from run_kit import TIMES, RealRun, killed_at_the_end, wait_until

from ribosome.genome.errors import RunError
from ribosome.runner.config import load_config
from ribosome.runner.records import Record, read_trials
from ribosome.runner.schema import FILE

KILLS = 20


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> RealRun:
    """A run folder that does not exist yet."""
    name = request.node.name
    return RealRun(tmp_path / "run", f"RUN_MARKER={name}-{os.getpid()}")


def told(folder: Path) -> dict[int, Record]:
    """The trials that have a result."""
    try:
        return {record.trial: record for record in read_trials(folder) if record.ending}
    except RunError:
        return {}


def count(folder: Path) -> int:
    """The number of results, read without the rest: a look that costs little."""
    try:
        with closing(
            sqlite3.connect(f"{(folder / FILE).as_uri()}?mode=ro", uri=True)
        ) as db:
            query = "SELECT count(*) FROM trials WHERE ending IS NOT NULL"
            return int(db.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def timeless(folder: Path) -> list[dict[str, object]]:
    """The trials without their times."""
    rows = [msgspec.structs.asdict(record) for record in read_trials(folder)]
    return [{key: row[key] for key in row if key not in TIMES} for row in rows]


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL, and take it away."""
    process.kill()
    process.communicate()


def test_a_run_comes_to_its_end(run: RealRun) -> None:
    """All evaluations are there, the summary counts them, and no process is left."""
    summary = run.finish()
    trials = told(run.folder)
    best = max(trials.values(), key=lambda record: record.fitness or 0.0)
    assert (len(trials), summary["evaluated"], summary["session"]) == (40, 40, 40)
    assert summary["best"] == {
        "trial": best.trial,
        "fitness": best.fitness,
        "genome": best.genome,
        "confirmed": None,
    }
    assert run.left_behind() == []


def test_the_resolved_config_starts_the_same_run(run: RealRun) -> None:
    """config.toml in the run folder is a config file with every value written out."""
    run.finish("search.evaluations=4")
    config = load_config(run.folder / "config.toml")
    assert (config.search.evaluations, config.space.name) == (4, "lenet")


def test_a_run_is_not_written_over(run: RealRun) -> None:
    """A second start without --resume is refused, and changes nothing."""
    run.finish("search.evaluations=4")
    before = timeless(run.folder)
    process = run.start("search.evaluations=4")
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "holds a run already; go on with it by --resume" in errors
    assert timeless(run.folder) == before


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("search.seed=2", "search.seed was 1 when the run began and is now 2"),
        ('space.name="menndl"', "space.name was 'lenet' .* is now 'menndl'"),
        ("training.max_iterations=5", "training.max_iterations was 300 .* is now 5"),
    ],
)
def test_a_resume_with_other_settings_is_refused(
    run: RealRun, setting: str, says: str
) -> None:
    """The error names the key and both values."""
    run.finish("search.evaluations=4")
    process = run.start("search.evaluations=4", "--resume", setting)
    with killed_at_the_end(process):
        assert process.stderr is not None
        (line,) = process.stderr.read().splitlines()
    assert re.search(says, line)


def test_a_run_can_be_made_longer(run: RealRun) -> None:
    """More evaluations and other workers go on with the same run."""
    run.finish("search.evaluations=10")
    summary = run.finish("--resume", "search.evaluations=20", "runner.workers=1")
    assert (summary["evaluated"], summary["session"]) == (20, 10)


def test_nothing_to_resume_is_a_new_run(run: RealRun) -> None:
    """--resume in an empty folder starts one."""
    assert run.finish("--resume", "search.evaluations=4")["evaluated"] == 4


def test_a_second_master_is_refused(run: RealRun) -> None:
    """The error names the process that has the run."""
    first = run.start(evaluator="noop:30")
    with killed_at_the_end(first):
        wait_until(lambda: (run.folder / FILE).exists())
        wait_until(lambda: "pid" in (run.folder / "lock").read_text())
        second = run.start("--resume")
        _, errors = second.communicate()
    assert second.returncode == 1
    assert f"pid {first.pid}," in errors
    assert len(errors.splitlines()) == 1


def test_twenty_kills_lose_and_repeat_nothing(run: RealRun) -> None:
    """SIGKILL of the master at 20 random moments, then --resume: every finished
    evaluation is kept as it was, none is counted twice, all are there in the end."""
    moments = random.Random(1)
    steps = sorted(moments.sample(range(2, 160), KILLS))
    size = "search.evaluations=160"
    before: dict[int, Record] = {}
    for number, step in enumerate(steps):
        process = run.start(size, "--resume")
        if number % 4 == 0:
            time.sleep(moments.uniform(0.0, 0.6))
        else:
            wait_until(lambda step=step: count(run.folder) >= step)
            time.sleep(moments.uniform(0.0, 0.01))
        kill(process)
        after = told(run.folder)
        assert {trial: after.get(trial) for trial in before} == before
        before = after
    summary = run.finish(size, "--resume")
    assert (summary["evaluated"], summary["session"]) == (160, 160 - len(before))
    assert sorted(told(run.folder)) == list(range(1, 161))
    assert run.left_behind() == []


def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    run: RealRun, tmp_path: Path
) -> None:
    """With one worker, the journal after three kills equals that of a whole run."""
    options = ("search.evaluations=50", "runner.workers=1")
    whole = RealRun(tmp_path / "whole", run.marker)
    whole.finish(*options, evaluator="noop")
    for step in (3, 17, 34):
        process = run.start(*options, "--resume")
        wait_until(lambda step=step: count(run.folder) >= step)
        kill(process)
    run.finish(*options, "--resume")
    assert timeless(run.folder) == timeless(whole.folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(run: RealRun, number: int) -> None:
    """Ctrl-C: exit code 130, the line to resume with, the journal closed, no process."""
    process = run.start(evaluator="noop:0.05")
    with killed_at_the_end(process):
        wait_until(lambda: count(run.folder) >= 3)
        os.killpg(process.pid, number)
        _, errors = process.communicate()
    config = run.folder / "config.toml"
    assert process.returncode == 130
    assert f"ribosome search {config} -o {run.folder} --resume" in errors
    assert len(errors.splitlines()) == 1
    assert not (run.folder / f"{FILE}-wal").exists()
    assert run.left_behind() == []


def test_an_interrupted_trial_is_tried_again(run: RealRun) -> None:
    """Interrupted in its first trials, a resumed run begins with those, seeds unchanged."""
    process = run.start(evaluator="noop:30")
    with killed_at_the_end(process):
        wait_until(lambda: (run.folder / FILE).exists() and _started(run.folder))
        before = [record.genome for record in read_trials(run.folder)]
        process.send_signal(signal.SIGINT)
        process.communicate()
    run.finish("--resume")
    after = [record.genome for record in read_trials(run.folder)]
    assert after[: len(before)] == before


def _started(folder: Path) -> bool:
    try:
        return any(record.started_at for record in read_trials(folder))
    except RunError:
        return False


def test_the_workers_of_a_killed_master_end(run: RealRun) -> None:
    """No worker outlives a master that was killed."""
    process = run.start(evaluator="noop:30")
    wait_until(lambda: (run.folder / FILE).exists() and _started(run.folder))
    kill(process)
    assert run.left_behind() == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A run folder below a file is refused in one line."""
    (tmp_path / "file").write_text("")
    run = RealRun(tmp_path / "file" / "run", "")
    process = run.start()
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "cannot be made" in errors
    assert json.dumps(errors).count("\\n") == 1
