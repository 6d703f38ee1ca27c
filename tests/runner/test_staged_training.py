"""Trials that read only their node's copy, with the real trainers, on digits."""

import select
import shutil
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import pytest
from trial_kit import cheap_genome

from ribosome.backends.caffe import backend as caffe_backend
from ribosome.backends.digits import make_digits
from ribosome.genome.errors import ConfigError
from ribosome.genome.space_file import load_space
from ribosome.runner.config import (
    BackendConfig,
    Config,
    RunnerConfig,
    TaskConfig,
    TrainingConfig,
)
from ribosome.runner.messages import (
    Left,
    Result,
    Setup,
    Stop,
    Work,
    decode_report,
    encode,
)
from ribosome.runner.observer import Silent
from ribosome.runner.resume import open_run
from ribosome.runner.trial_evaluator import TrialEvaluator
from ribosome.runner.worker import Worker

SPACE = load_space("menndl")


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """A node's storage, on which nothing may be left."""
    folder = tmp_path / "room"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Digits, as a data folder of the user's."""
    make_digits(tmp_path / "digits")
    return tmp_path / "digits"


def setup_of(
    folder: Path, source: Path, room: Path, *, worker: int = 1, **other: object
) -> Setup:
    """A worker that stages its data."""
    config = Config(
        task=TaskConfig(data=str(source)),
        training=TrainingConfig(max_iterations=5),
        runner=RunnerConfig(gpus="none", stage=str(room), keep_trials="all"),
    )
    config = msgspec.structs.replace(config, **other)
    data = msgspec.json.encode(config)
    return Setup(config=data, folder=str(folder), worker=worker)


def evaluator(
    folder: Path, source: Path, room: Path, **other: object
) -> TrialEvaluator:
    """The evaluator of such a worker."""
    return TrialEvaluator(setup_of(folder, source, room, **other))


def train(evaluator: TrialEvaluator, trial: int) -> Result:
    """The result of the cheap genome."""
    evaluator.start(Work(trial=trial, genome=cheap_genome(), seed=5))
    deadline = time.monotonic() + 120.0
    while (result := evaluator.poll()) is None:
        assert time.monotonic() < deadline, "the trial does not end"
        select.select([evaluator.fileno()], [], [], 0.2)
    return result


def test_trials_need_no_source_once_it_is_staged(
    tmp_path: Path, source: Path, room: Path
) -> None:
    """With the data folder gone, two workers of a node train as they did with it."""
    pytest.importorskip("torch")
    with closing(evaluator(tmp_path / "a", source, Path("none"))) as unstaged:
        expected = train(unstaged, 1)
    size = sum(path.stat().st_size for path in source.iterdir())
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                closing(evaluator(tmp_path / "b", source, room, worker=number))
            )
            for number in (1, 2)
        ]
        shutil.rmtree(source)
        readys = [worker.ready() for worker in workers]
        results = [train(worker, trial) for trial, worker in enumerate(workers)]
    assert [result.ending for result in results] == ["ok", "ok"], results
    assert [result.fitness for result in results] == [expected.fitness] * 2
    assert [result.loss for result in results] == [expected.loss] * 2
    assert [ready.bytes_read for ready in readys] == [size, 0]
    assert all(Path(ready.staged).is_relative_to(room) for ready in readys)
    assert not any(ready.warning for ready in readys)


def test_an_unstaged_worker_says_so(tmp_path: Path, source: Path) -> None:
    """It is ready all the same, and the reason goes to the master."""
    with closing(evaluator(tmp_path, source, Path("/nowhere"))) as worker:
        ready = worker.ready()
    assert ready.staged == ""
    assert ready.bytes_read == 0
    assert "/nowhere: No such file" in ready.warning


@pytest.mark.parametrize("layer", ["lmdb", "hdf5"])
def test_caffes_form_of_the_data_is_on_the_node_too(
    tmp_path: Path,
    source: Path,
    room: Path,
    layer: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is made there once, emitted prototxt names it, and it is removed with the copy."""
    monkeypatch.setattr(caffe_backend, "find_caffe", lambda: "caffe")
    monkeypatch.setattr(caffe_backend, "caffe_version", lambda _: "1.0.0")
    # No caffe here: what was emitted is enough.
    monkeypatch.setenv("RIBOSOME_CAFFE", "/bin/false")
    settings = {
        "backend": BackendConfig(name="caffe"),
        "training": TrainingConfig(max_iterations=5, data_layer=layer),
    }
    with closing(evaluator(tmp_path, source, room, **settings)) as worker:
        train(worker, 1)
        text = (tmp_path / "trials" / "1" / "train_val.prototxt").read_text()
        named = [
            Path(line.partition('"')[2].rstrip('"'))
            for line in text.splitlines()
            if line.strip().startswith("source:")
        ]
        assert len(named) == 2
        assert all(path.is_relative_to(room) and path.exists() for path in named)
    assert not (source / "caffe").exists()


def test_a_backend_that_cannot_start_leaves_no_copy(
    tmp_path: Path, source: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fixture looks whether anything is left."""
    monkeypatch.setenv("RIBOSOME_CAFFE", "/nowhere/caffe")
    with pytest.raises(ConfigError):
        evaluator(tmp_path, source, room, backend=BackendConfig(name="caffe"))


def test_a_staged_run_makes_no_form_of_the_shared_data(
    tmp_path: Path, source: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The master, which trains nothing, asks for Caffe and leaves the images alone."""
    monkeypatch.setattr(caffe_backend, "find_caffe", lambda: "caffe")
    monkeypatch.setattr(caffe_backend, "caffe_version", lambda _: "1.0.0")
    config = Config(
        task=TaskConfig(data=str(source)),
        backend=BackendConfig(name="caffe"),
        runner=RunnerConfig(stage=str(room)),
    )
    run = open_run(config, tmp_path / "run", resume=False, observer=Silent())
    run.journal.close()
    assert not (source / "caffe").exists()


class Endpoint:
    """A master that sets a worker up, and lets it go at the third look."""

    def __init__(self, setup: Setup) -> None:
        self._messages = deque([[setup], [], [Stop(now=True)]])
        self.events: list[object] = []

    def fileno(self) -> int | None:
        """Nothing to wait on."""
        return None

    def receive(self) -> list[bytes]:
        """The messages of one look."""
        return [encode(message) for message in self._messages.popleft()]

    def send(self, data: bytes) -> None:
        """Keep the events of a report."""
        self.events.extend(decode_report(data).events)


def test_a_worker_that_is_let_go_does_not_copy_on(
    tmp_path: Path, source: Path, room: Path
) -> None:
    """A Stop ends the copy, and what there is of it is removed: no need for a kill."""
    master = Endpoint(setup_of(tmp_path, source, room))
    Worker(master).run()
    assert master.events == [Left()]
