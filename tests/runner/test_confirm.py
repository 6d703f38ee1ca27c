"""The best are trained again before the best is named."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest
from run_kit import TIMES, Workers, tiny_master

from ribosome.runner.config import Config, encode_config
from ribosome.runner.confirmed import Confirmations
from ribosome.runner.journal import Journal
from ribosome.runner.messages import Report, Result, Work, encode
from ribosome.runner.observer import Summary
from ribosome.runner.proposer import trial_seed
from ribosome.runner.records import Record, read_confirmations, read_trials
from ribosome.runner.transport import Event, Message
from ribosome.runner.trial_folders import TRIALS


def noisy(work: Work, result: Result) -> Result:
    """The result with a deviation that the seed decides."""
    if result.fitness is None:
        return result
    deviation = np.random.default_rng(work.seed).uniform(-0.2, 0.2)
    fitness = float(np.clip(result.fitness + deviation, 0.0, 1.0))
    return msgspec.structs.replace(result, fitness=fitness)


def confirmed_run(
    folder: Path, workers: Workers | None = None, **options: object
) -> tuple[list[Record], Summary]:
    """A run to its end, of five networks trained again twice; its trials and summary."""
    folder.mkdir(exist_ok=True)
    wanted = {"evaluations": 30, "confirm": 5, **options}
    transport = workers or Workers(3, on_result=noisy)
    master, journal = tiny_master(folder, transport, **wanted)  # type: ignore[arg-type]
    with closing(journal):
        master.run()
    return read_trials(folder), master.tally.summary(str(folder))


def searched(records: list[Record]) -> list[Record]:
    """The trials of the search that have a fitness, the best first, the earlier of equals."""
    ok = [r for r in records if r.phase == "search" and r.fitness is not None]
    return sorted(ok, key=lambda record: (-(record.fitness or 0.0), record.trial))


def repeats(records: list[Record]) -> dict[int, list[Record]]:
    """The repeats by the trial that they repeat."""
    found: dict[int, list[Record]] = {}
    for record in records:
        if record.phase == "confirm":
            (parent,) = record.parents
            found.setdefault(parent, []).append(record)
    return found


@pytest.fixture(scope="module")
def confirmed(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[list[Record], Summary]:
    """A run of one worker."""
    return confirmed_run(
        tmp_path_factory.mktemp("run"), Workers(1, on_result=noisy), evaluations=30
    )


def test_the_best_are_trained_again(confirmed: tuple[list[Record], Summary]) -> None:
    """The five best of the search, twice each, after it, with the seeds of their numbers."""
    records, _ = confirmed
    best = [record.trial for record in searched(records)[:5]]
    found = repeats(records)
    assert list(found) == best
    assert [len(each) for each in found.values()] == [2] * 5
    assert [r.trial for r in records if r.phase == "confirm"] == list(range(31, 41))
    by_number = {record.trial: record for record in records}
    for parent, each in found.items():
        assert {record.genome for record in each} == {by_number[parent].genome}


def test_a_repeat_has_a_seed_of_its_own(tmp_path: Path) -> None:
    """That of its own trial number."""
    transport = Workers(1, on_result=noisy)
    confirmed_run(tmp_path / "run", transport)
    works = [sent for sent in transport.sent[1] if isinstance(sent, Work)]
    assert len(works) == 40
    assert [work.seed for work in works] == [trial_seed(1, w.trial) for w in works]


def test_the_winner_has_the_best_mean(confirmed: tuple[list[Record], Summary]) -> None:
    """Mean and sample standard deviation are those of the repeats alone."""
    records, summary = confirmed
    means = {
        parent: float(np.mean([record.fitness for record in each]))
        for parent, each in repeats(records).items()
    }
    best = max(means, key=lambda trial: means[trial])
    assert summary.best is not None
    assert summary.best.confirmed is not None
    assert summary.best.trial == best
    assert summary.best.confirmed.mean == pytest.approx(means[best])
    spread = np.std([r.fitness for r in repeats(records)[best]], ddof=1)
    assert summary.best.confirmed.spread == pytest.approx(float(spread))
    assert best != searched(records)[0].trial, "the noise should change the winner"


def test_without_confirming_the_journal_is_as_before(tmp_path: Path) -> None:
    """The search's own trials are the same with one worker; there is nothing else."""
    one = Workers(1, on_result=noisy)
    plain, summary = confirmed_run(tmp_path / "plain", one, confirm=0)
    again, _ = confirmed_run(tmp_path / "again", Workers(1, on_result=noisy))
    assert summary.best is not None
    assert (summary.best.trial, summary.best.confirmed) == (
        searched(plain)[0].trial,
        None,
    )

    def story(records: list[Record]) -> list[dict[str, object]]:
        rows = [msgspec.structs.asdict(r) for r in records if r.phase == "search"]
        return [{key: row[key] for key in row if key not in TIMES} for row in rows]

    assert len(plain) == 30
    assert story(plain) == story(again)


