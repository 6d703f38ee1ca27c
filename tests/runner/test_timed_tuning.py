"""A tuning phase of a fixed time, on machines that are simulated."""

from pathlib import Path

import pytest
from tuning_kit import SEARCHED, tuned, tuned_config

from ribosome.runner.observer import Silent
from ribosome.runner.records import read_trials
from ribosome.runner.resume import open_run
from ribosome.runner.simulation.faults import Death, Faults
from ribosome.runner.simulation.machine import SimulatedMachine
from ribosome.runner.simulation.simulate import simulate


def simulated(folder: Path, workers: int, **how: object) -> float | None:
    """A run in which trials take 10 s; the share of time in which workers were busy."""
    faults = how.pop("faults", Faults())
    config = tuned_config(**how)  # type: ignore[arg-type]
    machine = SimulatedMachine(
        workers,
        seconds=lambda _: 10.0,
        faults=faults,  # type: ignore[arg-type]
    )
    return simulate(config, machine, folder=folder).utilisation


@pytest.mark.parametrize("workers", [1, 4])
def test_the_phase_ends_with_its_time(tmp_path: Path, workers: int) -> None:
    """Workers are busy until then, and what runs comes to its end."""
    simulated(tmp_path / "run", workers, tune={"time_s": 200.0})
    trials = tuned(read_trials(tmp_path / "run"))
    begun = [trial.started_at or 0.0 for trial in trials]
    assert max(begun) - min(begun) <= 200.0 + 10.0
    assert 20 * workers <= len(trials) <= 22 * workers
    assert {trial.ending for trial in trials} <= {"ok", "diverged"}


def test_time_that_is_spent_is_not_given_again(tmp_path: Path) -> None:
    """A run whose phase has had its time has ended; with more time it goes on."""
    run = tmp_path / "run"
    simulated(run, 4, tune={"time_s": 200.0})
    for seconds, left in ((200.0, 0), (300.0, 1)):
        config = tuned_config(tune={"time_s": seconds})
        opened = open_run(config, run, resume=True, observer=Silent(), trains=False)
        assert (opened.program.left, opened.program.done) == (left, not left)
        opened.journal.close()


def test_simulated_workers_draw_as_real_ones(tmp_path: Path) -> None:
    """A machine of many workers, some of which die, tunes to the end."""
    deaths = tuple(Death(worker, 12.0 + worker, 5.0) for worker in range(1, 6))
    simulated(tmp_path / "run", 20, faults=Faults(deaths=deaths))
    records = read_trials(tmp_path / "run")
    assert len(records) == SEARCHED + 60
    assert all(record.genome for record in records)
