"""A search from its config to its end: over MPI under mpiexec, with local workers alone."""

import gc
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

from ribosome.runner.clock import Clock
from ribosome.runner.config import Config, encode_config
from ribosome.runner.gpus import Gpu, visible_gpus
from ribosome.runner.launch import survives_death
from ribosome.runner.local import LocalTransport
from ribosome.runner.master import Master
from ribosome.runner.messages import Setup
from ribosome.runner.mpi import MpiEndpoint, MpiTransport, join_world, leave
from ribosome.runner.nodes import gather_places
from ribosome.runner.observer import Observer, Summary
from ribosome.runner.placement import local_places, place_workers
from ribosome.runner.resume import Run, open_run
from ribosome.runner.signals import let_through
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
    """Search until ``config.search.evaluations`` trials have ended, and confirm the best.

    Started by mpiexec, jsrun or srun as several ranks, rank 0 is the master and each other
    rank a worker, for which this does not return: it exits with code 0 at the end of the
    run. Started alone, ``config.runner.workers`` processes on this machine are the workers;
    "auto" are as many as it has GPUs for, or cores.

    ``evaluator`` is "trial", or "noop" to train nothing (`ribosome.runner.worker`).

    Raises Interrupted after SIGINT or SIGTERM, with the command that goes on, and RunError
    for a run that cannot start, go on, find a worker, or a GPU for each worker.
    """
    path = Path(folder).absolute()
    world = join_world()
    if world is None:
        places = local_places(config, _usable_gpus(config))
    else:
        if world.rank > 0:
            gather_places(world, _usable_gpus(config))
            _serve(world)
        places = gather_places(world, ())  # the master trains nothing
    transport: Transport
    with ExitStack() as stack:
        if world is not None:
            transport = stack.enter_context(MpiTransport(world))
        gpus = place_workers(places, config.runner, "local" if world is None else "mpi")
        if not gpus and config.runner.gpus != "none":
            observer.warn("no GPU is visible: trials train on the CPU")
        trains = evaluator == "trial"
        run = open_run(config, path, resume=resume, observer=observer, trains=trains)
        stack.callback(run.journal.close)
        if world is None:
            local = LocalTransport(len(places), path)
            transport = stack.enter_context(closing(local))
        lead(run, transport, path, observer=observer, evaluator=evaluator, gpus=gpus)
    return run.tally.summary(str(path))


def lead(
    run: Run,
    transport: Transport,
    folder: Path,
    *,
    observer: Observer,
    evaluator: str,
    gpus: Mapping[int, Gpu] = MappingProxyType({}),
    clock: Clock | None = None,
) -> None:
    """Be the master of an open run to its end; see `search`."""
    with _seldom_collected():
        Master(
            transport=transport,
            journal=run.journal,
            program=run.program,
            backlog=run.backlog,
            tally=run.tally,
            observer=observer,
            setup=Setup(
                encode_config(run.config),
                str(folder),
                0,
                evaluator,
                heartbeat_s=run.config.runner.heartbeat_s,
            ),
            keep=run.config.runner.keep_trials,
            stopping=run.config.stopping,
            gpus=gpus,
            quarantine=run.config.runner.quarantine,
            depth=run.config.runner.queue,
            clock=clock,
        ).run()


def _usable_gpus(config: Config) -> tuple[Gpu, ...]:
    return () if config.runner.gpus == "none" else visible_gpus(os.environ)


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
    let_through()  # trainers would inherit that they are held back
    endpoint = MpiEndpoint(world)
    Worker(endpoint).run()
    # Where ranks may be dead, MPI's own end could wait for them for ever.
    if survives_death():
        leave(1 if endpoint.closed else 0)
    raise SystemExit(0)
