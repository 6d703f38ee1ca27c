"""What it costs to wait, and how fast an answer comes after a long wait.

Workers that have nothing to do, and workers whose trial says nothing, with a master that
hears nothing from them: the share of a core that each process takes, and the time of a
round trip to a worker after a second of silence.

    python -m bench.waiting --workers 3 --seconds 10
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from ribosome.runner.launch import mpi_argv
from ribosome.runner.local import LocalTransport
from ribosome.runner.messages import (
    Ready,
    Result,
    Setup,
    Stop,
    Work,
    decode_report,
    encode,
)
from ribosome.runner.mpi import MpiEndpoint, MpiTransport, join_world
from ribosome.runner.transport import Joined, Message, Transport
from ribosome.runner.worker import Worker

SHARE_GOAL = 0.03
ANSWER_GOAL_S = 0.010
_TICKS = os.sysconf("SC_CLK_TCK")
_TRIPS = 10
_SILENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Shares of a core; the times of round trips, in seconds."""

    master: float
    worker: float
    middle_s: float
    longest_s: float


def processor_s(pid: int) -> float:
    """The processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


class Bench:
    """A master without a search."""

    def __init__(self, transport: Transport, evaluator: str) -> None:
        self._transport = transport
        self._setup = Setup(b"{}", "/nowhere", 0, evaluator, heartbeat_s=60.0)
        self.pids: dict[int, int] = {}
        self.results = 0

    def wait(self, seconds: float, *, results: int = 1 << 30) -> None:
        """Listen for that long, or until there are so many results."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.results < results:
            for event in self._transport.poll(min(0.2, end - time.monotonic())):
                if isinstance(event, Joined):
                    self._transport.send(event.worker, encode(self._setup))
                elif isinstance(event, Message):
                    for said in decode_report(event.data).events:
                        if isinstance(said, Ready):
                            self.pids[event.worker] = said.pid
                        self.results += isinstance(said, Result)

    def shares(self, seconds: float) -> tuple[float, float]:
        """The master's share of a core, and the greatest of a worker."""
        pids = [os.getpid(), *self.pids.values()]
        before = [processor_s(pid) for pid in pids]
        began = time.monotonic()
        self.wait(seconds)
        elapsed = time.monotonic() - began
        master, *workers = (
            (processor_s(pid) - start) / elapsed
            for pid, start in zip(pids, before, strict=True)
        )
        return master, max(workers)

    def round_trip(self, worker: int) -> float:
        """Seconds from sending a trial to a worker that waits to its result."""
        self.wait(_SILENCE_S)
        began = time.monotonic()
        self._transport.send(worker, encode(Work(1, b"genome", 0)))
        self.wait(10.0, results=self.results + 1)
        return time.monotonic() - began


def measure(transport: Transport, workers: int, seconds: float, *, idle: bool) -> Cost:
    """Let all workers wait, with a trial each if not ``idle``, and dismiss them."""
    bench = Bench(transport, "noop" if idle else "noop:100000")
    while len(bench.pids) < workers:
        bench.wait(0.1)
    if not idle:
        for worker in bench.pids:
            transport.send(worker, encode(Work(worker, b"genome", 0)))
    bench.wait(1.0)
    master, worker_share = bench.shares(seconds)
    trips = [0.0]
    if idle:
        trips = [bench.round_trip(1 + trip % workers) for trip in range(_TRIPS)]
    for worker in bench.pids:
        transport.retire(worker)
        transport.send(worker, encode(Stop(now=True)))
    bench.wait(0.2)
    return Cost(master, worker_share, median(trips), max(trips))


def as_rank(workers: int, seconds: float, *, idle: bool) -> None:
    """What every process under mpiexec does."""
    world = join_world()
    assert world is not None
    if world.rank > 0:
        Worker(MpiEndpoint(world)).run()
        return
    with MpiTransport(world) as transport:
        print(json.dumps(asdict(measure(transport, workers, seconds, idle=idle))))


def over_mpi(workers: int, seconds: float, *, idle: bool) -> Cost:
    """The same in a fresh mpiexec."""
    program = [sys.executable, "-m", "bench.waiting", "--rank"]
    program += ["--workers", str(workers), "--seconds", str(seconds)]
    program += ["--idle"] if idle else []
    done = subprocess.run(
        mpi_argv(workers + 1, program), stdout=subprocess.PIPE, text=True, check=True
    )
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def with_processes(workers: int, seconds: float, *, idle: bool) -> Cost:
    """The same with local workers."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        transport = stack.enter_context(closing(LocalTransport(workers, folder)))
        return measure(transport, workers, seconds, idle=idle)


def main() -> None:
    """Print a table and whether the goals are reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rank", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--idle", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    workers, seconds = options.workers, options.seconds
    if options.rank:
        as_rank(workers, seconds, idle=options.idle)
        return
    print(f"{workers} workers, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("transport  workers    master  worst worker  answer: median   longest")
    costs = []
    for name, way in (("mpi", over_mpi), ("local", with_processes)):
        for idle in (True, False):
            cost = way(workers, seconds, idle=idle)
            costs.append(cost)
            answer = f"{1e3 * cost.middle_s:11.1f} ms {1e3 * cost.longest_s:6.1f} ms"
            print(
                f"{name:9}  {'idle' if idle else 'training':8} {cost.master:8.1%}"
                f"  {cost.worker:12.1%}  {answer if idle else ''}"
            )
    shares = max(max(cost.master, cost.worker) for cost in costs)
    longest = max(cost.longest_s for cost in costs)
    print(f"\nshare of a core under {SHARE_GOAL:.0%}: ", end="")
    print("reached" if shares < SHARE_GOAL else f"missed ({shares:.1%})")
    print(f"answer within {1e3 * ANSWER_GOAL_S:.0f} ms: ", end="")
    print("reached" if longest < ANSWER_GOAL_S else f"missed ({1e3 * longest:.1f} ms)")


if __name__ == "__main__":
    main()
