"""What a run takes from earlier ones."""

import shutil
import sqlite3
from contextlib import closing
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from search_kit import SPACE, search_config, searched, story

from ribosome.backends.data import find_data
from ribosome.genome.errors import ConfigError, RunError
from ribosome.runner.earlier import Learned, earlier_of
from ribosome.runner.observer import Silent
from ribosome.runner.records import Record, read_facts
from ribosome.runner.resume import open_run
from ribosome.search.evolution import Evolution

POPULATION = 8


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Record]]:
    """An earlier run of another seed, and its trials."""
    folder = tmp_path_factory.mktemp("earlier") / "before"
    return folder, searched(folder, search={"seed": 7})


def warm(*what: object, warm_as: str = "population", **more: object) -> dict:
    """The [search] of a run that begins with what others have found."""
    return {"warm_start": [str(each) for each in what], "warm_as": warm_as, **more}


def best(records: list[Record]) -> list[str]:
    """The genomes that succeeded, the best first."""
    ok = [record for record in records if record.fitness is not None]
    ok.sort(key=lambda record: record.fitness, reverse=True)
    return [record.genome for record in ok]


@pytest.mark.parametrize("strategy", ["evolution", "random"])
def test_the_best_of_a_run_are_evaluated_first(before, tmp_path, strategy) -> None:
    """As many as the population holds, in their order."""
    records = searched(
        tmp_path / "run", search=warm(before[0], strategy=strategy, seed=2)
    )
    first = [record.genome for record in records[:POPULATION]]
    assert first == best(before[1])[:POPULATION]
    assert records[POPULATION].genome not in best(before[1])[:POPULATION]


def test_genomes_come_before_those_of_runs(before, tmp_path) -> None:
    """Each is evaluated once, in upper case as well."""
    wanted = [best(before[1])[20], best(before[1])[3]]
    texts = [wanted[0], wanted[1].upper(), wanted[0]]
    records = searched(tmp_path / "run", search=warm(before[0], *texts))
    genomes = [record.genome for record in records]
    assert genomes[:5] == [*wanted, *best(before[1])[:3]]
    assert len(set(genomes)) == len(genomes)


def test_results_are_learned_at_no_evaluation(before, tmp_path, monkeypatch) -> None:
    """Failures too: none is proposed again, and all proposals are children."""
    learned = []
    learn = Evolution.learn

    def spy(self, genes, fitness, goals=()) -> None:
        learned.append(fitness)
        learn(self, genes, fitness, goals)

    monkeypatch.setattr(Evolution, "learn", spy)
    records = searched(tmp_path / "run", search=warm(before[0], warm_as="results"))
    assert len(records) == 40
    # None at first is random, nor later but where no new child turned up.
    assert records[0].generation == 1
    assert [record.generation for record in records].count(0) < POPULATION
    known = {record.genome for record in before[1]}
    assert not known & {record.genome for record in records}
    fitness = [record.fitness for record in before[1]]
    ok = sorted(value for value in fitness if value is not None)
    assert learned == [None] * (40 - len(ok)) + ok
    assert 0 < len(ok) < 40


def test_genomes_are_evaluated_where_results_are_learned(before, tmp_path) -> None:
    """They come before any child; one whose result is known needs no other."""
    rng = np.random.default_rng(3)
    first = searched(tmp_path / "other", search={"seed": int(rng.integers(100, 200))})
    new = [g for g in best(first) if g not in best(before[1])][:2]
    records = searched(
        tmp_path / "run",
        search=warm(*new, best(before[1])[0], before[0], warm_as="results"),
    )
    assert [record.genome for record in records[:2]] == new
    assert best(before[1])[0] not in {record.genome for record in records}


@pytest.mark.parametrize("warm_as", ["population", "results"])
@pytest.mark.parametrize("commits", [1, 2, 5, 11, 25])
def test_a_run_goes_on_without_the_earlier_one(
    before, tmp_path, warm_as: str, commits: int
) -> None:
    """Exactly, wherever it was killed, limits included."""
    earlier = tmp_path / "before"
    shutil.copytree(before[0], earlier)
    how: dict[str, dict] = {
        "search": warm(earlier, best(before[1])[20], warm_as=warm_as),
        "limits": {"seconds": 1.0},
    }
    searched(tmp_path / "whole", **how)
    searched(tmp_path / "run", kill=commits, **how)
    shutil.rmtree(earlier)
    searched(tmp_path / "run", resume=True, **how)
    assert story(tmp_path / "run") == story(tmp_path / "whole")


def test_results_of_a_search_for_goals_have_goals(before, tmp_path) -> None:
    """They are in the journal of the new run as in the old one's results."""
    goals = {"strategy": "nsga2", "goals": ["seconds", "parameters"]}
    searched(tmp_path / "run", search=warm(before[0], warm_as="results", **goals))
    learned = earlier_of(read_facts(tmp_path / "run"), tmp_path).learned
    expected = {
        record.genome: Learned(
            record.genome,
            record.fitness,
            () if record.fitness is None else (-record.seconds, -record.parameters),
        )
        for record in before[1]
    }
    assert {result.genome: result for result in learned} == expected


