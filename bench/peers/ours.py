"""Ribosome's own measurement, as a program beside those of the peers.

Started by mpiexec, rank 0 is the master and each other rank a worker.
"""

import argparse
import json

from bench.peers.job import Job, told
from bench.runner_throughput import floor, measure
from ribosome.runner.launch import launched_rank, launched_ranks


def rate(job: Job) -> float:
    """Results per second of a search; of the variant "floor" what raw mpi4py reaches."""
    if job.variant == "floor":
        return floor(job.evaluations)
    options = argparse.Namespace(
        space="menndl",
        strategy=job.variant,
        results=job.evaluations,
        queue=job.queue,
    )
    workers = 0 if launched_ranks() > 1 else job.workers
    return measure(options, workers)["rate"]


def main() -> None:
    """Run on every rank; the answer is the master's."""
    job = told()
    found = rate(job)
    if launched_rank() == 0:  # the floor's workers come here too
        print(json.dumps({"rate": found, "done": job.evaluations}))


if __name__ == "__main__":
    main()
