"""Real training under [stopping]: what is stopped, rejected, kept and said of it."""

import math
from pathlib import Path
from statistics import median

import pytest

from ribosome.runner.config import (
    Config,
    RunnerConfig,
    SearchConfig,
    StoppingConfig,
    TrainingConfig,
)
from ribosome.runner.observer import Silent
from ribosome.runner.records import Record, read_best, read_rows, read_trials
from ribosome.runner.run import search
from ribosome.runner.savings import read_savings
from ribosome.tools.summary import ended_early

pytest.importorskip("torch")

ITERATIONS = 60


def run(folder: Path, stopping: StoppingConfig, *, evaluations: int) -> list[Record]:
    """A search on digits with the real trainer and one worker."""
    config = Config(
        training=TrainingConfig(max_iterations=ITERATIONS, time_limit_s=60.0),
        search=SearchConfig(evaluations=evaluations, population=8, guided=0),
        runner=RunnerConfig(workers=1, gpus="none"),
        stopping=stopping,
    )
    search(config, str(folder), resume=False, observer=Silent())
    return read_trials(folder)


def test_the_median_rule_stops_real_training(tmp_path: Path) -> None:
    """Whoever was stopped was below the median of those before it at some check."""
    stopping = StoppingConfig(rule="median", checks=3, grace=3)
    trials = run(tmp_path / "run", stopping, evaluations=12)
    stopped = [trial for trial in trials if trial.stopped]
    checks = {
        (trial, iteration): accuracy
        for trial, iteration, accuracy in read_rows(
            tmp_path / "run", "SELECT trial, iteration, accuracy FROM checks"
        )
    }
    for trial in stopped:
        assert trial.ending == "ok"
        assert trial.message is not None
        at = int(trial.message.split()[3])
        assert trial.message.startswith(f"stopped at iteration {at} of {ITERATIONS}: ")
        assert trial.fitness == checks[trial.trial, at]
        assert any(
            below(checks, trial.trial, iteration, grace=3)
            for iteration in (15, 30, 45)
            if iteration <= at
        )
    whole = [t for t in trials if t.ending == "ok" and not t.stopped]
    assert all(trial.iterations == ITERATIONS for trial in whole)
    assert stopped
    assert whole
    assert not read_best(tmp_path / "run", 1)[0].stopped
    savings = read_savings(tmp_path / "run")
    saved = sum(ITERATIONS - (trial.iterations or 0) for trial in stopped)
    assert (savings.stopped, savings.saved) == (len(stopped), saved)
    assert any(
        "stopped during training" in line for line in ended_early(tmp_path / "run")
    )


def below(
    checks: dict[tuple[int, int], float], trial: int, iteration: int, *, grace: int
) -> bool:
    """Whether a trial's best so far is below the median of the earlier ones' there."""

    def best(number: int) -> float:
        return max(
            checks.get((number, i), -math.inf) for i in (15, 30, 45) if i <= iteration
        )

    others = [best(n) for n in range(1, trial) if (n, iteration) in checks]
    reached = (trial, iteration) in checks and len(others) >= grace
    return reached and best(trial) < median(others)


def test_what_cannot_learn_is_no_evaluation(tmp_path: Path) -> None:
    """The run has its full number of networks that were trained."""
    trials = run(tmp_path / "run", StoppingConfig(check=True), evaluations=8)
    rejected = [trial for trial in trials if trial.rejected]
    assert len(trials) - len(rejected) == 8
    for trial in rejected:
        assert (trial.ending, trial.iterations) == ("invalid", 0)
        assert (trial.message or "").startswith("rejected before training: ")
    assert read_savings(tmp_path / "run").rejected == len(rejected)
