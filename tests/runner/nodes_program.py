"""Ranks that tell where they are: rank 0 prints the places of the others as JSON.

A rank whose number is an argument has a problem instead, and says so as a program does
that cannot read its config.
"""

import sys

import msgspec
from mpi4py import MPI

from ribosome.genome.errors import RunError
from ribosome.runner.gpus import Gpu
from ribosome.runner.nodes import cannot_begin, gather_places

world = MPI.COMM_WORLD
if str(world.rank) in sys.argv[1:]:
    cannot_begin(f"no config at {world.rank}")
    sys.exit(f"rank {world.rank} says it itself")
# Of different lengths, none at some.
gpus = tuple(Gpu("CUDA_VISIBLE_DEVICES", str(n), f"GPU-{n}") for n in range(world.rank))
try:
    places = gather_places(world, gpus)
except RunError as error:
    sys.exit(f"error: {error}")
if world.rank == 0:
    print(msgspec.json.encode(places).decode())
else:
    sys.exit(len(places))
