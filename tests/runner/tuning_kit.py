"""What the tests of tuning share: runs of the lenet space whose workers live in memory."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest
from run_kit import Recorder, Workers

from ribosome.genome.space_file import load_space
from ribosome.runner.config import Config
from ribosome.runner.drawing import Draws
from ribosome.runner.journal import Journal
from ribosome.runner.messages import Model, Result, Work
from ribosome.runner.models import ModelRecord
from ribosome.runner.observer import Summary
from ribosome.runner.records import Record, read_trials
from ribosome.runner.resume import Run, open_run
from ribosome.runner.run import lead
from ribosome.runner.transport import Event
from ribosome.search import svm

SEARCHED = 6
"""Networks of the search before."""


@pytest.fixture(scope="module")
def quick_fits() -> Iterator[None]:
    """Fits that try one C and one gamma."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(svm, "C_GRID", (10.0,))
        patch.setattr(svm, "GAMMA_GRID", (0.01,))
        yield


def tuned_config(**tables: dict[str, object]) -> Config:
    """A short search, then sixty sets of hyperparameters, but for what ``tables`` say."""
    settings: dict[str, dict[str, object]] = {
        "space": {"name": "lenet"},
        "search": {"evaluations": SEARCHED, "population": 4, "seed": 1},
        "tune": {"evaluations": 60, "rounds": 1},
        "runner": {"workers": 2, "gpus": "none"},
    }
    for table, values in tables.items():
        settings.setdefault(table, {}).update(values)
    return msgspec.convert(settings, Config)


def smooth(work: Work, result: Result) -> Result:
    """A fitness that a model can learn: the mean of its inputs, which are from 0 to 1."""
    if not work.template:
        return result
    draws = Draws(load_space("lenet"))
    draws.learn(Model(1, work.template))
    fitness = float(np.mean(draws.vector(1, work.genome)))
    return msgspec.structs.replace(result, ending="ok", fitness=fitness, message="")


class TunedWorkers(Workers):
    """Workers that draw by the models that they themselves were sent.

    They wait for a model that is fitted, so that what they draw does not depend on how busy
    the machine is; ``patient`` False has them go on.
    """

    def __init__(self, count: int, *, patient: bool = True, **how: object) -> None:
        how.setdefault("on_result", smooth)
        super().__init__(count, **how)  # type: ignore[arg-type]
        self.run: Run | None = None
        self.works: list[tuple[int, Work]] = []
        self._patient = patient
        self._draws: dict[int, Draws] = {}

    def poll(self, timeout: float) -> list[Event]:
        """Let every worker do one trial, unless a model is awaited."""
        assert self.run is not None
        tuning = self.run.program.tuning
        if self._patient and tuning is not None and tuning._fitting is not None:
            tuning._fitting._thread.join()
            return []
        return super().poll(timeout)

    def _take(self, worker: int, data: bytes) -> None:
        super()._take(worker, data)
        message = self.sent[worker][-1]
        if isinstance(message, Model):
            self._draws[worker].learn(message)
        elif isinstance(message, Work):
            self.works.append((worker, message))

    def _evaluate(self, worker: int, work: Work) -> Event:
        if work.model:
            prepared = self._draws[worker].prepared(work)
            self._drawn = b"" if work.genome else prepared.genome
            work = prepared
        else:
            self._drawn = b""
        return super()._evaluate(worker, work)

    def _result(self, work: Work) -> Result:
        result = super()._result(work)
        return msgspec.structs.replace(result, genome=self._drawn or result.genome)

    def join(self, worker: int) -> None:
        """A process that knows no model."""
        self._draws[worker] = Draws(load_space("lenet"))


def tuned_run(
    folder: Path,
    transport: TunedWorkers | None = None,
    *,
    resume: bool = False,
    observer: Recorder | None = None,
    **tables: dict[str, object],
) -> tuple[list[Record], Summary]:
    """A run to its end; its trials and its summary."""
    watch = observer or Recorder()
    config = tuned_config(**tables)
    run = open_run(config, folder, resume=resume, observer=watch, trains=False)
    transport = transport or TunedWorkers(2)
    transport.run = run
    with closing(run.journal):
        lead(run, transport, folder, observer=watch, evaluator="noop")
    return read_trials(folder), run.tally.summary(str(folder))


def models_of(folder: Path) -> list[ModelRecord]:
    """The models in a run's journal."""
    with closing(Journal(folder)) as journal:
        return journal.models()


def tuned(records: list[Record]) -> list[Record]:
    """The trials of the tuning phase."""
    return [record for record in records if record.phase == "tune"]
