"""The times of simulated trials."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from ribosome.genome.errors import RunError
from ribosome.runner.config import Config
from ribosome.runner.simulation.machine import SimulatedMachine
from ribosome.runner.simulation.simulate import simulate
from ribosome.runner.simulation.workload import Seconds, as_in, fixed, log_normal

CONFIG = msgspec.convert(
    {"space": {"name": "lenet"}, "search": {"evaluations": 20, "population": 8}}, Config
)


def drawn(seconds: Seconds, count: int = 20_000) -> list[float]:
    """As many times as that."""
    return [seconds(b"genome") for _ in range(count)]


def test_log_normal_has_the_mean_and_spread_that_were_asked_for() -> None:
    """Mean 172.8 s and a standard deviation of half of it, within 2 %."""
    times = np.array(drawn(log_normal(172.8, np.random.default_rng(1), spread=0.5)))
    assert times.mean() == pytest.approx(172.8, rel=0.02)
    assert times.std() == pytest.approx(86.4, rel=0.02)
    logs = np.log(times)
    assert np.mean((logs - logs.mean()) ** 3) / logs.std() ** 3 == pytest.approx(
        0.0, abs=0.06
    )


def test_the_same_generator_gives_the_same_times() -> None:
    """Two with equal seeds are equal, two with others are not."""
    one, two, three = (
        drawn(log_normal(1.0, np.random.default_rng(seed)), 10) for seed in (1, 1, 2)
    )
    assert one == two
    assert one != three


def test_times_can_be_those_of_a_run(tmp_path: Path) -> None:
    """Nothing but what the run's trials took is drawn, each of it sooner or later."""
    scale = iter(range(1, 1000))
    machine = SimulatedMachine(2, seconds=lambda _: float(next(scale)))
    simulate(CONFIG, machine, folder=tmp_path)
    times = drawn(as_in(tmp_path, np.random.default_rng(1)), 1000)
    assert {round(seconds, 3) for seconds in times} == set(range(1, 21))


def test_times_of_no_run_are_an_error(tmp_path: Path) -> None:
    """A folder without a run says so."""
    with pytest.raises(RunError, match="no run is here"):
        as_in(tmp_path, np.random.default_rng(1))


def test_fixed_times_are_all_equal() -> None:
    """Whatever the genome."""
    assert set(drawn(fixed(3.0), 5)) == {3.0}
