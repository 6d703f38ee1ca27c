"""A search within [limits]."""

import json
from pathlib import Path

import pytest
from search_kit import SPACE, measured, searched, story

from ribosome.genome.codec import from_text
from ribosome.genome.cost import cost
from ribosome.genome.decode import decode
from ribosome.genome.errors import ConfigError, RunError
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS
from ribosome.runner.records import count_beyond_limits

SECONDS: dict[str, object] = {"seconds": 1.0}
"""What some networks of the space need more than, for 300 iterations."""


def parameters(genome: str) -> int:
    """Of a genome's network."""
    space = load_space(SPACE)
    return cost(decode(space, from_text(space, genome), DIGITS).network).parameters


def test_no_network_beyond_a_limit_is_trained(tmp_path: Path) -> None:
    """Without the limit half of them are; what was rejected is counted."""
    free = sorted(parameters(r.genome) for r in searched(tmp_path / "free"))
    limit = free[20]
    records = searched(tmp_path / "run", limits={"parameters": limit})
    assert len(records) == 40
    assert max(parameters(record.genome) for record in records) <= limit
    assert count_beyond_limits(tmp_path / "free") == 0
    assert count_beyond_limits(tmp_path / "run") > 0


def test_the_time_of_trainings_is_learned(tmp_path: Path) -> None:
    """Once eight have ended, their speed says which would take too long."""
    free = searched(tmp_path / "free")
    records = searched(tmp_path / "run", limits=SECONDS)
    assert any(record.seconds > 1.0 for record in free if record.seconds)
    assert count_beyond_limits(tmp_path / "run") > 0
    assert all(r.seconds <= 1.01 for r in records[14:] if r.seconds is not None)


@pytest.mark.parametrize("commits", [2, 8, 13, 21, 33])
@pytest.mark.parametrize("strategy", ["evolution", "random"])
def test_a_killed_search_within_limits_leaves_no_trace(
    tmp_path: Path, strategy: str, commits: int
) -> None:
    """Neither in what is proposed nor in how many were rejected."""
    how: dict[str, dict[str, object]] = {
        "limits": SECONDS,
        "search": {"strategy": strategy},
    }
    searched(tmp_path / "whole", **how)
    searched(tmp_path / "run", kill=commits, **how)
    searched(tmp_path / "run", resume=True, **how)
    assert story(tmp_path / "run") == story(tmp_path / "whole")
    state = json.loads(story(tmp_path / "run")[-1])
    assert state["rejected"] == count_beyond_limits(tmp_path / "whole") > 0


def test_limits_that_nothing_meets_are_an_error(tmp_path: Path) -> None:
    """The search does not look for ever."""
    with pytest.raises(ConfigError, match=r"none of 10000 random networks is within"):
        searched(tmp_path / "run", limits={"parameters": 1})


def test_limits_hold_for_the_whole_run(tmp_path: Path) -> None:
    """They belong to what the run is."""
    searched(tmp_path / "run", kill=5, on_result=measured)
    with pytest.raises(RunError, match=r"limits\.parameters was 0 .* is now 9"):
        searched(tmp_path / "run", resume=True, limits={"parameters": 9})
