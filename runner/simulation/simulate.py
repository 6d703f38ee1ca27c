"""A whole search by the real master on a simulated machine, and what it took."""

import os
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter, process_time

from ribosome.runner.config import Config
from ribosome.runner.observer import Observer, Silent, Summary
from ribosome.runner.resume import open_run
from ribosome.runner.run import lead
from ribosome.runner.simulation.machine import SimulatedMachine
from ribosome.runner.tally import Tally


@dataclass(frozen=True, slots=True)
class Figures:
    """What a simulated search took; times are virtual seconds, unless they are called real.

    ``summary`` has the number of networks and the time from the first poll to the last
    result. ``fed_s`` is when every worker had its first trial; from then until no new ones
    came are ``networks_per_s`` and ``utilisation``, the busy share of the workers; all three
    are None where there was no such time. A wait lies between two trials of a worker.

    ``master_us`` is the real time that the master takes for a result, in microseconds, and
    ``master_load`` all of that over the run's virtual time. ``bytes_per_network`` is by how
    much this process grew: an upper limit of the master's part. ``real_s`` and ``real_cpu_s``
    are what the simulation took here.
    """

    summary: Summary
    workers: int
    fed_s: float | None
    networks_per_s: float | None
    utilisation: float | None
    mean_wait_s: float
    longest_wait_s: float
    messages: int
    master_us: float
    master_load: float
    bytes_per_network: float
    real_s: float
    real_cpu_s: float


def simulate(
    config: Config,
    machine: SimulatedMachine,
    *,
    folder: str | Path,
    observer: Observer | None = None,
) -> Figures:
    """Search for ``config.search.evaluations`` networks on a simulated machine.

    ``config.runner.workers`` does not count: the machine has its own. ``folder`` becomes the
    folder of an ordinary run, only that no trial has files. Raises what
    `ribosome.runner.run.search` raises.
    """
    path = Path(folder).absolute()
    watch = observer or Silent()
    run = open_run(config, path, resume=False, observer=watch, trains=False)
    run = replace(run, tally=Tally(run.program.total, machine.clock))
    with closing(run.journal), closing(machine):
        before, began, cpu = _resident_bytes(), perf_counter(), process_time()
        lead(
            run,
            machine,
            path,
            observer=watch,
            evaluator="simulated",
            clock=machine.clock,
        )
        real_s, real_cpu_s = perf_counter() - began, process_time() - cpu
        grown = _resident_bytes() - before
    summary = run.tally.summary(str(path))
    networks, meter = summary.session, machine.meter
    return Figures(
        summary=summary,
        workers=machine.workers,
        fed_s=meter.fed_at,
        networks_per_s=meter.ended_per_s,
        utilisation=meter.utilisation,
        mean_wait_s=meter.wait_s / max(1, meter.waits),
        longest_wait_s=meter.longest_wait_s,
        messages=meter.messages_in + meter.messages_out,
        master_us=1e6 * machine.clock.master_s / networks,
        master_load=machine.clock.master_s / max(1e-9, summary.seconds),
        bytes_per_network=grown / networks,
        real_s=real_s,
        real_cpu_s=real_cpu_s,
    )


def _resident_bytes() -> int:
    """What this process holds of memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
