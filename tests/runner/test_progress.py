"""The master's side of checks: journalled, judged, and what comes of a stopped trial."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ribosome.genome.errors import RunError
from ribosome.runner import ledger
from ribosome.runner.config import StoppingConfig
from ribosome.runner.messages import Checked, Halt, Report, Result, Work
from ribosome.runner.noop import noop_fitness
from ribosome.runner.records import read_best, read_trials
from ribosome.runner.transport import Event
from tests.runner.run_kit import Recorder, Workers, tiny_master

MEDIAN = StoppingConfig(rule="median", checks=2, grace=5)


def fitness(work: Work) -> float:
    """The accuracy at any check of a trial."""
    return noop_fitness(work.genome) or 0.0


class Checking(Workers):
    """Workers whose trials have a check each, and do what they are told after it."""

    def __init__(self, count: int = 1, **options: object) -> None:
        super().__init__(count, **options)  # type: ignore[arg-type]
        self.halted: dict[int, str] = {}
        self.checked: set[int] = set()

    def _take(self, worker: int, data: bytes) -> None:
        before = len(self.sent.get(worker, []))
        super()._take(worker, data)
        for message in self.sent[worker][before:]:
            if isinstance(message, Halt):
                self.halted[message.trial] = message.why

    def _evaluate(self, worker: int, work: Work) -> Event:
        if work.trial not in self.checked:
            self.checked.add(work.trial)
            self._queues[worker].appendleft(work)
            return self._say(worker, Checked(work.trial, 100, fitness(work)))
        return super()._evaluate(worker, work)

    def _result(self, work: Work) -> Result:
        result = super()._result(work)
        if work.trial not in self.halted:
            return msgspec.structs.replace(result, iterations=300)
        why = f"stopped at iteration 100 of 300: {self.halted[work.trial]}"
        return Result(
            trial=work.trial,
            ending="ok",
            fitness=fitness(work),
            iterations=120,
            stopped=True,
            message=why,
        )


def run(folder: Path, workers: Workers, **options: object) -> None:
    """A run of the tiny language to its end."""
    folder.mkdir(exist_ok=True)
    master, journal = tiny_master(folder, workers, **options)  # type: ignore[arg-type]
    try:
        master.run()
    finally:
        journal.close()


def test_a_trial_below_the_median_is_halted_and_its_result_is_kept(
    tmp_path: Path,
) -> None:
    """Who was told so is what the rule says of the checks in their order."""
    workers = Checking()
    run(tmp_path, workers, stopping=MEDIAN)
    trials = read_trials(tmp_path)
    stopped = {trial.trial for trial in trials if trial.stopped}
    assert stopped == set(workers.halted)
    assert 5 < len(stopped) < 25
    for trial in trials:
        if trial.stopped:
            assert (trial.ending, trial.iterations) == ("ok", 120)
            assert (trial.message or "").startswith("stopped at iteration 100 of 300: ")


def test_without_a_rule_checks_are_journalled_and_nobody_is_halted(
    tmp_path: Path,
) -> None:
    """A later session may look at them."""
    workers = Checking()
    master, journal = tiny_master(tmp_path, workers)
    master.run()
    checks = list(journal.checks())
    journal.close()
    assert not workers.halted
    assert [check.trial for _, _, check in checks] == list(range(1, 31))
    assert all(has_ended and phase == "search" for phase, has_ended, _ in checks)


def test_a_run_that_goes_on_judges_as_one_that_was_never_interrupted(
    tmp_path: Path,
) -> None:
    """The same trials are stopped, from the checks in the journal."""
    whole = Checking()
    run(tmp_path / "whole", whole, stopping=MEDIAN, depth=1)
    first, second = Checking(), Checking()
    run(tmp_path / "parts", first, stopping=MEDIAN, evaluations=13, depth=1)
    run(tmp_path / "parts", second, stopping=MEDIAN, depth=1)
    assert first.halted | second.halted == whole.halted
    assert all(trial > 13 for trial in second.halted)


def test_a_stopped_trial_is_never_the_best(tmp_path: Path) -> None:
    """It has no weights, whatever its accuracy."""

    def stop(work: Work, result: Result) -> Result:
        if work.trial % 2 or result.ending != "ok":
            return result
        return msgspec.structs.replace(result, fitness=1.0, stopped=True)

    workers = Workers(1, on_result=stop)
    master, journal = tiny_master(tmp_path, workers, confirm=2)
    master.run()
    journal.close()
    trials = read_trials(tmp_path)
    assert master.tally.best is not None
    assert master.tally.best.trial % 2
    assert all(trial.trial % 2 for trial in read_best(tmp_path, 50))
    repeated = {trial.parents[0] for trial in trials if trial.phase == "confirm"}
    assert repeated
    assert all(trial % 2 for trial in repeated)
    master, journal = tiny_master(tmp_path, Workers(1), confirm=2)
    journal.close()
    assert master.tally.best is not None
    assert master.tally.best.trial % 2


def reject(some: Callable[[int], bool]) -> Callable[[Work, Result], Result]:
    """Has some trials rejected."""

    def change(work: Work, result: Result) -> Result:
        if not some(work.trial):
            return result
        message = "rejected before training: it is dead"
        return Result(work.trial, "invalid", message=message, rejected=True)

    return change


def test_a_rejected_network_is_no_evaluation(tmp_path: Path) -> None:
    """The run has its full number without it, also where it goes on."""
    third = reject(lambda trial: trial % 3 == 0)
    run(tmp_path / "whole", Workers(1, on_result=third))
    run(tmp_path / "parts", Workers(1, on_result=third), evaluations=11)
    run(tmp_path / "parts", Workers(1, on_result=third))
    trials = read_trials(tmp_path / "whole")
    counted = [trial for trial in trials if not trial.rejected]
    assert len(counted) == 30
    assert len(trials) == 44
    # The same at every point is proposed, in the same order.
    assert [t.genome for t in read_trials(tmp_path / "parts")] == [
        t.genome for t in trials
    ]


def test_a_repeat_that_is_rejected_counts(tmp_path: Path) -> None:
    """Nothing takes its place: the stage asks for so many repeats of that network."""
    workers = Workers(1, on_result=reject(lambda trial: trial > 30))
    run(tmp_path, workers, confirm=2)
    repeats = [trial for trial in read_trials(tmp_path) if trial.phase == "confirm"]
    assert len(repeats) == 4
    assert not any(trial.rejected for trial in repeats)
    assert all(trial.ending == "invalid" for trial in repeats)


def test_a_run_in_which_all_is_rejected_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an error that says so."""
    monkeypatch.setattr(ledger, "MOST_REJECTED", 20)
    workers = Workers(1, on_result=reject(lambda _: True))
    with pytest.raises(
        RunError, match=r"last 20 networks were all rejected.*it is dead"
    ):
        run(tmp_path, workers)


@pytest.mark.parametrize(
    "result",
    [
        Result(1, "diverged", stopped=True),
        Result(1, "ok", fitness=0.5, rejected=True),
    ],
)
def test_a_result_that_contradicts_itself_is_refused(
    tmp_path: Path, result: Result
) -> None:
    """A stopped trial is ok, a rejected one invalid; the worker is let go."""
    lies = [Report((result,))]

    def lie(report: Report) -> Report:
        ends = any(isinstance(event, Result) for event in report.events)
        return lies.pop() if ends and lies else report

    observer = Recorder()
    run(tmp_path, Workers(2, on_report=lie), observer=observer, evaluations=4)
    assert any("sends what is no report" in text for text in observer.warnings)
