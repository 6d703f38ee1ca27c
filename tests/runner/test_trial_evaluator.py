"""The evaluator of genomes, with a backend that emits little and the fake trainer."""

import itertools
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from staging_kit import make_source
from trial_kit import HERE, PATIENCE_S, command, marked, until

from ribosome.backends.base import Command, Ending, Parser
from ribosome.backends.data import DataInfo
from ribosome.backends.pytorch.parser import LogParser
from ribosome.genome.codec import pack
from ribosome.genome.cost import cost
from ribosome.genome.decode import decode
from ribosome.genome.errors import UnsupportedOp
from ribosome.genome.network import Model
from ribosome.genome.space_file import load_space
from ribosome.genome.task import Task, Training
from ribosome.runner import trial_evaluator
from ribosome.runner.config import Config, RunnerConfig, TrainingConfig
from ribosome.runner.gpus import CUDA, Gpu
from ribosome.runner.messages import GivenBack, Result, Setup, Work
from ribosome.runner.trial_evaluator import TrialEvaluator, limits
from ribosome.search.variation import draw

SPACE = load_space("menndl")
GENES = draw(SPACE.groups, np.random.default_rng(1))
GENOME = pack(SPACE, GENES)
WHERE = f"worker 1 on {socket.gethostname()}"
DATA = DataInfo("", "squares", 1, 12, 12, 3, train=30, val=30)


class FakeBackend:
    """Emits one file, and trains with the fake trainer as ``behaviour`` says."""

    name = "fake"
    main_file = "network.txt"
    behaviour: tuple[str, ...] = ("ok",)
    error: Exception | None = None
    feed: Callable[[str], object] | None = None

    def emit(self, model: Model, task: Task) -> dict[str, str]:
        """One file, in a folder of its own."""
        if self.error is not None:
            raise self.error
        return {"deep/network.txt": f"{model.genome} for {task.name}\n"}

    def prepare(self, task: Task) -> str:  # noqa: ARG002
        """Nothing is needed."""
        return ""

    def command(
        self, folder: str, *, gpu: int | None, seed: int, save: str = ""
    ) -> Command:
        """The fake trainer; it needs to know nothing."""
        del folder, gpu, seed, save
        return command(*self.behaviour)

    def parser(self) -> Parser:
        """The PyTorch trainer's, or one with a fault."""
        parser = LogParser()
        if self.feed is not None:
            parser.feed = self.feed  # type: ignore[method-assign, assignment]
        return parser

    def ending(self, exit_code: int) -> Ending | None:
        """Exit code 4 is an invalid network."""
        return "invalid" if exit_code == 4 else None


class Worker:
    """An evaluator and what a worker does with it."""

    def __init__(self, folder: Path, backend: FakeBackend) -> None:
        self.folder = folder
        self.backend = backend
        self.evaluators: list[TrialEvaluator] = []

    def evaluator(self, gpu: Gpu | None = None, **runner: object) -> TrialEvaluator:
        """An evaluator with a GPU or none, under these settings of [runner]."""
        config = Config(runner=msgspec.convert(runner, RunnerConfig))
        setup = Setup(
            config=msgspec.json.encode(config),
            folder=str(self.folder),
            worker=1,
            gpu=gpu,
        )
        self.evaluators.append(TrialEvaluator(setup))
        return self.evaluators[-1]

    def run(
        self,
        *behaviour: str,
        genome: bytes = GENOME,
        keep_above: float = -1.0,
        **runner: object,
    ) -> Any:
        """The result of trial 7, or what was said instead of it."""
        self.backend.behaviour = behaviour
        evaluator = self.evaluator(**runner)
        evaluator.start(Work(trial=7, genome=genome, seed=1, keep_above=keep_above))
        return result_of(evaluator)

    @property
    def trial(self) -> Path:
        """The folder of trial 7."""
        return self.folder / "trials" / "7"


def result_of(evaluator: TrialEvaluator) -> Any:
    """What an evaluator reports, waited for as a worker waits."""
    deadline = time.monotonic() + PATIENCE_S
    while (result := evaluator.poll()) is None:
        assert time.monotonic() < deadline, "the trial does not end"
        select.select([evaluator.fileno()], [], [], 0.1)
    return result


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """A worker whose backend is fake; afterwards nothing of it may run."""
    backend = FakeBackend()
    monkeypatch.setenv("PYTHONPATH", HERE)
    monkeypatch.setenv("WORKER_MARKER", str(tmp_path))
    monkeypatch.setattr(trial_evaluator, "backend", lambda _: backend)
    monkeypatch.setattr(trial_evaluator, "find_data", str)
    data = replace(DATA, folder=str(make_source(tmp_path / "data")))
    monkeypatch.setattr(trial_evaluator, "read_info", lambda _: data)
    worker = Worker(tmp_path, backend)
    yield worker
    for evaluator in worker.evaluators:
        evaluator.close()
    assert not marked(str(tmp_path), servers=True)


