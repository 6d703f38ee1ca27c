"""The simulated machine under the real master: what must come out is known beforehand."""

from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest

from ribosome.genome.errors import RunError
from ribosome.runner.config import Config
from ribosome.runner.records import Record, read_trials
from ribosome.runner.simulation.clock import EPOCH, Service
from ribosome.runner.simulation.faults import Death, Faults
from ribosome.runner.simulation.machine import SimulatedMachine
from ribosome.runner.simulation.simulate import Figures, simulate
from ribosome.runner.simulation.workload import fixed, log_normal


def config(evaluations: int, **runner: object) -> Config:
    """A search of the small space."""
    settings = {
        "space": {"name": "lenet"},
        "search": {
            "evaluations": evaluations,
            "population": 8,
            "seed": 1,
            "guided": 0,
        },
        "runner": {"gpus": "none", **runner},
    }
    return msgspec.convert(settings, Config)


def run(
    folder: Path, machine: SimulatedMachine, evaluations: int, **runner: object
) -> Figures:
    """A whole search."""
    return simulate(config(evaluations, **runner), machine, folder=folder)


def twelve_drawn(folder: Path) -> list[Record]:
    """The trials of a run in which times differ, with seeds of its own."""
    seconds = log_normal(10.0, np.random.default_rng(7))
    run(folder, SimulatedMachine(3, seconds=seconds, latency_s=0.01), 12)
    return read_trials(folder)


def test_trials_follow_one_another_without_a_gap(tmp_path: Path) -> None:
    """40 trials of 10 s by 4 workers take 100 s, not a moment more."""
    figures = run(tmp_path, SimulatedMachine(4, seconds=fixed(10.0)), 40)
    assert figures.summary.seconds == pytest.approx(100.0)
    assert figures.networks_per_s == pytest.approx(0.4)
    assert figures.utilisation == pytest.approx(1.0)
    assert figures.longest_wait_s == 0.0


def test_the_journal_is_that_of_an_ordinary_run(tmp_path: Path) -> None:
    """Every trial has one result, with the virtual times of its worker."""
    run(tmp_path, SimulatedMachine(2, seconds=fixed(10.0)), 6)
    records = read_trials(tmp_path)
    assert [record.trial for record in records] == [1, 2, 3, 4, 5, 6]
    assert all(record.ending in ("ok", "diverged") for record in records)
    assert all(record.seconds == pytest.approx(10.0) for record in records)
    began = sorted(record.started_at for record in records if record.started_at)
    expected = [EPOCH + start for start in (0, 0, 10, 10, 20, 20)]
    assert began == pytest.approx(expected)


def test_equal_seeds_give_equal_runs(tmp_path: Path) -> None:
    """Two journals are the same, times included."""
    assert twelve_drawn(tmp_path / "a") == twelve_drawn(tmp_path / "b")


def test_no_real_time_passes(tmp_path: Path) -> None:
    """Four virtual hours take less than one of them."""
    figures = run(tmp_path, SimulatedMachine(1, seconds=fixed(1800.0)), 8)
    assert figures.summary.seconds == pytest.approx(4 * 3600.0)
    assert figures.real_s < 3600.0


def test_a_queued_trial_hides_the_way_to_the_master(tmp_path: Path) -> None:
    """Messages that travel for less than a trial takes hold up no trial but the last."""
    machine = SimulatedMachine(2, seconds=fixed(1.0), latency_s=0.4)
    figures = run(tmp_path, machine, 60)
    assert figures.mean_wait_s * 58 == pytest.approx(0.8)


def test_a_long_way_to_the_master_shows_as_a_wait(tmp_path: Path) -> None:
    """With 2 s there and back and trials of 1 s, every other one waits 1 s for its turn."""
    machine = SimulatedMachine(1, seconds=fixed(1.0), latency_s=1.0)
    figures = run(tmp_path, machine, 60)
    assert figures.longest_wait_s == pytest.approx(1.0)
    assert figures.utilisation == pytest.approx(2 / 3, abs=0.02)


