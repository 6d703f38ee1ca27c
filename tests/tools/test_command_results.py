"""`ribosome results`: all fields of all trials, and a table for people."""

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ribosome.runner import records
from ribosome.runner.journal import Journal
from ribosome.runner.messages import Ready
from ribosome.runner.messages import Result as TrialResult

FIELDS = [
    *("trial", "genome", "phase", "ending", "fitness", "loss", "batches_per_s"),
    *("flops_per_batch", "parameters", "seconds", "worker", "generation", "parents"),
    *("proposed_at", "started_at", "finished_at", "message"),
    *("model", "iterations", "stopped", "rejected"),
    *("confirmed_mean", "confirmed_spread", "confirmations", "winner"),
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
    assert rows[2]["message"] == r"loss is NaN\x0aat iteration 3"
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


def test_the_table_reads_the_best_alone(
    ribosome, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many trials there are: only what is shown becomes records."""
    made: list[int] = []
    make = records._record

    def count(row: tuple, path: Path) -> records.Record:
        record = make(row, path)
        made.append(record.trial)
        return record

    monkeypatch.setattr(records, "_record", count)
    assert "3 evaluated" in ribosome("results", run, "--top", 1).stdout
    assert made == [2]


def test_a_run_with_a_blank_in_its_name_is_quoted(ribosome, run: Path) -> None:
    """The command that is printed can be run as it stands."""
    blank = run.rename(run.with_name("my run"))
    output = ribosome("results", blank).stdout
    assert f"All genomes: ribosome results '{blank}' --json\n" in output


def test_speeds_stand_under_each_other(ribosome, run: Path) -> None:
    """Batches per second have one decimal, whatever their size."""
    rows = [line.split() for line in ribosome("results", run).stdout.splitlines()]
    assert [row[5] for row in rows if row[:1] in (["1"], ["2"])] == ["20.0", "20.0"]


def test_failures_say_why(ribosome, run: Path, lenet_genomes) -> None:
    """--failures shows those that failed, with message and genome, and no other."""
    output = ribosome("results", run, "--failures").stdout
    assert "1 diverged (100% of the failures), trial 3, worker 3" in output
    assert "    trial 3: loss is NaN" in output
    assert f"    genome: {lenet_genomes[2]}\n" in output
    assert "0.7000" not in output


@pytest.fixture
def failing_run(run: Path) -> Path:
    """The run with 60 more failures: 40 of one kind, then 20 that differ."""
    with closing(Journal(run)) as journal:
        for worker in (1, 2):
            journal.worker(worker, Ready("node7", 1), at=1.0)
        for trial in range(101, 161):
            journal.propose(trial, "lenet-x", generation=0, parents=(), at=1.0)
            what = "no room" if trial <= 140 else "x" * (trial - 139)
            message = f"worker {trial % 2 + 1} on node7: {what} after {trial} s"
            result = TrialResult(trial=trial, ending="crashed", message=message)
            journal.finish(result, trial % 2 + 1)
        journal.commit(lambda: "{}")
    return run


def test_failures_that_are_alike_stand_together(ribosome, failing_run: Path) -> None:
    """The largest group first: its size, its trials, its workers and an example."""
    lines = ribosome("results", failing_run, "--failures").stdout.splitlines()
    assert lines[0] == (
        "40 crashed (66% of the failures), trials 101 to 140, workers 1, 2 on node7"
    )
    assert lines[1] == "    trial 101: worker 2 on node7: no room after 101 s"
    assert lines[2] == "    genome: lenet-x"
    assert lines[3] == "    log: none was kept"


def test_failures_name_a_log_that_is_there(ribosome, failing_run: Path) -> None:
    """The path of a log is whole, whatever the width."""
    folder = failing_run / "trials" / "105"
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("so it was")
    output = ribosome("results", failing_run, "--failures").stdout
    assert f"    log: {folder}/log.txt\n" in output


def test_top_limits_the_kinds_of_failures(ribosome, failing_run: Path) -> None:
    """The rest is counted, with the option that shows it."""
    output = ribosome("results", failing_run, "--failures", "--top", 1).stdout
    assert output.count("    trial ") == 1
    assert "21 more kinds with 21 failures: --top 22\n" in output


def test_failures_of_a_program_are_not_grouped(ribosome, failing_run: Path) -> None:
    """--json and --csv have a row for each failure."""
    assert (
        len(json.loads(ribosome("results", failing_run, "--failures", "--json").stdout))
        == 61
    )
    assert (
        ribosome("results", failing_run, "--failures", "--csv").stdout.count("\n") == 62
    )


def test_failures_fit_the_terminal(ribosome, failing_run: Path) -> None:
    """Only paths and genomes are longer than the terminal is wide; none ends in blanks."""
    lines = ribosome("results", failing_run, "--failures").stdout.splitlines()
    assert all(
        len(line) <= 80 for line in lines if not ("log: " in line or "genome: " in line)
    )
    assert all(line == line.rstrip() for line in lines)


def test_a_worker_that_fails_most_is_named(ribosome, failing_run: Path) -> None:
    """With its host, and what the others do."""
    with closing(sqlite3.connect(failing_run / "journal.sqlite")) as journal:
        journal.execute("UPDATE trials SET worker = 2 WHERE trial > 100")
        journal.execute("UPDATE trials SET ending = 'ok', worker = 1 WHERE trial > 130")
        journal.commit()
    output = ribosome("results", failing_run, "--failures").stdout
    assert "Worker 2 on node7 fails far more than the others: 30 of 31 (97%)" in output


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
