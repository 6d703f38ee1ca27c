"""Failures, deaths and silences of simulated workers: the real master loses nothing."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest
from run_kit import Recorder

from ribosome.genome.errors import RunError
from ribosome.runner.config import Config
from ribosome.runner.records import Record, read_trials
from ribosome.runner.simulation.clock import EPOCH
from ribosome.runner.simulation.faults import Death, Faults, Pause, random_deaths
from ribosome.runner.simulation.machine import SimulatedMachine
from ribosome.runner.simulation.simulate import simulate
from ribosome.runner.simulation.workload import fixed, log_normal


def run(
    folder: Path,
    workers: int,
    faults: Faults,
    *,
    evaluations: int = 60,
    heartbeat_s: float = 60.0,
    quarantine: int = 0,
    tells_deaths: bool = True,
) -> tuple[list[Record], list[str]]:
    """Search with trials of 10 s on workers with faults; the trials and the warnings."""
    config = msgspec.convert(
        {
            "space": {"name": "lenet"},
            "search": {"evaluations": evaluations, "population": 8, "guided": 0},
            "runner": {
                "gpus": "none",
                "heartbeat_s": heartbeat_s,
                "quarantine": quarantine,
            },
        },
        Config,
    )
    machine = SimulatedMachine(
        workers,
        seconds=fixed(10.0),
        faults=faults,
        tells_deaths=tells_deaths,
        rng=np.random.default_rng(3),
    )
    observer = Recorder()
    simulate(config, machine, folder=folder, observer=observer)
    return read_trials(folder), observer.warnings


def tells(folder: Path) -> list[int]:
    """The order of the results in the run's sequence of asks and tells."""
    with closing(sqlite3.connect(folder / "journal.sqlite")) as database:
        rows = database.execute("SELECT asked, told FROM trials").fetchall()
    return sorted(step for row in rows for step in row)


def assert_complete(records: list[Record], folder: Path, count: int = 60) -> None:
    """Each trial has one row, one ask and one tell."""
    assert [record.trial for record in records] == list(range(1, count + 1))
    assert all(record.ending for record in records)
    assert tells(folder) == list(range(1, 2 * count + 1))


def test_as_many_trials_fail_as_was_said(tmp_path: Path) -> None:
    """Shares of endings, within four standard deviations of 1,000 trials."""
    faults = Faults(endings={"crashed": 0.2, "timeout": 0.1})
    records, _ = run(tmp_path, 10, faults, evaluations=1000)
    endings = Counter(record.ending for record in records)
    assert endings["crashed"] == pytest.approx(200, abs=51)
    assert endings["timeout"] == pytest.approx(100, abs=38)
    failed = [record for record in records if record.ending in faults.endings]
    assert all(record.seconds < 10.0 for record in failed if record.seconds is not None)


def test_a_dead_worker_s_trial_is_done_by_another(tmp_path: Path) -> None:
    """Worker 2 dies for good in its first trial; its two trials end elsewhere."""
    records, warnings = run(tmp_path, 3, Faults(deaths=(Death(2, at=5.0),)))
    assert_complete(records, tmp_path)
    assert {record.worker for record in records} == {1, 3}
    assert sum("worker 2" in warning for warning in warnings) == 1


def test_a_worker_that_is_replaced_works_again(tmp_path: Path) -> None:
    """Worker 2 is back 20 s after its death, and trains from then on."""
    faults = Faults(deaths=(Death(2, at=5.0, back_after=20.0),))
    records, _ = run(tmp_path, 3, faults)
    assert_complete(records, tmp_path)
    times = [record.started_at for record in records if record.worker == 2]
    assert times
    assert min(time or 0.0 for time in times) == pytest.approx(EPOCH + 25.0)


def test_a_trial_that_two_workers_died_of_is_lost(tmp_path: Path) -> None:
    """Trial 1 runs at 0 and again at 6; with the second death it has its ending."""
    faults = Faults(deaths=(Death(1, 5.0, 1.0), Death(1, 8.0, 1.0)))
    records, _ = run(tmp_path, 1, faults, evaluations=10)
    assert_complete(records, tmp_path, 10)
    assert records[0].ending == "lost"
    assert all(record.ending != "lost" for record in records[1:])


def test_a_death_that_nobody_tells_of_is_found_by_silence(tmp_path: Path) -> None:
    """A heartbeat time-out of 60 s costs that time for two trials, and no more."""
    faults = Faults(deaths=(Death(2, at=5.0),))
    records, warnings = run(tmp_path, 3, faults, tells_deaths=False)
    assert_complete(records, tmp_path)
    assert any("worker 2" in warning and "silent" in warning for warning in warnings)
    ends = [record.finished_at for record in records if record.finished_at]
    assert max(ends) < EPOCH + 60 * 10.0 / 2 + 60.0


