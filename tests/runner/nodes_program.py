"""Ranks that tell where they are: rank 0 prints the places of the others as JSON."""

import sys

import msgspec
from mpi4py import MPI

from ribosome.runner.gpus import Gpu
from ribosome.runner.nodes import gather_places

world = MPI.COMM_WORLD
# Of different lengths, none at some.
gpus = tuple(Gpu("CUDA_VISIBLE_DEVICES", str(n), f"GPU-{n}") for n in range(world.rank))
places = gather_places(world, gpus)
if world.rank == 0:
    print(msgspec.json.encode(places).decode())
else:
    sys.exit(len(places))