def test_the_time_of_the_master_limits_the_rate(tmp_path: Path) -> None:
    """At 10 ms a message the run takes as long as all of its messages together.

    A network is two of them, or three: the result of a worker without a queued trial and
    its next start are told apart.
    """
    machine = SimulatedMachine(
        50, seconds=fixed(0.1), service=Service(per_message_s=0.01)
    )
    figures = run(tmp_path, machine, 2000)
    assert figures.summary.seconds == pytest.approx(0.01 * figures.messages, rel=0.05)
    assert 1 / 0.03 < figures.networks_per_s < 1 / 0.02


def test_a_live_master_takes_the_time_that_it_computes(tmp_path: Path) -> None:
    """Trials that take no time leave nothing but the master's own CPU time."""
    machine = SimulatedMachine(4, seconds=fixed(0.0), service=Service(live=True))
    figures = run(tmp_path, machine, 300)
    assert figures.master_us > 10.0
    spent = figures.summary.session * figures.master_us / 1e6
    assert figures.summary.seconds == pytest.approx(spent, rel=0.2)


def test_a_master_without_service_time_takes_none(tmp_path: Path) -> None:
    """Trials that take no time end at time 0."""
    figures = run(tmp_path, SimulatedMachine(4, seconds=fixed(0.0)), 100)
    assert figures.summary.seconds == 0.0


def test_a_fitness_can_be_any_function_of_the_genome(tmp_path: Path) -> None:
    """What the function says is in the journal; None is a divergence."""
    machine = SimulatedMachine(
        2, seconds=fixed(1.0), fitness=lambda genome: genome[0] / 256 or None
    )
    run(tmp_path, machine, 40)
    fitness = {record.fitness for record in read_trials(tmp_path)}
    assert fitness <= {None, *(byte / 256 for byte in range(1, 256))}
    assert len(fitness) > 1


def test_a_worker_is_ready_some_time_after_its_setup(tmp_path: Path) -> None:
    """Start-up comes before the first trial."""
    machine = SimulatedMachine(3, seconds=fixed(10.0), startup_s=5.0)
    figures = run(tmp_path, machine, 9)
    assert figures.fed_s == pytest.approx(5.0)
    assert figures.summary.seconds == pytest.approx(35.0)


def test_a_worker_gets_a_message_for_each_network(tmp_path: Path) -> None:
    """Per network one each way; per worker Joined, Setup, Ready, Started, Stop, Left.

    Only the last starts, at workers with nothing queued, are not told along with a result.
    """
    machine = SimulatedMachine(4, seconds=fixed(1.0), tells_deaths=False)
    messages = run(tmp_path, machine, 400).messages
    assert 0 <= messages - (2 * 400 + 6 * 4) <= 4


def test_heartbeats_come_while_a_trial_runs(tmp_path: Path) -> None:
    """A trial of 100 s with 15 s between beats says 6 times that it is alive."""
    quiet = SimulatedMachine(1, seconds=fixed(100.0))
    beating = SimulatedMachine(1, seconds=fixed(100.0))
    without = run(tmp_path / "a", quiet, 10, heartbeat_s=0.0).messages
    beats = run(tmp_path / "b", beating, 10, heartbeat_s=60.0).messages - without
    assert beats == 10 * 6


def test_many_workers_are_all_served(tmp_path: Path) -> None:
    """Of 3,000 workers each has its share of the trials."""
    figures = run(tmp_path, SimulatedMachine(3000, seconds=fixed(100.0)), 9000)
    assert figures.summary.seconds == pytest.approx(300.0)
    shares = Counter(record.worker for record in read_trials(tmp_path))
    assert len(shares) == 3000
    assert set(shares.values()) == {3}


def test_a_machine_that_has_come_to_a_halt_is_an_error(tmp_path: Path) -> None:
    """Where nobody could answer any more, and the master waits, the simulation ends."""
    faults = Faults(deaths=(Death(1, at=15.0),))
    machine = SimulatedMachine(
        1, seconds=fixed(10.0), faults=faults, tells_deaths=False
    )
    with pytest.raises(RunError, match="come to a halt"):
        run(tmp_path, machine, 10, heartbeat_s=0.0)
