"""A batch system ends a job: SIGTERM to every process of it, in any order."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from run_kit import RealRun, killed_at_the_end, processes_with, wait_until

from ribosome.runner.records import read_trials
from ribosome.runner.spare import RUNNING

SETTINGS = (
    'task.data="digits"',
    "runner.workers=2",
    "training.max_iterations=100000",
    "training.time_limit_s=1000",
    "search.evaluations=8",
)


def name(pid: int) -> str:
    """A process's name; empty for one that is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def training(run: RealRun) -> set[str]:
    """The names of the folders in which networks train."""
    logs = run.folder.glob("trials/*/log.txt")
    return {log.parent.name for log in logs if "first_iteration" in log.read_text()}


def terminate(pids: list[int]) -> None:
    """SIGTERM to processes, in this order."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


@pytest.mark.parametrize("order", ["old first", "young first", "trainers first"])
def test_networks_are_not_charged_with_it(tmp_path: Path, order: str) -> None:
    """What ran has no result, and is done again by --resume; nothing runs any more."""
    pytest.importorskip("torch")
    run = RealRun(tmp_path / "run", f"terminated-{tmp_path}")
    process = run.start(*SETTINGS, evaluator="trial")
    with killed_at_the_end(process):
        wait_until(lambda: len(training(run)) == 2 or process.poll() is not None)
        assert process.poll() is None, process.communicate()[1]
        pids = sorted(processes_with(run.marker), reverse=order == "young first")
        if order == "trainers first":
            first = training(run)
            terminate([pid for pid in pids if name(pid) == RUNNING])
            wait_until(lambda: len(training(run) - first) == 2)
            pids = processes_with(run.marker)
        terminate(pids)
        process.wait(30)
    assert run.left_behind() == []
    records = read_trials(run.folder)
    assert len(records) >= 2
    assert {record.ending for record in records} == {None}
