"""`ribosome results`: all fields of all trials, and a table for people."""

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

FIELDS = [
    *("trial", "genome", "phase", "ending", "fitness", "loss", "batches_per_s"),
    *("flops_per_batch", "parameters", "seconds", "worker", "generation", "parents"),
    *("proposed_at", "started_at", "finished_at", "message"),
]


def test_json_has_every_field(ribosome, run: Path, lenet_genomes) -> None:
    """A list of objects, in order of trial; what is missing is null."""
    trials = json.loads(ribosome("results", run, "--json").stdout)
    assert [trial["trial"] for trial in trials] == [1, 2, 3, 4]
    assert list(trials[0]) == FIELDS
    assert trials[1]["genome"] == lenet_genomes[1]
    assert (trials[1]["fitness"], trials[1]["finished_at"]) == (0.7, 13.5)
    assert (trials[2]["ending"], trials[2]["fitness"]) == ("diverged", None)
    assert (trials[3]["ending"], trials[3]["parents"]) == (None, [1, 2])


def test_top_chooses_the_best(ribosome, run: Path) -> None:
    """--top sorts by accuracy and leaves failures out."""
    trials = json.loads(ribosome("results", run, "--json", "--top", 5).stdout)
    assert [trial["trial"] for trial in trials] == [2, 1]


def test_csv_has_every_field(ribosome, run: Path) -> None:
    """The same for spreadsheets; lists are written with spaces."""
    rows = list(csv.DictReader(io.StringIO(ribosome("results", run, "--csv").stdout)))
    assert list(rows[0]) == FIELDS
    assert rows[2]["message"] == "loss is NaN\nat iteration 3"
    assert (rows[3]["fitness"], rows[3]["parents"]) == ("", "1 2")


def test_the_table_shows_the_best_first(ribosome, run: Path, lenet_genomes) -> None:
    """Accuracies in falling order, the best genome whole, the endings counted."""
    output = ribosome("results", run).stdout
    assert output.index("0.7000") < output.index("0.6000")
    assert f"\n{lenet_genomes[1]}\n" in output
    assert "3 evaluated: 2 ok, 1 diverged; 1 proposed or running" in output


def test_of_equals_the_one_that_ended_first_is_the_best(ribosome, run: Path) -> None:
    """As for the search itself, which keeps its weights."""
    with closing(sqlite3.connect(run / "journal.sqlite")) as journal:
        journal.execute("UPDATE trials SET fitness = 0.7, finished_at = 20 - trial")
        journal.commit()
    trials = json.loads(ribosome("results", run, "--json", "--top", 9).stdout)
    assert [trial["trial"] for trial in trials] == [4, 3, 2, 1]


def test_speeds_stand_under_each_other(ribosome, run: Path) -> None:
    """Batches per second have one decimal, whatever their size."""
    rows = [line.split() for line in ribosome("results", run).stdout.splitlines()]
    assert [row[5] for row in rows if row[:1] in (["1"], ["2"])] == ["20.0", "20.0"]


def test_failures_say_why(ribosome, run: Path) -> None:
    """--failures lists those that failed with the message, and no other."""
    output = ribosome("results", run, "--failures").stdout
    assert "diverged" in output
    assert "loss is NaN" in output
    assert "0.7000" not in output


def test_failures_as_json(ribosome, run: Path) -> None:
    """--failures chooses for programs too."""
    trials = json.loads(ribosome("results", run, "--failures", "--json").stdout)
    assert [trial["trial"] for trial in trials] == [3]


def test_csv_and_json_exclude_each_other(ribosome, run: Path) -> None:
    """One form at a time."""
    assert ribosome("results", run, "--csv", "--json").exit_code == 2


def test_a_folder_without_a_run(ribosome, error_of, tmp_path: Path) -> None:
    """The error says how to start one."""
    assert "no run is here; start one" in error_of(ribosome("results", tmp_path))
