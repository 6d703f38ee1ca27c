"""`ribosome results --pareto`: the networks that no other beats in everything."""

import csv
import io
import json
import random
from pathlib import Path

import pytest

from ribosome.genome.codec import from_text
from ribosome.genome.decode import decode
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS
from ribosome.runner.config import Config, SearchConfig, SpaceConfig, encode_config
from ribosome.runner.journal import Journal
from ribosome.runner.messages import Result as TrialResult
from ribosome.tools.front import front


def dominated(point: tuple[float, ...], others: list[tuple[float, ...]]) -> bool:
    """Whether any other is no worse in all and better in one."""
    return any(
        other != point and all(o >= p for o, p in zip(other, point, strict=True))
        for other in others
    )


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("numbers", [1, 2, 3])
def test_the_front_is_what_nothing_dominates(seed: int, numbers: int) -> None:
    """By brute force; of few values, so that many are equal."""
    rng = random.Random(seed)
    points = [
        tuple(float(rng.randrange(12)) for _ in range(numbers)) for _ in range(200)
    ]
    expected = sorted((p for p in points if not dominated(p, points)), reverse=True)
    assert [point for point, _ in front((p, None) for p in points)] == expected


def test_nothing_has_no_front() -> None:
    """No error either."""
    assert front([]) == []


@pytest.fixture
def goal_run(tmp_path: Path, lenet_genomes: list[str]) -> Path:
    """A run for operations and speed: of four trials two are on the front.

    The second is beaten by the first in everything but FLOPs per batch; one was stopped.
    """
    folder = tmp_path / "goals"
    folder.mkdir()
    search = SearchConfig(strategy="nsga2", goals=("flops", "seconds"))
    config = Config(space=SpaceConfig("lenet"), search=search)
    journal = Journal(folder)
    journal.create(config=encode_config(config).decode(), space="lenet 1")
    space = load_space("lenet")
    batches = [
        decode(space, from_text(space, genome), DIGITS).solver.batch_size
        for genome in lenet_genomes
    ]
    trials = [
        (lenet_genomes[0], 0.9, 500.0 * batches[0], 2.0, 9, False),
        (lenet_genomes[1], 0.8, 600.0 * batches[1], 3.0, 5, False),
        (lenet_genomes[2], 0.7, 100.0 * batches[2], 1.0, 7, False),
        (lenet_genomes[0], 0.99, 1.0, 0.1, 1, True),
    ]
    for number, (genome, fitness, flops, seconds, weights, stopped) in enumerate(
        trials, 1
    ):
        journal.propose(number, genome, generation=0, parents=(), at=1.0)
        result = TrialResult(
            trial=number,
            ending="ok",
            fitness=fitness,
            flops_per_batch=flops,
            parameters=weights,
            seconds=seconds,
            stopped=stopped,
        )
        journal.finish(result, 1)
    journal.commit(lambda: "{}")
    journal.close()
    return folder


def numbers(text: str) -> list[int]:
    """The trials in --json."""
    return [trial["trial"] for trial in json.loads(text)]


def test_the_run_s_goals_are_the_default(ribosome, goal_run: Path) -> None:
    """The most accurate first; one that was stopped is on no front."""
    found = ribosome("results", goal_run, "--pareto", "--json").stdout
    assert numbers(found) == [1, 3]


def test_other_goals_make_another_front(ribosome, goal_run: Path) -> None:
    """Of any run, by their names."""
    how = ("results", goal_run, "--pareto", "--goals", "parameters", "--json")
    assert numbers(ribosome(*how).stdout) == [1, 2]
    assert numbers(ribosome(*how, "--top", 1).stdout) == [1]


def test_the_table_has_the_goals(ribosome, goal_run: Path) -> None:
    """In the sense in which people read them."""
    output = ribosome("results", goal_run, "--pareto").stdout
    rows = [line.split() for line in output.splitlines()]
    assert ["1", "0.9000", "500", "2.0"] in rows
    assert ["3", "0.7000", "100", "1.0"] in rows


def test_the_front_as_csv(ribosome, goal_run: Path) -> None:
    """All fields, as of other results."""
    output = ribosome("results", goal_run, "--pareto", "--csv").stdout
    assert [row["trial"] for row in csv.DictReader(io.StringIO(output))] == ["1", "3"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--pareto",), "The run had no goals besides accuracy: name some of flops"),
        (("--pareto", "--goals", "flop"), "'flop' is no goal; did you mean flops"),
        (("--pareto", "--goals", ""), "'' is no goal; take of flops, parameters"),
        (("--goals", "flops"), "--goals are those of --pareto: give that too"),
        (("--pareto", "--bias"), "Give one of --failures, --pareto and --bias"),
        (("--bias", "--csv"), "--bias is no table: give --json"),
    ],
)
def test_what_cannot_be_shown(ribosome, run: Path, options, message: str) -> None:
    """A usage error that says what to do."""
    result = ribosome("results", run, *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_nothing_with_these_goals(ribosome, run: Path) -> None:
    """What was not measured is on no front."""
    with_all = ribosome("results", run, "--pareto", "--goals", "seconds")
    assert with_all.exit_code == 0