def test_a_late_trial_among_the_best_is_confirmed_too(tmp_path: Path) -> None:
    """A search trial that ends after confirming has begun pushes another out."""
    late: list[int] = []

    def slow(work: Work, result: Result) -> Result:
        """The search's last trial is the best of all."""
        if work.trial == 30:
            late.append(work.trial)
            return Result(30, "ok", 1.0)
        return noisy(work, result)

    transport = Holding(3, on_result=slow, hold=30, until=4)
    records, _ = confirmed_run(tmp_path / "run", transport)
    found = repeats(records)
    assert late == [30]
    assert transport.ended_before > 30, "confirming began before the trial ended"
    assert len(found[30]) == 2
    assert set(found) >= {record.trial for record in searched(records)[:5]}


class Holding(Workers):
    """Workers of which the one that has trial ``hold`` waits until ``until`` repeats."""

    def __init__(self, count: int, *, hold: int, until: int, **how: object) -> None:
        super().__init__(count, **how)  # type: ignore[arg-type]
        self._hold, self._until = hold, until
        self.ended = self.ended_before = 0

    def _evaluate(self, worker: int, work: Work) -> Event:
        if work.trial == self._hold and self.ended < 29 + self._until:
            self._queues[worker].appendleft(work)
            return Message(worker, encode(Report()))
        if work.trial == self._hold:
            self.ended_before = self.ended
        self.ended += 1
        return super()._evaluate(worker, work)


def test_a_network_that_fails_again_loses() -> None:
    """However good its other repeat is; it can win where all others have failed too."""
    made = Confirmations(2)
    for trial in (1, 2, 3):
        made.enter(trial, 0.9, "")
    made.add(1, 11, 0.99)
    made.add(1, 12, None)
    made.add(2, 21, 0.5)
    made.add(2, 22, 0.5)
    assert made.winner is not None
    assert made.winner.trial == 2
    others = Confirmations(2)
    for trial in (1, 2):
        others.enter(trial, 0.9, "")
        others.add(trial, 10 * trial, None)
        others.add(trial, 10 * trial + 1, 0.1 * trial)
    assert others.winner is not None
    assert (others.winner.trial, others.winner.failed) == (2, 1)


def test_where_every_repeat_has_failed_there_is_no_winner(tmp_path: Path) -> None:
    """The run then names the best of the search, as without confirming."""

    def failing(work: Work, result: Result) -> Result:
        if work.trial > 30:
            return Result(work.trial, "crashed")
        return noisy(work, result)

    records, summary = confirmed_run(tmp_path / "run", Workers(2, on_result=failing))
    assert summary.best is not None
    assert summary.best.trial == searched(records)[0].trial
    assert summary.best.confirmed is None
    assert summary.evaluated == 40


def test_of_equal_means_the_earlier_wins() -> None:
    """By the number of the first trial."""
    made = Confirmations(1)
    for trial in (7, 3, 5):
        made.enter(trial, 0.9, "")
        made.add(trial, 10 * trial, 0.5)
    assert made.winner is not None
    assert made.winner.trial == 3


