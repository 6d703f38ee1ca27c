"""Whole runs over MPI, with the real mpiexec."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from run_kit import PROGRAM, RealRun, killed_at_the_end, wait_until

from ribosome.genome.errors import RunError
from ribosome.runner.mpi import join_world
from ribosome.runner.records import read_trials
from ribosome.runner.schema import FILE


@pytest.fixture(scope="session")
def mpiexec() -> str:
    """The mpiexec beside this Python."""
    beside = Path(sys.executable).with_name("mpiexec")
    if not beside.exists():
        pytest.skip("no mpiexec beside this Python: pip install mpich")
    return str(beside)


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> RealRun:
    """A run folder that does not exist yet."""
    name = request.node.name
    return RealRun(tmp_path / "run", f"RUN_MARKER={name}-{os.getpid()}")


def told(folder: Path) -> int:
    """The number of trials that have a result."""
    try:
        return sum(record.ending is not None for record in read_trials(folder))
    except RunError:
        return 0


def test_a_run_over_mpi_comes_to_its_end(run: RealRun, mpiexec: str) -> None:
    """Three ranks are a master and two workers, and both work."""
    summary = run.finish(launcher=(mpiexec, "-n", "3"))
    trials = read_trials(run.folder)
    assert summary["evaluated"] == 40
    assert {record.worker for record in trials} == {1, 2}
    assert run.left_behind() == []


def test_both_transports_give_the_same_run(
    run: RealRun, mpiexec: str, tmp_path: Path
) -> None:
    """With one worker the trials of both are equal."""
    local = RealRun(tmp_path / "local", run.marker)
    local.finish("runner.workers=1", evaluator="noop")
    run.finish(launcher=(mpiexec, "-n", "2"), evaluator="noop")
    trials = [
        [
            (record.genome, record.fitness, record.parents)
            for record in read_trials(folder)
        ]
        for folder in (run.folder, local.folder)
    ]
    assert trials[0] == trials[1]


def test_a_run_goes_on_from_one_transport_to_the_other(
    run: RealRun, mpiexec: str
) -> None:
    """What began with local workers ends over MPI."""
    run.finish("search.evaluations=10")
    summary = run.finish("--resume", launcher=(mpiexec, "-n", "3"))
    assert (summary["evaluated"], summary["session"]) == (40, 30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(
    run: RealRun, mpiexec: str, number: int
) -> None:
    """Ctrl-C at mpiexec: exit code 130, the line to resume with, no process left."""
    process = run.start(launcher=(mpiexec, "-n", "3"), evaluator="noop:0.05")
    with killed_at_the_end(process):
        wait_until(lambda: told(run.folder) >= 3)
        process.send_signal(number)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert f"-o {run.folder} --resume" in errors
    assert "Traceback" not in errors
    assert not (run.folder / f"{FILE}-wal").exists()
    assert run.left_behind() == []


def test_a_killed_master_takes_the_ranks_along(run: RealRun, mpiexec: str) -> None:
    """SIGKILL of rank 0 ends the whole job, and --resume goes on with it."""
    launcher = (mpiexec, "-n", "3")
    process = run.start(launcher=launcher)
    with killed_at_the_end(process):
        wait_until(lambda: told(run.folder) >= 5)
        os.kill(_holder(run.folder), signal.SIGKILL)
        process.communicate()
    assert process.returncode != 0
    assert run.left_behind() == []
    before = told(run.folder)
    summary = run.finish("--resume", launcher=launcher)
    assert (summary["evaluated"], summary["session"]) == (40, 40 - before)


def _holder(folder: Path) -> int:
    """The pid in the run's lock."""
    found = re.search(r"pid (\d+)", (folder / "lock").read_text())
    assert found is not None
    return int(found[1])


def test_a_refused_run_ends_all_ranks(run: RealRun, mpiexec: str) -> None:
    """An error of the master before the first trial: one line, and nobody waits."""
    run.finish("search.evaluations=4")
    process = run.start(launcher=(mpiexec, "-n", "3"))
    with killed_at_the_end(process):
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "holds a run already" in errors
    assert run.left_behind() == []


def test_a_mismatched_mpiexec_is_named(run: RealRun) -> None:
    """Ranks that are each alone in their world: one says what to do, the rest are silent."""
    outputs = []
    for rank in ("0", "1", "2"):
        environment = {**os.environ, "OMPI_COMM_WORLD_SIZE": "3"}
        environment["OMPI_COMM_WORLD_RANK"] = rank
        outputs.append(
            subprocess.run(
                [sys.executable, "-P", PROGRAM, str(run.folder), "noop"],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
        )
    assert [output.returncode for output in outputs] == [1, 1, 1]
    assert "mpiexec started 3 processes, but each is alone" in outputs[0].stderr
    assert [output.stderr for output in outputs[1:]] == ["", ""]
    assert not run.folder.exists()


def test_an_empty_world_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A size of 0 left in the environment is no launch by mpiexec."""
    monkeypatch.setenv("PMI_SIZE", "0")
    assert join_world() is None


def test_an_mpi_library_that_does_not_load_is_named(run: RealRun) -> None:
    """Under mpiexec without a usable MPI library the error says what to install."""
    environment = {**os.environ, "OMPI_COMM_WORLD_SIZE": "3"}
    environment["MPI4PY_LIBMPI"] = "/nowhere/libmpi.so"
    done = subprocess.run(
        [sys.executable, "-P", PROGRAM, str(run.folder), "noop"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "mpi4py does not load" in done.stderr
    assert len(done.stderr.splitlines()) == 1
