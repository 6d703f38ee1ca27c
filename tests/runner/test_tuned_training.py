"""Tuning with processes: the real trainer, local workers, and ranks."""

import os
import re
from pathlib import Path

import pytest
from run_kit import RealRun

from ribosome.genome.codec import from_text
from ribosome.genome.decode import decode
from ribosome.genome.hyperparameters import space_of
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS
from ribosome.runner.journal import Journal
from ribosome.runner.launch import find_mpiexec
from ribosome.runner.records import Record, read_trials


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> RealRun:
    """A run folder that does not exist yet."""
    name = request.node.name
    return RealRun(tmp_path / "run", f"RUN_MARKER={name}-{os.getpid()}")


def iterations(run: RealRun, record: Record) -> int:
    """The last iteration that a trial's log has."""
    log = (run.folder / "trials" / str(record.trial) / "log.txt").read_text()
    return max(int(number) for number in re.findall(r"iteration=(\d+)", log))


def test_what_was_drawn_is_trained(run: RealRun) -> None:
    """By the limits of [tune]; the network is the one of the genome in the journal."""
    pytest.importorskip("torch")
    summary = run.finish(
        "search.evaluations=2",
        "search.confirm=1",
        "training.max_iterations=2",
        "tune.evaluations=3",
        "tune.max_iterations=5",
        'runner.keep_trials="all"',
        evaluator="trial",
    )
    records = read_trials(run.folder)
    assert summary["evaluated"] == len(records)
    space = load_space("lenet")
    lasts = {"search": set(), "tune": set()}
    for record in records:
        if record.ending != "ok":
            continue
        lasts["tune" if record.model else "search"].add(iterations(run, record))
        own = space_of(space, record.genome)
        model = decode(own, from_text(own, record.genome), DIGITS)
        emitted = run.folder / "trials" / str(record.trial) / "network.py"
        assert f"base_lr={model.solver.base_lr!r}".split("=")[1] in emitted.read_text()
    assert [record.phase for record in records].count("tune") == 3
    assert len(lasts["search"]) == len(lasts["tune"]) == 1
    assert lasts["tune"].pop() == lasts["search"].pop() + 3
    assert run.left_behind() == []


def test_ranks_tune_as_local_workers_do(run: RealRun, tmp_path: Path) -> None:
    """With one worker the trials of both are equal, while drawing is at random."""
    pytest.importorskip("mpi4py")
    options = (
        "search.evaluations=10",
        "search.confirm=2",
        "tune.evaluations=12",
        "tune.random=1.0",
        "runner.workers=1",
    )
    local = RealRun(tmp_path / "local", run.marker)
    local.finish(*options, evaluator="noop")
    run.finish(*options, launcher=(find_mpiexec(), "-n", "2"), evaluator="noop")
    trials = [
        [(r.trial, r.genome, r.phase, r.model, r.parents) for r in read_trials(folder)]
        for folder in (run.folder, local.folder)
    ]
    assert trials[0] == trials[1]
    assert len(trials[0]) == 10 + 4 + 12 + 4


def test_a_run_that_has_ended_is_tuned_over_ranks(run: RealRun) -> None:
    """Models are sent to every rank: what was drawn by one is what anybody draws."""
    pytest.importorskip("mpi4py")
    run.finish("search.evaluations=6", evaluator="noop")
    launcher = (find_mpiexec(), "-n", "3")
    options = (
        "search.evaluations=6",
        "tune.evaluations=400",
        "tune.random=0.05",
        "tune.rounds=1",
        "tune.among=1",
    )
    run.finish("--resume", *options, launcher=launcher, evaluator="noop:0.02")
    records = read_trials(run.folder)
    assert len(records) == 6 + 400
    journal = Journal(run.folder)
    models = journal.models()
    journal.close()
    assert {record.model for record in records if record.phase == "tune"} == {
        model.number for model in models
    }