def test_a_worker_that_was_stopped_and_comes_back_works_on(tmp_path: Path) -> None:
    """Silent for 100 s: its trials go to others, its answer comes late, nothing is doubled."""
    faults = Faults(pauses=(Pause(2, at=25.0, seconds=100.0),))
    records, warnings = run(tmp_path, 3, faults, tells_deaths=False)
    assert_complete(records, tmp_path)
    assert any("worker 2" in warning and "silent" in warning for warning in warnings)
    late = [record for record in records if record.worker == 2]
    assert any((record.started_at or 0.0) > EPOCH + 125.0 for record in late)


def test_a_short_stop_goes_unnoticed(tmp_path: Path) -> None:
    """A pause that is shorter than the limit of silence delays a trial, no more."""
    faults = Faults(pauses=(Pause(2, at=25.0, seconds=30.0),))
    records, warnings = run(tmp_path, 3, faults, tells_deaths=False)
    assert_complete(records, tmp_path)
    assert warnings == []
    assert max(record.seconds or 0.0 for record in records) == pytest.approx(35.0)


def test_a_silent_local_worker_is_replaced(tmp_path: Path) -> None:
    """Where workers can be ended, one that is stopped is, and another has its number."""
    faults = Faults(pauses=(Pause(2, at=25.0, seconds=1e6),))
    records, _ = run(tmp_path, 3, faults)
    assert_complete(records, tmp_path)
    late = [record for record in records if record.worker == 2]
    assert any((record.started_at or 0.0) > EPOCH + 80.0 for record in late)


def test_an_answer_that_comes_twice_counts_once(tmp_path: Path) -> None:
    """Half of the reports are repeated, and the journal shows none of it."""
    records, warnings = run(tmp_path, 3, Faults(repeated=0.5))
    assert_complete(records, tmp_path)
    assert len(warnings) == 1


def test_a_run_without_workers_ends(tmp_path: Path) -> None:
    """If all die for good the run ends with an error that says so."""
    faults = Faults(deaths=tuple(Death(worker, 5.0) for worker in (1, 2, 3)))
    with pytest.raises(RunError, match="no worker is left"):
        run(tmp_path, 3, faults)


def test_deaths_come_at_the_rate_of_a_mean_life() -> None:
    """1,000 workers that live 10 hours in the mean: about 100 deaths in an hour."""
    deaths = random_deaths(
        1000,
        until=3600.0,
        mean_life_s=36_000.0,
        back_after=None,
        rng=np.random.default_rng(1),
    )
    assert len(deaths) == pytest.approx(100, abs=40)
    assert all(1 <= d.worker <= 1000 and 0 <= d.at < 3600.0 for d in deaths)
    assert [d.at for d in deaths] == sorted(d.at for d in deaths)


def test_faults_that_are_drawn_need_a_generator() -> None:
    """A share without a source of chance is a mistake of the caller's."""
    with pytest.raises(ValueError, match="rng"):
        SimulatedMachine(1, seconds=fixed(1.0), faults=Faults(repeated=0.5))


@pytest.mark.parametrize("tells_deaths", [True, False])
def test_a_storm_is_survived_and_repeats_itself(
    tmp_path: Path, tells_deaths: bool
) -> None:
    """Everything at once, on 200 workers: complete, and the same for the same seed.

    The count of those that have a trial is right to the end.
    """
    journals = []
    for name in ("a", "b"):
        rng = np.random.default_rng(5)
        faults = Faults(
            endings={"crashed": 0.15, "timeout": 0.1, "out_of_memory": 0.05},
            repeated=0.05,
            deaths=random_deaths(
                200, until=100.0, mean_life_s=1000.0, back_after=5.0, rng=rng
            ),
            pauses=tuple(Pause(n, 30.0 + n, 10.0 * n) for n in range(1, 20)),
        )
        config = msgspec.convert(
            {
                "space": {"name": "lenet"},
                "search": {"evaluations": 2000, "population": 8, "guided": 0},
                "runner": {"gpus": "none", "heartbeat_s": 30.0},
            },
            Config,
        )
        machine = SimulatedMachine(
            200,
            seconds=log_normal(10.0, rng),
            faults=faults,
            tells_deaths=tells_deaths,
            latency_s=0.05,
            rng=rng,
        )
        observer = Recorder()
        simulate(config, machine, folder=tmp_path / name, observer=observer)
        assert all(0 <= now.running <= now.workers for now in observer.statuses)
        assert observer.statuses[-1].running == 0
        journals.append(read_trials(tmp_path / name))
        assert_complete(journals[-1], tmp_path / name, 2000)
    assert journals[0] == journals[1]
