"""Which ranks share a machine: the one collective exchange over MPI, before anything else."""

import socket
from array import array
from typing import TYPE_CHECKING

import msgspec

from ribosome.runner.gpus import Gpu
from ribosome.runner.placement import Place

if TYPE_CHECKING:
    from mpi4py import MPI


def gather_places(world: "MPI.Intracomm", gpus: tuple[Gpu, ...]) -> list[Place]:
    """The places of all workers, at rank 0; an empty list at the others.

    ``gpus`` are those that this rank can use. Collective: every rank of the world calls it.
    """
    from mpi4py import MPI

    place = Place(world.rank, _node(world), socket.gethostname(), gpus)
    data = msgspec.msgpack.encode(place)
    sizes = array("i", [0]) * world.size
    world.Gather([array("i", [len(data)]), MPI.INT], [sizes, MPI.INT])
    everything = bytearray(sum(sizes))
    world.Gatherv([data, MPI.BYTE], [everything, sizes, MPI.BYTE])
    if world.rank != 0:
        return []
    decode = msgspec.msgpack.Decoder(Place).decode
    places, at = [], 0
    for size in sizes:
        places.append(decode(everything[at : at + size]))
        at += size
    return places[1:]


def _node(world: "MPI.Intracomm") -> int:
    """The lowest rank that shares this rank's machine."""
    from mpi4py import MPI

    neighbours = world.Split_type(MPI.COMM_TYPE_SHARED, key=world.rank)
    lowest = array("i", [world.rank])
    neighbours.Bcast([lowest, MPI.INT])
    neighbours.Free()
    return lowest[0]
