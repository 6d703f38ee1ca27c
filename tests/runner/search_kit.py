"""What the tests of searches share: runs whose workers live in memory and measure costs."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
from run_kit import TIMES, Recorder, Workers

from ribosome.genome.codec import unpack
from ribosome.genome.cost import cost
from ribosome.genome.decode import decode
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS
from ribosome.runner.config import Config
from ribosome.runner.messages import Result, Work
from ribosome.runner.records import Record, read_trials
from ribosome.runner.resume import open_run
from ribosome.runner.run import lead
from ribosome.runner.schema import FILE

SPACE = "lenet"


class Killed(BaseException):
    """Stands for SIGKILL: the master ends where it is raised."""


def measured(work: Work, result: Result) -> Result:
    """A result with the costs of its network, and a speed that follows from them."""
    space = load_space(SPACE)
    model = decode(space, unpack(space, work.genome), DIGITS)
    price = cost(model.network)
    flops = float(price.training_flops * model.solver.batch_size)
    return msgspec.structs.replace(
        result,
        flops_per_batch=flops,
        parameters=price.parameters,
        batches_per_s=1.0 / (0.002 + flops * 1e-11),
        seconds=300 * (0.002 + flops * 1e-11),
    )


def search_config(**tables: dict[str, object]) -> Config:
    """A search of forty networks, but for what ``tables`` say."""
    settings: dict[str, dict[str, object]] = {
        "space": {"name": SPACE},
        "search": {"evaluations": 40, "population": 8, "seed": 1},
        "runner": {"workers": 1, "gpus": "none"},
    }
    for table, values in tables.items():
        settings.setdefault(table, {}).update(values)
    return msgspec.convert(settings, Config)


def searched(
    folder: Path,
    *,
    resume: bool = False,
    kill: int = 0,
    on_result: Callable[[Work, Result], Result] = measured,
    **tables: dict[str, object],
) -> list[Record]:
    """A run to its end, or until it is killed after ``kill`` commits; its trials."""
    config, watch = search_config(**tables), Recorder()
    run = open_run(config, folder, resume=resume, observer=watch, trains=False)
    commit, left = run.journal.commit, kill

    def killing(state: Callable[[], str]) -> None:
        nonlocal left
        commit(state)
        left -= 1
        if left == 0:
            raise Killed

    run.journal.commit = killing  # type: ignore[method-assign]
    with closing(run.journal):
        try:
            transport = Workers(1, on_result=on_result)
            lead(run, transport, folder, observer=watch, evaluator="noop")
        except Killed:
            assert kill
    return read_trials(folder)


def story(folder: Path) -> list[object]:
    """All that a journal says but times, with the state of the random numbers."""
    with closing(sqlite3.connect(folder / FILE)) as database:
        query = "SELECT asked, told, random_state FROM trials ORDER BY trial"
        steps = database.execute(query).fetchall()
    # A state stands with the last proposal of a commit only.
    last = [state for _, _, state in steps if state][-1]
    rows = [
        {
            key: value
            for key, value in msgspec.structs.asdict(record).items()
            if key not in TIMES
        }
        for record in read_trials(folder)
    ]
    return [rows, [step[:2] for step in steps], last]
