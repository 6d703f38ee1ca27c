"""The master's loop, over workers that live in memory."""

import os
import shutil
import signal
import sqlite3
from collections import deque
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from run_kit import TIMES, Recorder, Workers, tiny_master

from ribosome.genome.errors import RunError
from ribosome.runner.messages import Ready, Report, Result, Setup, Stop, Work
from ribosome.runner.observer import Interrupted
from ribosome.runner.proposer import Candidate
from ribosome.runner.queues import Queues
from ribosome.runner.records import Record, read_trials, read_workers


def run(folder: Path, transport: Workers, **options: object) -> list[Record]:
    """Run to the end; the trials."""
    master, journal = tiny_master(folder, transport, **options)  # type: ignore[arg-type]
    with closing(journal):
        master.run()
    return read_trials(folder)


def works(transport: Workers, worker: int) -> list[Work]:
    """The work that a worker was sent."""
    return [sent for sent in transport.sent[worker] if isinstance(sent, Work)]


def timeless(records: list[Record]) -> list[dict[str, object]]:
    """The trials without their times."""
    rows = [msgspec.structs.asdict(record) for record in records]
    return [{key: row[key] for key in row if key not in TIMES} for row in rows]


def test_every_evaluation_gets_one_result(tmp_path: Path) -> None:
    """A run ends with exactly as many results as it was asked for."""
    records = run(tmp_path, Workers(3), evaluations=31)
    assert [record.trial for record in records] == list(range(1, 32))
    assert all(record.ending in ("ok", "diverged") for record in records)


def test_a_worker_is_told_the_run_first(tmp_path: Path) -> None:
    """The first message to a worker is its Setup, with its own number."""
    transport = Workers(2)
    run(tmp_path, transport)
    first = [transport.sent[worker][0] for worker in (1, 2)]
    assert [setup.worker for setup in first if isinstance(setup, Setup)] == [1, 2]


def test_what_a_worker_has_made_ready_is_kept(tmp_path: Path) -> None:
    """Its copy of the data, and what it has read for that, stand in the journal."""

    def stage(report: Report) -> Report:
        return Report(
            tuple(
                msgspec.structs.replace(event, staged="/bb", bytes_read=7)
                if isinstance(event, Ready)
                else event
                for event in report.events
            )
        )

    run(tmp_path, Workers(2, on_report=stage))
    joined = read_workers(tmp_path)
    assert [(worker.staged, worker.bytes_read) for worker in joined] == [("/bb", 7)] * 2


def test_a_worker_is_told_to_end(tmp_path: Path) -> None:
    """The last message to a worker is a Stop that lets what runs come to its end."""
    transport = Workers(2)
    run(tmp_path, transport)
    assert [transport.sent[worker][-1] for worker in (1, 2)] == [Stop(now=False)] * 2


def test_a_worker_has_one_trial_queued_ahead(tmp_path: Path) -> None:
    """Two trials are at a worker before its first result."""
    ahead: list[int] = []

    def note(report: Report) -> Report:
        if any(isinstance(event, Result) for event in report.events):
            ahead.append(len(works(transport, 1)) - len(ahead))
        return report

    transport = Workers(1, on_report=note)
    run(tmp_path, transport, evaluations=20)
    assert ahead == [2] * 19 + [1]


def test_nothing_is_queued_ahead_of_the_last_trials(tmp_path: Path) -> None:
    """With as many trials left as workers, each worker gets one of them."""
    transport = Workers(4)
    run(tmp_path, transport, evaluations=4)
    assert [len(works(transport, worker)) for worker in (1, 2, 3, 4)] == [1] * 4


def test_the_last_trial_waits_for_the_first_free_worker(tmp_path: Path) -> None:
    """With one trial left for two busy workers, it is queued behind neither."""
    out: list[int] = []

    def note(report: Report) -> Report:
        if any(isinstance(event, Result) for event in report.events):
            out.append(sum(len(works(transport, worker)) for worker in (1, 2)))
        return report

    transport = Workers(2, on_report=note)
    run(tmp_path, transport, evaluations=3)
    assert out[0] == 2


def test_a_proposal_is_committed_before_it_is_sent(tmp_path: Path) -> None:
    """Another process finds in the journal whatever a worker has been sent."""
    missing: list[int] = []

    def check(_: int, message: object) -> None:
        if isinstance(message, Work):
            with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as reader:
                query = "SELECT 1 FROM trials WHERE trial = ?"
                if not reader.execute(query, (message.trial,)).fetchone():
                    missing.append(message.trial)

    run(tmp_path, Workers(2, on_send=check))
    assert missing == []