@pytest.mark.parametrize("warm_start", [True, False])
def test_a_genome_becomes_a_result(worker: Worker, warm_start: bool) -> None:
    """A good genome's result holds its fitness, its cost and its times."""
    before = time.time()
    result = worker.run("ok", warm_start=warm_start)
    model = decode(SPACE, GENES, DATA.task(Training()))
    price = cost(model.network)
    assert result.ending == "ok"
    assert (result.trial, result.fitness, result.loss) == (7, 0.75, 0.5)
    assert result.batches_per_s == 50.0
    assert result.parameters == price.parameters
    assert result.flops_per_batch == price.training_flops * model.solver.batch_size
    assert before <= result.started_at <= result.finished_at <= time.time()
    assert 0.0 < result.seconds < PATIENCE_S
    assert result.message == ""


def test_the_emitted_files_stand_in_the_folder(worker: Worker) -> None:
    """The trial's folder holds what the backend emitted, and the log."""
    worker.run("ok")
    text = (worker.trial / "deep/network.txt").read_text()
    assert text.startswith("menndl")
    assert text.endswith(" for squares\n")
    assert (worker.trial / "log.txt").exists()


def test_what_a_cut_off_run_left_is_removed(worker: Worker) -> None:
    """A trial that is run again starts in an empty folder."""
    worker.trial.mkdir(parents=True)
    (worker.trial / "weights").write_text("old")
    worker.run("ok")
    assert not (worker.trial / "weights").exists()


def test_a_damaged_genome_is_invalid(worker: Worker) -> None:
    """Bytes that are no genome are a result and name the error."""
    result = worker.run("ok", genome=GENOME + b"\0")
    assert result.ending == "invalid"
    assert result.message


def test_what_a_backend_cannot_say_is_invalid(worker: Worker) -> None:
    """An error of ours in a backend is invalid, in its own words."""
    worker.backend.error = UnsupportedOp("no ELU in this framework")
    result = worker.run("ok")
    assert result.ending == "invalid"
    assert result.message == f"{WHERE}: no ELU in this framework"


def test_a_bug_in_a_backend_is_a_crash(worker: Worker) -> None:
    """Any other error is a crash that names the place in the code."""
    worker.backend.error = KeyError("fan_in")
    result = worker.run("ok")
    assert result.ending == "crashed"
    assert "KeyError: 'fan_in' (test_trial_evaluator.py:" in result.message


def test_a_failure_before_the_launch_is_news_at_once(worker: Worker) -> None:
    """Nobody waits for a trial that never ran."""
    worker.backend.error = KeyError("fan_in")
    evaluator = worker.evaluator()
    evaluator.start(Work(trial=7, genome=GENOME, seed=1))
    assert select.select([evaluator.fileno()], [], [], 0)[0]


def test_a_bug_in_a_parser_ends_the_trial_only(worker: Worker) -> None:
    """A parser that raises makes a crash, and its trainer is ended."""

    def fail(line: str) -> object:
        raise IndexError(line)

    worker.backend.feed = fail
    result = worker.run("hangs")
    assert result.ending == "crashed"
    assert result.message.startswith(f"{WHERE}: IndexError: alive")


def test_an_exit_code_is_read_by_the_backend(worker: Worker) -> None:
    """What the backend says of an exit code is the ending."""
    assert worker.run("exits", "4").ending == "invalid"


@pytest.mark.parametrize("then", ["ends", "hangs"])
def test_no_result_is_ever_nan(worker: Worker, then: str) -> None:
    """Accuracy 1 with a NaN loss has diverged: no fitness, no loss."""
    result = worker.run("diverges", then)
    assert (result.ending, result.fitness, result.loss) == ("diverged", None, None)


def test_the_stall_limit_is_the_configs(worker: Worker) -> None:
    """A silent trial ends as timeout."""
    assert worker.run("hangs", stall_limit_s=0.2).ending == "timeout"


@pytest.mark.parametrize(
    ("wall_limit_s", "time_limit_s", "expected"),
    [(0.0, 60.0, 180.0), (5.0, 60.0, 5.0), (0.0, 0.0, float("inf"))],
)
def test_the_wall_limit_follows_the_training_time(
    wall_limit_s: float, time_limit_s: float, expected: float
) -> None:
    """Without one of its own it is twice the training time and a minute."""
    config = Config(
        training=TrainingConfig(time_limit_s=time_limit_s),
        runner=RunnerConfig(wall_limit_s=wall_limit_s),
    )
    assert limits(config).wall_s == expected


