"""A small fault storm over local workers: see `bench.fault_storm` for the large one."""

from pathlib import Path

from bench.fault_storm import Storm, rage
from ribosome.backends.base import ENDINGS


def test_a_run_survives_a_storm(tmp_path: Path) -> None:
    """Two workers and the master are killed and a third of the trials misbehaves.

    All the same every trial has its one result, of the right kind, and nothing is left.
    """
    after = rage(Storm(evaluations=60, workers=2, seed=19, limit_s=300.0), tmp_path)
    assert after.faults == []
    assert len(after.killed) == 3
    assert after.found == after.expected
    assert set(after.found) == set(ENDINGS) - {"lost"}