def test_a_result_is_committed_before_the_next_trial_is_sent(tmp_path: Path) -> None:
    """With one worker, the journal has trial n - 2 when trial n goes out."""
    told: list[int] = []

    def check(_: int, message: object) -> None:
        if isinstance(message, Work):
            with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as reader:
                query = "SELECT count(*) FROM trials WHERE ending IS NOT NULL"
                told.append(reader.execute(query).fetchone()[0])

    run(tmp_path, Workers(1, on_send=check), evaluations=10)
    assert told == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]


def test_the_same_seed_gives_the_same_run(tmp_path: Path) -> None:
    """Two runs with one worker are equal but for their times."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = run(tmp_path / "a", Workers(1)), run(tmp_path / "b", Workers(1))
    assert timeless(first) == timeless(second)


def test_every_trial_has_a_seed_of_its_own(tmp_path: Path) -> None:
    """Seeds differ between the trials of a run."""
    transport = Workers(1)
    run(tmp_path, transport)
    seeds = {work.seed for work in works(transport, 1)}
    assert len(seeds) == 30
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_killed_trial_is_tried_again_by_another(tmp_path: Path) -> None:
    """A trial that takes one worker along has a result in the end, under its number."""
    observer = Recorder()
    transport = Workers(2, deadly={5: 1})
    records = run(tmp_path, transport, observer=observer)
    assert records[4].ending == "ok"
    assert len(observer.warnings) == 1
    issued = [
        work.seed for w in (1, 2) for work in works(transport, w) if work.trial == 5
    ]
    assert len(issued) == 2
    assert issued[0] == issued[1]


def test_a_trial_that_kills_twice_is_lost(tmp_path: Path) -> None:
    """A trial that takes two workers along ends as lost, and the run goes on."""
    records = run(tmp_path, Workers(2, deadly={5: 2}))
    assert records[4].ending == "lost"
    assert records[4].fitness is None
    assert "killed by signal 9" in (records[4].message or "")
    assert sum(record.ending == "lost" for record in records) == 1


def test_a_trial_that_waited_is_not_charged(tmp_path: Path) -> None:
    """Trials queued behind two killers are evaluated all the same."""
    records = run(tmp_path, Workers(1, deadly={5: 2, 6: 2, 7: 1}))
    lost = [record.trial for record in records if record.ending == "lost"]
    assert lost == [5, 6]


def test_a_worker_that_cannot_work_is_done_without(tmp_path: Path) -> None:
    """One broken worker is a warning, the others do its share."""
    observer = Recorder()
    transport = Workers(2, broken={1: "worker 1 on node7: no GPU"})
    records = run(tmp_path, transport, observer=observer)
    assert {record.worker for record in records} == {2}
    assert observer.warnings == ["worker 1 on node7: no GPU"]


def test_a_worker_that_is_not_ready_gets_no_work() -> None:
    """A trial does not wait for a worker that may never begin."""
    trial = Candidate(1, b"", "", 0, (), 0)
    queues = Queues(SimpleNamespace(left=0), deque([trial]))  # type: ignore[arg-type]
    for _ in range(3):
        queues.join(1)
        assert list(queues.fill(1, 0.0, depth=1)) == []
        assert queues.leave(1) is None


def test_a_run_whose_folder_is_removed_is_an_error(tmp_path: Path) -> None:
    """A search whose results go nowhere does not end as if all were well."""
    folder = tmp_path / "run"
    folder.mkdir()

    def remove(_worker: int, message: Setup | Work | Stop) -> None:
        if isinstance(message, Work) and message.trial == 10:
            shutil.rmtree(folder)

    with pytest.raises(RunError, match="was moved or removed"):
        run(folder, Workers(2, on_send=remove))


def test_no_worker_left_is_an_error(tmp_path: Path) -> None:
    """A run whose workers all fail says why."""
    transport = Workers(2, broken={1: "no GPU here", 2: "no GPU there"})
    with pytest.raises(RunError, match="no worker is left: no GPU there"):
        run(tmp_path, transport)


def test_a_result_that_nobody_asked_for_is_ignored(tmp_path: Path) -> None:
    """A second result of the same trial changes nothing."""

    def twice(report: Report) -> Report:
        return Report((*report.events, *report.events))

    records = run(tmp_path, Workers(2, on_report=twice))
    assert len(records) == 30


def test_the_observer_sees_the_end(tmp_path: Path) -> None:
    """The last status has every evaluation and the best trial."""
    observer = Recorder()
    records = run(tmp_path, Workers(2), observer=observer)
    last = observer.statuses[-1]
    best = max(records, key=lambda record: record.fitness or 0.0)
    assert (last.evaluated, last.total) == (30, 30)
    assert last.best is not None
    assert (last.best.trial, last.best.fitness) == (best.trial, best.fitness)
    assert sum(last.endings.values()) == 30
    assert last.failures.get("diverged", 0) == sum(not r.fitness for r in records)


def test_only_the_best_trials_folder_stays(tmp_path: Path) -> None:
    """With workers that keep what beats the bar they were told, one folder is left."""
    bars: dict[int, float] = {}

    def note(_: int, message: object) -> None:
        if isinstance(message, Work):
            bars[message.trial] = message.keep_above

    def keep(report: Report) -> Report:
        for event in report.events:
            if isinstance(event, Result) and (event.fitness or -2) > bars[event.trial]:
                (tmp_path / "trials" / str(event.trial)).mkdir(parents=True)
        return report

    records = run(tmp_path, Workers(3, on_send=note, on_report=keep))
    best = max(records, key=lambda record: record.fitness or 0.0)
    assert [path.name for path in (tmp_path / "trials").iterdir()] == [str(best.trial)]


def test_all_folders_stay_on_request(tmp_path: Path) -> None:
    """With keep_trials = "all" the master removes none."""

    def keep(report: Report) -> Report:
        for event in report.events:
            if isinstance(event, Result):
                (tmp_path / "trials" / str(event.trial)).mkdir(parents=True)
        return report

    run(tmp_path, Workers(2, on_report=keep), keep="all")
    assert len(list((tmp_path / "trials").iterdir())) == 30


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_in_good_order(tmp_path: Path, number: int) -> None:
    """The workers are told to stop now, and the error says how to go on."""

    def interrupt(_: int, message: object) -> None:
        if isinstance(message, Work) and message.trial == 10:
            os.kill(os.getpid(), number)

    transport = Workers(2, on_send=interrupt)
    with pytest.raises(Interrupted, match=r"of 30 evaluations.*--resume") as caught:
        run(tmp_path, transport)
    assert caught.value.exit_code == 130
    assert [transport.sent[worker][-1] for worker in (1, 2)] == [Stop(now=True)] * 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_run_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    """With one worker, an interrupted and resumed run equals one in a single piece."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    for stop in (7, 8, 20, 30):

        def interrupt(_: int, message: object, stop: int = stop) -> None:
            if isinstance(message, Work) and message.trial == stop:
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(Interrupted):
            run(parts, Workers(1, on_send=interrupt))
    assert timeless(run(parts, Workers(1))) == timeless(run(whole, Workers(1)))


