"""Results per second of a run that trains nothing: wire, journal and search logic alone.

For each number of workers, over MPI and with local processes, beside the floor: a raw
mpi4py master that answers every message at once and keeps no books, in the same mpiexec.

    python -m bench.runner_throughput --workers 1 2 4 --results 20000 --rounds 5

With ``--growth --results 1000000`` instead: one long run over MPI, its rate from the first
thousand results to the last hundred thousands, and what the master's memory grows by.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from ribosome.runner.config import Config
from ribosome.runner.launch import mpi_argv
from ribosome.runner.observer import Silent
from ribosome.runner.run import search

GOALS = {2: 5_000, 4: 10_000}
"""Results per second over MPI, by workers."""

_TAG = 9
_REQUEST = bytes(80)
_REPLY = bytes(150)


def floor(results: int) -> float:
    """Results per second of a master that does nothing; every rank calls this."""
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    buffer = bytearray(1000)
    world.Barrier()
    began = time.perf_counter()
    if world.rank > 0:
        while True:
            status = MPI.Status()
            world.Recv([buffer, MPI.BYTE], 0, MPI.ANY_TAG, status)
            if status.Get_tag() != _TAG:
                return 0.0
            world.Send([_REPLY, MPI.BYTE], 0, _TAG)
    for worker in range(1, world.size):
        for _ in range(2):
            world.Send([_REQUEST, MPI.BYTE], worker, _TAG)
    status = MPI.Status()
    for _ in range(results):
        world.Recv([buffer, MPI.BYTE], MPI.ANY_SOURCE, _TAG, status)
        world.Send([_REQUEST, MPI.BYTE], status.Get_source(), _TAG)
    seconds = time.perf_counter() - began
    for _ in range(2 * (world.size - 1)):
        world.Recv([buffer, MPI.BYTE], MPI.ANY_SOURCE, _TAG)
    for worker in range(1, world.size):
        world.Send([b"", MPI.BYTE], worker, _TAG + 1)
    return results / seconds


def measure(
    options: argparse.Namespace, workers: int, folder: str | None = None
) -> dict[str, float]:
    """Run a search that trains nothing: results per second, the master's CPU and memory."""
    settings = {
        "space": {"name": options.space},
        "search": {
            "strategy": options.strategy,
            "evaluations": options.results,
            "guided": 0,
        },
        "runner": {
            "workers": max(1, workers),
            "gpus": "none",
            "queue": options.queue,
        },
    }
    config = msgspec.convert(settings, Config)
    with tempfile.TemporaryDirectory() as scratch:
        folder = folder or scratch
        cpu, memory = time.process_time(), resident()
        summary = search(
            config, folder, resume=False, observer=Silent(), evaluator="noop"
        )
        cpu = time.process_time() - cpu
    return {
        "rate": summary.session / summary.seconds,
        "cpu_us": 1e6 * cpu / summary.session,
        "bytes": (resident() - memory) / summary.session,
    }


def resident() -> int:
    """Bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def over_mpi(workers: int) -> dict[str, Any]:
    """The same in a fresh mpiexec, with the floor."""
    program = [sys.executable, "-P", __file__, "--rank", *sys.argv[1:]]
    done = subprocess.run(
        mpi_argv(workers + 1, program), stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def growth(options: argparse.Namespace) -> None:
    """The rate of one long run, from its first results to its last, and its memory."""
    from ribosome.runner.records import iter_trials

    with tempfile.TemporaryDirectory() as folder:
        found = measure(options, 0, folder)
        ends = sorted(record.finished_at or 0.0 for record in iter_trials(folder))
    rates = {}
    for tens in range(3, int(math.log10(options.results)) + 1):
        first, last = (10 ** (tens - 1) if tens > 3 else 0), 10**tens - 1
        rates[f"{first:,} to {last + 1:,}"] = (last - first) / (
            ends[last] - ends[first]
        )
    print(json.dumps({"rates": rates, **found}))


def shown(found: list[dict[str, float]], key: str) -> str:
    """The median of the rounds, the smallest and the largest."""
    values = sorted(round_[key] for round_ in found)
    return f"{statistics.median(values):.0f} ({values[0]:.0f} to {values[-1]:.0f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=int, default=20000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--queue", type=int, default=2, help="runner.queue")
    parser.add_argument("--space", default="menndl")
    parser.add_argument("--strategy", default="evolution")
    parser.add_argument("--rank", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--growth", action="store_true")
    options = parser.parse_args()
    if options.rank:
        if options.growth:
            growth(options)
            return
        raw = floor(options.results)
        print(json.dumps({"floor": raw, **measure(options, 0)}))
        return
    load = os.getloadavg()[0]
    print(f"space {options.space}, strategy {options.strategy}, ", end="")
    print(f"runner.queue {options.queue}, {os.cpu_count()} cores, load {load:.1f}\n")
    if options.growth:
        workers = options.workers[-1]
        found = over_mpi(workers)
        rates = found.pop("rates")
        print(f"one run of {options.results:,} results over MPI, {workers} workers")
        for span, rate in rates.items():
            print(f"{span:>24}  {rate:7.0f} results/s")
        spread = max(rates.values()) / min(rates.values()) - 1.0
        print(f"the fastest is {spread:.0%} above the slowest (goal 20 %)")
        print(
            f"memory of the master: {found['bytes']:.0f} bytes for a result (goal 1000)"
        )
        return
    print(f"{options.results} results, medians of {options.rounds}")
    print("workers  transport  results/s  master CPU in us  raw mpi4py floor")
    for workers in options.workers:
        mpi, local = [], []
        for _ in range(options.rounds):
            mpi.append(over_mpi(workers))
            local.append(measure(options, workers))
        print(
            f"{workers:7}  mpi    {shown(mpi, 'rate')}  {shown(mpi, 'cpu_us')}"
            f"  {shown(mpi, 'floor')}"
        )
        print(f"{workers:7}  local  {shown(local, 'rate')}  {shown(local, 'cpu_us')}")
        if workers in GOALS:
            reached = statistics.median(found["rate"] for found in mpi)
            verdict = "reached" if reached >= GOALS[workers] else "missed"
            print(f"         goal over MPI: {GOALS[workers]}, {verdict}", flush=True)


if __name__ == "__main__":
    main()
