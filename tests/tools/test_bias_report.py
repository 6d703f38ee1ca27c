"""`ribosome results --bias`: whether fast networks breed more than slow ones."""

import json
from pathlib import Path

import pytest

from ribosome.runner.config import Config, SearchConfig, SpaceConfig, encode_config
from ribosome.runner.journal import Journal
from ribosome.runner.messages import Result as TrialResult
from ribosome.search.bias import Bred, bias
from ribosome.tools.bias_report import read_bred


def biased(folder: Path, *, arrivals: str = "finished") -> Path:
    """Twelve random networks, the first the fastest, and children of the first three.

    Two of the children failed, one is of another phase, and one still runs.
    """
    folder.mkdir()
    config = Config(space=SpaceConfig("lenet"), search=SearchConfig(arrivals=arrivals))
    journal = Journal(folder)
    journal.create(config=encode_config(config).decode(), space="lenet 1")
    children = [(1, 2), (1,), (2,), (3, 1), (1,)]
    for trial in range(1, 13 + len(children)):
        parents = children[trial - 13] if trial > 12 else ()
        phase = "confirm" if trial == 15 else "search"
        journal.propose(
            trial, "lenet-x", generation=0, parents=parents, at=1.0, phase=phase
        )
        if trial == 17:
            continue
        failed = trial in (13, 14)
        journal.finish(
            TrialResult(
                trial=trial,
                ending="crashed" if failed else "ok",
                fitness=None if failed else trial % 5 / 5.0,
                seconds=float(trial),
            ),
            1,
        )
    journal.commit(lambda: "{}")
    journal.close()
    return folder


OFFSPRING = {1: 4, 2: 1, 3: 1}


def test_offspring_are_counted_in_the_search(tmp_path: Path) -> None:
    """Whatever became of them, but not repeats."""
    trials = read_bred(biased(tmp_path / "run"))
    expected = [
        Bred(float(t), t % 5 / 5.0, OFFSPRING.get(t, 0)) for t in (*range(1, 13), 16)
    ]
    assert trials == expected


def test_the_bias_for_people(ribosome, tmp_path: Path) -> None:
    """Three facts and the correction."""
    run = biased(tmp_path / "run")
    found = bias(read_bred(run))
    assert found is not None
    lines = ribosome("results", run, "--bias").stdout.splitlines()
    assert lines[0].startswith("Time and offspring of 13 networks: correlation -0.")
    assert f"{found.correlation:+.2f}" in lines[0]
    assert lines[1] == f"At equal fitness: {found.at_equal_fitness:+.2f}."
    assert lines[2].startswith("The fastest quarter makes up 100% of the parents; 25%")
    assert 'search.arrivals = "asked"' in lines[3]


def test_the_correction_is_not_offered_twice(ribosome, tmp_path: Path) -> None:
    """To a run that has it."""
    run = biased(tmp_path / "run", arrivals="asked")
    assert "asked" not in ribosome("results", run, "--bias").stdout


def test_the_bias_for_programs(ribosome, tmp_path: Path) -> None:
    """By the names of `Bias`."""
    run = biased(tmp_path / "run")
    found = json.loads(ribosome("results", run, "--bias", "--json").stdout)
    expected = bias(read_bred(run))
    assert expected is not None
    assert found == pytest.approx(expected._asdict())


def test_too_little_to_say(ribosome, run: Path) -> None:
    """Of two trials."""
    said = ribosome("results", run, "--bias").stdout
    assert said.startswith("Too little to say: 2 networks of the search succeeded")
    assert json.loads(ribosome("results", run, "--bias", "--json").stdout) == {
        "trials": 2,
        "correlation": None,
        "at_equal_fitness": None,
        "fast_share": None,
    }