def test_a_run_goes_on_with_other_workers(tmp_path: Path) -> None:
    """A run of four workers goes on with one: no trial is lost, none has two results."""

    def interrupt(_: int, message: object) -> None:
        if isinstance(message, Work) and message.trial == 20:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        run(tmp_path, Workers(4, on_send=interrupt))
    before = [record for record in read_trials(tmp_path) if record.ending]
    after = run(tmp_path, Workers(1))
    assert len(after) == 30
    assert all(record in after for record in before)


def test_an_error_of_the_master_stops_the_workers(tmp_path: Path) -> None:
    """A master that cannot go on tells its workers to end before it says so."""

    class Disk(Exception):
        pass

    def fail(_: int, message: object) -> None:
        if isinstance(message, Work) and message.trial == 10:
            raise Disk

    transport = Workers(2, on_send=fail)
    with pytest.raises(Disk):
        run(tmp_path, transport)
    assert [transport.sent[worker][-1] for worker in (1, 2)] == [Stop(now=True)] * 2


def test_a_worker_that_does_not_leave_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that says no good-bye in time is ended by force."""
    monkeypatch.setattr("ribosome.runner.master._GRACE_S", 0.05)

    class Deaf(Workers):
        def send(self, worker: int, *messages: bytes) -> None:
            if worker != 2 or b"stop" not in messages[0]:
                super().send(worker, *messages)

    transport = Deaf(2)
    run(tmp_path, transport)
    assert transport.killed == [2]