def test_who_lacks_a_repeat_cannot_win() -> None:
    """It was pushed out before it had them all."""
    made = Confirmations(2)
    for trial in (1, 2):
        made.enter(trial, 0.9, "")
    made.add(1, 11, 1.0)
    assert made.winner is None
    made.add(2, 21, 0.1)
    made.add(2, 22, 0.1)
    assert made.winner is not None
    assert (made.winner.trial, made.winner.spread) == (2, 0.0)


def test_fewer_networks_than_were_to_be_confirmed(tmp_path: Path) -> None:
    """All that did not fail are, and the run ends."""
    records, summary = confirmed_run(tmp_path / "run", evaluations=4, confirm=50)
    assert len(repeats(records)) == len(searched(records))
    assert summary.evaluated == 4 + 2 * len(searched(records))


def test_a_lost_worker_costs_no_repeat(tmp_path: Path) -> None:
    """Its trial goes to another; one that takes two along counts as failed."""
    transport = Workers(2, deadly={31: 1, 33: 2}, on_result=noisy)
    records, _ = confirmed_run(tmp_path / "run", transport)
    endings = {record.trial: record.ending for record in records}
    assert (endings[31], endings[33]) == ("ok", "lost")
    assert len(records) == 40


def folders(run: Path) -> list[int]:
    """The folders of trials in a run."""
    return sorted(int(path.name) for path in (run / TRIALS).iterdir())


def making(folder: Path) -> Callable[[Work, Result], Result]:
    """Keep folders of trials as a worker does; the result is noisy."""

    def make(work: Work, result: Result) -> Result:
        result = noisy(work, result)
        if result.fitness is not None and result.fitness > work.keep_above:
            (folder / TRIALS / work.folder_name).mkdir(parents=True)
        return result

    return make


def test_the_folder_of_the_winner_stays(tmp_path: Path) -> None:
    """The best of its repeats; all others that did not fail are gone."""
    run = tmp_path / "run"
    _, summary = confirmed_run(run, Workers(3, on_result=making(run)))
    assert summary.best is not None
    assert summary.best.confirmed is not None
    assert folders(run) == [summary.best.confirmed.best]


def test_until_the_end_each_candidate_has_a_folder(tmp_path: Path) -> None:
    """One repeat's of each network, the fittest's."""
    run = tmp_path / "run"
    seen: list[tuple[set[int], set[int]]] = []
    make = making(run)

    def look(work: Work, result: Result) -> Result:
        if work.trial == 40:
            found = repeats(read_trials(run))
            best = [
                max(
                    (r for r in each if r.fitness is not None),
                    key=lambda record: record.fitness or 0.0,
                    default=None,
                )
                for each in found.values()
            ]
            seen.append(
                (set(folders(run)), {record.trial for record in best if record})
            )
        return make(work, result)

    records, _ = confirmed_run(run, Workers(1, on_result=look))
    ((there, wanted),) = seen
    assert there == wanted | {searched(records)[0].trial}


def test_a_reader_knows_the_winner(confirmed: tuple[list[Record], Summary]) -> None:
    """From the journal alone, what the search has said at its end."""
    _, summary = confirmed
    with closing(Journal(Path(summary.folder))) as journal:
        journal.amend(config=encode_config(Config()).decode())
    assert summary.best is not None
    found = read_confirmations(summary.folder)
    assert found.winner == summary.best.confirmed
    assert len(list(found)) == 5


def test_a_shorter_list_goes_on(tmp_path: Path) -> None:
    """A run that goes on with fewer networks to confirm knows the repeats that there are."""
    run = tmp_path / "run"
    first, _ = confirmed_run(run)
    records, summary = confirmed_run(run, confirm=1)
    assert [record.trial for record in records] == [record.trial for record in first]
    assert summary.evaluated == 40
    more, _ = confirmed_run(run, confirm=7)
    assert len(repeats(more)) == 7
    with closing(Journal(run)) as journal:
        assert journal.repeated() == frozenset(repeats(more))
