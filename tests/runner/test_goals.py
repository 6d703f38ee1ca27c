"""Searches towards several goals at once."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from search_kit import SPACE, searched, story

from ribosome.genome.codec import from_text
from ribosome.genome.cost import cost
from ribosome.genome.decode import decode
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS
from ribosome.runner.goals import GOALS, batch_size, goals_of
from ribosome.search.evolution import ParetoEvolution

NSGA2: dict[str, object] = {"strategy": "nsga2", "goals": ["flops", "batches_per_s"]}


def outcome(**values: object) -> SimpleNamespace:
    """A result with everything measured, but for what ``values`` say."""
    known = {
        "fitness": 0.5,
        "flops_per_batch": 640.0,
        "parameters": 7,
        "batches_per_s": 20.0,
        "seconds": 3.0,
        "rejected": False,
    }
    return SimpleNamespace(**{**known, **values})


def test_a_goal_is_to_be_as_great_as_can_be() -> None:
    """What is to be small is negative; operations are those of a sample."""
    goals = goals_of(GOALS, lambda _: 64)
    assert goals("genome", outcome()) == (-10.0, -7.0, 20.0, -3.0)


@pytest.mark.parametrize(
    "missing", ["flops_per_batch", "parameters", "batches_per_s", "seconds"]
)
def test_what_was_not_measured_has_no_goals(missing: str) -> None:
    """A zero would be the best of all."""
    goals = goals_of(GOALS, lambda _: 64)
    assert goals("genome", outcome(**{missing: None})) is None


def test_without_goals_nothing_is_looked_at() -> None:
    """The genome may be of any space."""
    assert goals_of((), lambda _: 1 // 0)("genome", outcome(seconds=None)) == ()


def test_the_strategy_is_told_goals_of_the_search(tmp_path: Path, monkeypatch) -> None:
    """Operations per sample by the cost of the network, and the speed; none of failures."""
    told: dict[int, tuple[object, tuple[float, ...]]] = {}
    tell = ParetoEvolution.tell

    def spy(self, trial, fitness, goals=()) -> None:
        told[trial] = fitness, goals
        tell(self, trial, fitness, goals)

    monkeypatch.setattr(ParetoEvolution, "tell", spy)
    records = searched(tmp_path / "run", search=NSGA2)
    space = load_space(SPACE)
    for record in records:
        fitness, goals = told[record.trial]
        assert fitness == record.fitness
        if fitness is None:
            assert goals == ()
        else:
            model = decode(space, from_text(space, record.genome), DIGITS)
            flops = cost(model.network).training_flops
            assert goals == (-flops, record.batches_per_s)
            assert batch_size(space, DIGITS, record.genome) == model.solver.batch_size
    assert len(told) == 40


def test_a_result_that_lacks_a_goal_counts_as_a_failure(tmp_path: Path) -> None:
    """Nothing is bred from it, and the run comes to its end."""
    records = searched(tmp_path / "run", on_result=lambda _, r: r, search=NSGA2)
    assert len(records) == 40
    assert {record.generation for record in records} == {0}


@pytest.mark.parametrize("commits", [3, 9, 17, 30])
def test_a_killed_search_for_goals_leaves_no_trace(
    tmp_path: Path, commits: int
) -> None:
    """Goals are the same from the journal as from a worker."""
    searched(tmp_path / "whole", search=NSGA2)
    searched(tmp_path / "run", kill=commits, search=NSGA2)
    searched(tmp_path / "run", resume=True, search=NSGA2)
    assert story(tmp_path / "run") == story(tmp_path / "whole")