@pytest.mark.parametrize(
    ("stall_limit_s", "time_limit_s", "expected"),
    [(0.0, 10.0, 120.0), (0.0, 600.0, 660.0), (5.0, 600.0, 5.0), (0.0, 0.0, 600.0)],
)
def test_the_stall_limit_follows_the_training_time(
    stall_limit_s: float, time_limit_s: float, expected: float
) -> None:
    """Without one of its own no network is ended for being as slow as it may be."""
    config = Config(
        training=TrainingConfig(time_limit_s=time_limit_s),
        runner=RunnerConfig(stall_limit_s=stall_limit_s),
    )
    assert limits(config).stall_s == expected


def test_the_log_limit_is_the_configs() -> None:
    """It is given in MiB."""
    assert limits(Config(runner=RunnerConfig(log_limit_mb=3))).log_bytes == 3 << 20


@pytest.mark.parametrize(
    ("keep_trials", "behaviour", "keep_above", "kept"),
    [
        ("best", "ok", 0.5, True),
        ("best", "ok", 0.75, False),
        ("best", "raises", 0.9, True),
        ("all", "ok", 0.9, True),
        ("none", "ok", 0.1, False),
        ("none", "raises", 0.1, False),
    ],
)
def test_folders_are_kept_as_asked(
    worker: Worker, keep_trials: str, behaviour: str, keep_above: float, kept: bool
) -> None:
    """Failures and new bests are kept, or all, or none."""
    worker.run(behaviour, keep_above=keep_above, keep_trials=keep_trials)
    assert worker.trial.exists() == kept


def test_cancel_ends_the_trial(worker: Worker) -> None:
    """A cancelled trial leaves neither processes, nor a folder, nor a result."""
    worker.backend.behaviour = ("hangs_with_child", "new")
    evaluator = worker.evaluator()
    evaluator.start(Work(trial=7, genome=GENOME, seed=1))
    log = worker.trial / "log.txt"
    until(lambda: evaluator.poll() is None and log.read_bytes() == b"alive\n")
    evaluator.cancel()
    assert marked(str(worker.folder)) == []
    assert not worker.trial.exists()
    assert evaluator.poll() is None
    assert evaluator.fileno() is None


def test_a_trial_that_somebody_ended_by_sigterm_is_given_back(worker: Worker) -> None:
    """With what was seen of it; its folder stays, as that of any failure does."""
    given = worker.run("signal", "15")
    assert given == GivenBack(
        7, f"{WHERE}: killed by signal 15 (SIGTERM): last words", charged=True
    )
    assert (worker.trial / "log.txt").read_text() == "last words\n"


def test_a_trial_without_its_data_is_given_back(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its network could do nobody knows; it is not charged with it."""
    monkeypatch.setattr(worker.backend, "prepare", lambda _: str(next(numbers)))
    numbers = itertools.count()
    given = worker.run("raises")
    assert isinstance(given, GivenBack)
    assert "was gone" in given.message
    assert not given.charged
    assert not worker.trial.exists()


@pytest.mark.parametrize("behaviour", ["raises", "exits 4", "out_of_memory"])
def test_a_trial_with_its_data_has_its_result(worker: Worker, behaviour: str) -> None:
    """Its failure is its own."""
    assert isinstance(worker.run(*behaviour.split()), Result)


def test_trials_follow_each_other(worker: Worker) -> None:
    """One evaluator takes one genome after the other, whatever became of the last."""
    evaluator = worker.evaluator()
    endings = []
    for trial, genome in enumerate([GENOME, b"", GENOME]):
        evaluator.start(Work(trial=trial, genome=genome, seed=1))
        endings.append(result_of(evaluator).ending)
    assert endings == ["ok", "invalid", "ok"]


def test_the_launchers_variables_do_not_reach_the_trainer(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an MPI launcher put into the worker's environment stays there."""
    monkeypatch.setenv("PMI_RANK", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    worker.run("tells")
    log = (worker.trial / "log.txt").read_text()
    assert "PMI_RANK" not in log
    assert '"OMP_NUM_THREADS": "1"' in log


@pytest.mark.parametrize("warm_start", [True, False])
def test_a_trainer_sees_the_gpu_that_its_worker_was_given(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, warm_start: bool
) -> None:
    """The master says which; what the worker itself could see does not count."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    worker.backend.behaviour = ("tells",)
    gpu = Gpu(CUDA, "2", "GPU-cccccccc-1")
    evaluator = worker.evaluator(gpu, warm_start=warm_start, trials_per_gpu=2)
    evaluator.start(Work(trial=7, genome=GENOME, seed=1))
    assert result_of(evaluator).ending == "ok"
    log = (worker.trial / "log.txt").read_text()
    assert '"CUDA_VISIBLE_DEVICES": "2"' in log
    assert '"RIBOSOME_GPU_SHARE": "0.500000"' in log
    assert evaluator.ready().gpu == "GPU 2 (GPU-cccccccc)"


def test_a_worker_without_a_gpu_says_so(worker: Worker) -> None:
    """Its trainers use the CPU."""
    assert worker.evaluator().ready().gpu is None
