"""`ribosome tune`: what it hands to the runner, and which runs it takes."""

import json
from pathlib import Path

import pytest

from ribosome.runner.config import (
    Config,
    SearchConfig,
    SpaceConfig,
    dump_config,
    encode_config,
)
from ribosome.runner.journal import Journal
from ribosome.runner.messages import Result
from ribosome.runner.observer import Best, Status, Summary
from ribosome.runner.signals import let_through
from ribosome.tools.commands.tune import EVALUATIONS


@pytest.fixture
def ended(tmp_path: Path, lenet_genomes: list[str]) -> Path:
    """A run whose search of three networks has ended."""
    run = tmp_path / "run"
    run.mkdir()
    config = Config(space=SpaceConfig("lenet"), search=SearchConfig(evaluations=3))
    (run / "config.toml").write_text(dump_config(config))
    journal = Journal(run)
    journal.create(config=encode_config(config).decode(), space="lenet 1")
    for trial, genome in enumerate(lenet_genomes, 1):
        journal.propose(trial, genome, generation=0, parents=(), at=1.0)
        journal.finish(Result(trial, "ok", trial / 4), 1)
    journal.commit(lambda: "{}")
    journal.close()
    return run


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch, lenet_genomes: list[str]) -> list:
    """Calls of the runner's search, which is replaced."""
    calls = []
    best = Best(2, 0.75, lenet_genomes[1])

    def search(config, folder, *, resume, observer):
        calls.append((config, folder, resume))
        observer.update(Status(3, 3, 0, 2, best, {"ok": 3}, 1200.0, 9.0, 0.0))
        return Summary(folder, 3, 2, 6.0, best, {"ok": 3})

    monkeypatch.setattr("ribosome.runner.run.search", search)
    monkeypatch.setattr("ribosome.tools.summary.read_workers", lambda _: [])
    let_through()
    return calls


def test_options_reach_the_runner(ribosome, searched, ended: Path) -> None:
    """The run goes on, with its own config but for what is given."""
    result = ribosome(
        *("tune", ended, "--evaluations", 40, "--random", 0.25, "--rounds", 3),
        *("--genome", "lenet", "--set", "tune.good=0.9", "--set", "runner.workers=1"),
    )
    assert result.exit_code == 0, result.output
    ((config, folder, resume),) = searched
    assert (folder, resume) == (str(ended), True)
    tune = config.tune
    assert (tune.evaluations, tune.random, tune.rounds) == (40, 0.25, 3)
    assert (tune.genome, tune.good, config.runner.workers) == ("lenet", 0.9, 1)
    assert config.search.evaluations == 3
    assert "Tuning the hyperparameters of LeNet for digits: 40 sets" in result.output


def test_without_options_there_is_a_number(ribosome, searched, ended: Path) -> None:
    """Of evaluations; none where a time is given."""
    ribosome("tune", ended)
    ribosome("tune", ended, "--time", 30, "--random", 0)
    first, second = (config.tune for config, _, _ in searched)
    assert (first.evaluations, first.time_s, first.genome) == (EVALUATIONS, 0.0, "best")
    assert (second.evaluations, second.time_s, second.random) == (0, 30.0, 0.0)


def test_a_search_that_has_not_ended_is_named(
    ribosome, error_of, searched, ended: Path
) -> None:
    """With the command that goes on with it."""
    journal = Journal(ended)
    config = Config(space=SpaceConfig("lenet"), search=SearchConfig(evaluations=9))
    journal.amend(config=encode_config(config).decode())
    journal.close()
    assert error_of(ribosome("tune", ended)) == (
        f"{ended}: 3 of 9 networks of its search have ended; go on with it first: "
        f"ribosome search {ended}/config.toml -o {ended} --resume"
    )
    assert searched == []


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("--random", 2), "[tune] random = 2.0: expected a number <= 1.0"),
        (("--random", "nan"), "[tune] random = nan: expected a number >= 0.0"),
        (("--time", -1), "[tune] time_s = -1.0: expected a number >= 0.0"),
        (("--set", "tune.good=1.0"), "[tune] good = 1.0: expected a number <= 0.99"),
        (("--set", "tune.rounds=0"), "[tune] rounds = 0: expected a whole number >= 1"),
    ],
)
def test_bad_values_are_named(
    ribosome, error_of, searched, ended: Path, option: tuple[object, ...], says: str
) -> None:
    """In one line, as those of a config file."""
    assert says in error_of(ribosome("tune", ended, *option))
    assert searched == []


def test_a_folder_without_a_run(ribosome, error_of, tmp_path: Path) -> None:
    """It says how to start one."""
    said = error_of(ribosome("tune", tmp_path / "nowhere"))
    assert said.startswith(f"{tmp_path / 'nowhere'}: no run is here; start one with")


def test_a_run_is_really_tuned(ribosome, tmp_path: Path) -> None:
    """Searched, tuned, extended, shown and exported, by the commands alone."""
    pytest.importorskip("torch")
    config, run = tmp_path / "small.toml", tmp_path / "run"
    config.write_text(
        '[space]\nname = "lenet"\n[search]\nevaluations = 2\npopulation = 2\n'
        "confirm = 1\n[training]\nmax_iterations = 2\ntime_limit_s = 0.0\n"
        "[runner]\nworkers = 1\n"
    )
    assert ribosome("search", config, "-o", run).exit_code == 0
    result = ribosome("tune", run, "--evaluations", 2)
    assert result.exit_code == 0, result.output
    result = ribosome("tune", run, "--evaluations", 3)
    assert result.exit_code == 0, result.output
    trials = json.loads(ribosome("results", run, "--json").stdout)
    tuned = [trial for trial in trials if trial["phase"] == "tune"]
    assert len(tuned) == 3
    assert all("~" in trial["genome"] for trial in tuned)
    (winner,) = [trial for trial in trials if trial["winner"]]
    assert winner["confirmations"] == 2
    assert winner["confirmed_spread"] is not None
    shown = ribosome("results", run).stdout
    assert f"The winner by its repeats: trial {winner['trial']}, " in shown
    assert winner["genome"] in shown
    exported = ribosome("export", run, "-o", tmp_path / "out")
    assert exported.exit_code == 0, exported.output
    again = [t for t in trials if t["parents"] == [winner["trial"]]]
    best = max(again, key=lambda trial: trial["fitness"] or 0.0)
    assert exported.stdout.startswith(
        f"Trial {best['trial']}, validation accuracy {best['fitness']:.4f}"
    )
    assert "training it again" not in exported.stderr
