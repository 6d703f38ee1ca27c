"""Results per second of a run that trains nothing: wire, journal and search logic alone.

For each number of workers, over MPI and with local processes, beside the floor: a raw
mpi4py master that answers every message at once and keeps no books, in the same mpiexec.

    python bench/runner_throughput.py --workers 1 2 4 --results 20000
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import msgspec

from ribosome.runner.config import Config
from ribosome.runner.launch import mpi_argv
from ribosome.runner.observer import Silent
from ribosome.runner.run import search

GOAL = 5000
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


def measure(options: argparse.Namespace, workers: int) -> dict[str, float]:
    """Run a search that trains nothing; results per second and the master's CPU."""
    settings = {
        "space": {"name": options.space},
        "search": {"strategy": options.strategy, "evaluations": options.results},
        "runner": {
            "workers": max(1, workers),
            "gpus": "none",
            "queue": options.queue,
        },
    }
    config = msgspec.convert(settings, Config)
    with tempfile.TemporaryDirectory() as folder:
        cpu = time.process_time()
        summary = search(
            config, folder, resume=False, observer=Silent(), evaluator="noop"
        )
        cpu = time.process_time() - cpu
    return {
        "rate": summary.session / summary.seconds,
        "cpu_us": 1e6 * cpu / summary.session,
    }


def over_mpi(workers: int) -> dict[str, float]:
    """The same in a fresh mpiexec, with the floor."""
    program = [sys.executable, "-P", __file__, "--rank", *sys.argv[1:]]
    done = subprocess.run(
        mpi_argv(workers + 1, program), stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=int, default=20000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--queue", type=int, default=2, help="runner.queue")
    parser.add_argument("--space", default="menndl")
    parser.add_argument("--strategy", default="evolution")
    parser.add_argument("--rank", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank:
        raw = floor(options.results)
        print(json.dumps({"floor": raw, **measure(options, 0)}))
        return
    load = os.getloadavg()[0]
    print(f"space {options.space}, strategy {options.strategy}, ", end="")
    print(f"{options.results} results, {os.cpu_count()} cores, load {load:.1f}\n")
    print("workers  transport  results/s  master CPU  raw mpi4py floor")
    for workers in options.workers:
        mpi, local = over_mpi(workers), measure(options, workers)
        print(
            f"{workers:7}  mpi        {mpi['rate']:9.0f}  {mpi['cpu_us']:7.0f} us"
            f"  {mpi['floor']:16.0f}"
        )
        print(
            f"{workers:7}  local      {local['rate']:9.0f}  {local['cpu_us']:7.0f} us"
        )
        if workers == 2:
            verdict = "reached" if mpi["rate"] >= GOAL else "missed"
            print(f"         goal over MPI with 2 workers: {GOAL}, {verdict}")


if __name__ == "__main__":
    main()