def test_of_equal_genomes_the_first_result_counts(before, tmp_path) -> None:
    """The same run twice is the same as once."""
    searched(tmp_path / "run", search=warm(before[0], before[0], warm_as="results"))
    assert len(earlier_of(read_facts(tmp_path / "run"), tmp_path).learned) == 40


@pytest.mark.parametrize("schema", [1, 2])
def test_older_journals_do(before, tmp_path, schema: int) -> None:
    """Those without models, workers and the data's fingerprint are read as they are."""
    earlier = tmp_path / "before"
    shutil.copytree(before[0], earlier)
    with closing(sqlite3.connect(earlier / "journal.sqlite")) as database:
        database.execute("UPDATE meta SET value = ? WHERE key = 'schema'", [schema])
        if schema == 1:
            database.execute("DELETE FROM meta WHERE key = 'data'")
            database.execute("DROP TABLE workers")
        for table in ("models", "checks"):
            database.execute(f"DROP TABLE IF EXISTS {table}")
        columns = [row[1] for row in database.execute("PRAGMA table_info(trials)")]
        for column in columns[columns.index("message") + 1 :]:
            database.execute(f"ALTER TABLE trials DROP COLUMN {column}")
        database.commit()
    searched(tmp_path / "run", search=warm(earlier, warm_as="results"))
    assert len(earlier_of(read_facts(tmp_path / "run"), tmp_path).learned) == 40


def refused(folder: Path, **tables: dict) -> str:
    """What such a run is refused with, before its folder is made."""
    with pytest.raises((ConfigError, RunError)) as caught:
        searched(folder, **tables)
    assert not folder.exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_other_training_makes_other_results(before, tmp_path) -> None:
    """What differs is named, and genomes may be taken all the same."""
    training = {"max_iterations": 100}
    how = {"training": training, "search": warm(before[0], warm_as="results")}
    says = refused(tmp_path / "run", **how)
    assert "its training.max_iterations is 300, not 100; take search.warm_as = " in says
    searched(tmp_path / "run", training=training, search=warm(before[0]))


def test_other_data_make_other_results(before, tmp_path) -> None:
    """One label is enough."""
    data = tmp_path / "data"
    shutil.copytree(find_data("digits"), data)
    labels = np.load(data / "train_labels.npy")
    labels[0] = 1 - min(labels[0], 1)
    np.save(data / "train_labels.npy", labels)
    task = {"data": str(data)}
    how = {"task": task, "search": warm(before[0], warm_as="results")}
    assert "its data are others; take search.warm_as" in refused(tmp_path / "r", **how)
    searched(tmp_path / "run", task=task, search=warm(before[0]))


def test_another_space_is_refused(before, tmp_path) -> None:
    """By its name, and by what it says where the name is the same."""
    says = refused(tmp_path / "run", space={"name": "menndl"}, search=warm(before[0]))
    assert "its genomes are of space lenet 1, not of menndl 1" in says
    text = (resources.files("ribosome.genome.spaces") / f"{SPACE}.toml").read_text()
    other = tmp_path / "other.toml"
    other.write_text(text.replace("momentum = [", "momentum = [0.123, ", 1))
    assert other.read_text() != text
    says = refused(tmp_path / "run", space={"name": str(other)}, search=warm(before[0]))
    assert "its space lenet 1 says something else than this run's" in says


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("nowhere", "nowhere: no run is here"),
        ("lenet-1-02aq4cq8-jfm0", "lenet-1-02aq4cq8-jfm0: genome's checksum is wrong"),
        ("menndl-1-02aq4cq8-jfm1", "genome is of space menndl 1, not of space lenet 1"),
    ],
)
def test_what_cannot_be_taken_is_refused(tmp_path, what: str, message: str) -> None:
    """In one line that names it."""
    assert message in refused(tmp_path / "run", search=warm(what))


def test_a_damaged_journal_is_refused(tmp_path) -> None:
    """By its usual error."""
    earlier = tmp_path / "before"
    earlier.mkdir()
    (earlier / "journal.sqlite").write_bytes(b"no journal" * 1000)
    assert "is no journal, or a damaged one" in refused(
        tmp_path / "run", search=warm(earlier)
    )


def test_a_relative_path_is_made_absolute(before, tmp_path, monkeypatch) -> None:
    """The run may go on from anywhere; a genome stays what it is."""
    monkeypatch.chdir(before[0].parent)
    genome = best(before[1])[0]
    config = search_config(search=warm("before", genome))
    run = open_run(config, tmp_path / "run", resume=False, observer=Silent())
    run.journal.close()
    assert run.config.search.warm_start == (str(before[0]), genome)
