"""The whole of a trial with the real PyTorch trainer, on digits."""

import select
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from trial_kit import cheap_genome

from ribosome.genome.space_file import load_space
from ribosome.runner.config import Config, RunnerConfig, TrainingConfig
from ribosome.runner.messages import Result, Setup, Work
from ribosome.runner.trial_evaluator import WEIGHTS, TrialEvaluator

torch = pytest.importorskip("torch")

SPACE = load_space("menndl")

Train = Callable[[bool, Path], Result]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Trains one genome for a few iterations, warm or cold, in a run folder."""
    cache = tmp_path_factory.mktemp("cache")

    def run(warm_start: bool, folder: Path) -> Result:
        config = Config(
            training=TrainingConfig(max_iterations=5),
            runner=RunnerConfig(gpus="none", warm_start=warm_start),
        )
        data = msgspec.json.encode(config)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RIBOSOME_CACHE", str(cache))
            evaluator = TrialEvaluator(Setup(config=data, folder=str(folder), worker=1))
            evaluator.start(Work(trial=1, genome=cheap_genome(), seed=5))
        deadline = time.monotonic() + 60.0
        while (result := evaluator.poll()) is None:
            assert time.monotonic() < deadline, "the trial does not end"
            select.select([evaluator.fileno()], [], [], 0.2)
        evaluator.close()
        return result

    return run


def test_warm_and_cold_starts_agree(train: Train, tmp_path: Path) -> None:
    """The same genome and seed give the same fitness and the same weights."""
    results, weights = [], []
    for warm_start in (True, False):
        folder = tmp_path / str(warm_start)
        result = train(warm_start, folder)
        assert result.ending == "ok", result.message
        results.append((result.fitness, result.loss))
        path = folder / "trials" / "1" / WEIGHTS
        weights.append(torch.load(path, weights_only=True))
    assert results[0] == results[1]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name])
