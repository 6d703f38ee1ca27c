"""A search from its config to its end: over MPI under mpiexec, with local workers alone."""

import gc
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ribosome.runner.config import Config, encode_config
from ribosome.runner.local import LocalTransport
from ribosome.runner.master import Master
from ribosome.runner.messages import Setup
from ribosome.runner.mpi import MpiEndpoint, MpiTransport, join_world
from ribosome.runner.observer import Observer, Summary
from ribosome.runner.resume import open_run
from ribosome.runner.transport import Transport
from ribosome.runner.worker import Worker

if TYPE_CHECKING:
    from mpi4py import MPI


def search(
    config: Config,
    folder: str,
    *,
    resume: bool,
    observer: Observer,
    evaluator: str = "trial",
) -> Summary:
    """Search until ``config.search.evaluations`` trials have ended.

    Started by mpiexec, jsrun or srun as several ranks, rank 0 is the master and each other
    rank a worker, for which this does not return: it exits with code 0 at the end of the
    run. Started alone, ``config.runner.workers`` processes on this machine are the workers.

    ``evaluator`` is "trial", or "noop" to train nothing (`ribosome.runner.worker`).

    Raises Interrupted after SIGINT or SIGTERM, with the command that goes on, and RunError
    for a run that cannot start, go on, or find a worker.
    """
    path = Path(folder).absolute()
    world = join_world()
    if world is not None and world.rank > 0:
        _serve(world)
    transport: Transport
    with ExitStack() as stack:
        if world is not None:
            transport = stack.enter_context(closing(MpiTransport(world)))
        run = open_run(config, path, resume=resume, observer=observer)
        stack.callback(run.journal.close)
        if world is None:
            local = LocalTransport(config.runner.workers, path)
            transport = stack.enter_context(closing(local))
        setup = Setup(encode_config(run.config), str(path), 0, evaluator)
        stack.enter_context(_seldom_collected())
        Master(
            transport=transport,
            journal=run.journal,
            proposer=run.proposer,
            backlog=run.backlog,
            tally=run.tally,
            observer=observer,
            setup=setup,
            keep=config.runner.keep_trials,
        ).run()
    return run.tally.summary(str(path))


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Have Python look for cyclic garbage a hundred times less often.

    The strategy keeps every genome that it has proposed, and the collector would go through
    them again and again, to find nothing: 7 to 10 % of the master's time under load.
    """
    before = gc.get_threshold()
    gc.set_threshold(100 * before[0], *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _serve(world: "MPI.Intracomm") -> NoReturn:
    """Be a worker. What mpiexec passes on of Ctrl-C is for the master to act on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Worker(MpiEndpoint(world)).run()
    raise SystemExit(0)
