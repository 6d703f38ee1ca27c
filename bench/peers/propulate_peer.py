"""Propulate's asynchronous genetic algorithm: one island of all MPI ranks, each a worker.

Every rank breeds from its own copy of the population, evaluates, and sends the result to
all others; with each generation one of them writes the whole population as a checkpoint.
"""

import logging
import random
import time

from job import answer, loss, told
from mpi4py import MPI
from propulate import Islands
from propulate.population import Individual
from propulate.utils import get_default_propagator


def noop(individual: Individual) -> float:
    """A loss out of the values alone."""
    return loss(bytes(map(int, individual.values())))


def main() -> None:
    """Run on every rank."""
    job = told()
    logging.getLogger("propulate").setLevel(logging.WARNING)
    world = MPI.COMM_WORLD
    rng = random.Random(1 + world.rank)
    limits = {f"x{i}": (0, size - 1) for i, size in enumerate(job.sizes)}
    islands = Islands(
        loss_fn=noop,
        propagator=get_default_propagator(job.population, limits, rng=rng),
        rng=rng,
        generations=-(-job.evaluations // world.size),
        num_islands=1,
        checkpoint_path=job.folder,
    )
    world.Barrier()
    began = time.perf_counter()
    islands.propulate(logging_interval=job.evaluations)
    seconds = time.perf_counter() - began
    if world.rank == 0:
        answer(len(islands.propulator.population), seconds)


if __name__ == "__main__":
    main()
