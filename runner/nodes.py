"""Which ranks share a machine: the one collective exchange over MPI, before anything else.

Nobody could be missed in it, for there is no time limit to a collective call. So a rank that
cannot begin takes part as well, to say why, and all of them end together.
"""

import socket
from array import array
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from ribosome.genome.errors import RunError
from ribosome.runner.gpus import Gpu
from ribosome.runner.mpi import join_world
from ribosome.runner.placement import Place

if TYPE_CHECKING:
    from mpi4py import MPI


class _Word(msgspec.Struct, frozen=True):
    """What a rank says of itself: where it is, and why it cannot begin, empty if it can."""

    place: Place
    problem: str


def gather_places(
    world: "MPI.Intracomm", gpus: tuple[Gpu, ...], *, problem: str = ""
) -> list[Place]:
    """The places of all workers, at rank 0; an empty list at the others.

    ``gpus`` are those that this rank can use, ``problem`` is why it cannot begin. If any
    rank has one, rank 0 raises RunError for it and the others exit with code 1. Collective:
    every rank of the world calls it.
    """
    words = _gather(world, gpus, problem)
    said = _problem(words)
    if _at_root(world, len(said)):
        if world.rank == 0:
            raise RunError(said)
        raise SystemExit(1)
    return [word.place for word in words[1:]]


def cannot_begin(problem: str) -> None:
    """Tell the other ranks that this one cannot begin, and end with them; see
    `gather_places`. Returns where there are no others, or no MPI to reach them by.
    """
    with suppress(RunError):
        world = join_world()
        if world is not None:
            gather_places(world, (), problem=problem)


def _gather(world: "MPI.Intracomm", gpus: tuple[Gpu, ...], problem: str) -> list[_Word]:
    """The word of every rank, at rank 0; an empty list at the others."""
    from mpi4py import MPI

    place = Place(world.rank, _node(world), socket.gethostname(), gpus)
    data = msgspec.msgpack.encode(_Word(place, problem))
    sizes = array("i", [0]) * world.size
    world.Gather([array("i", [len(data)]), MPI.INT], [sizes, MPI.INT])
    everything = bytearray(sum(sizes))
    world.Gatherv([data, MPI.BYTE], [everything, sizes, MPI.BYTE])
    if world.rank != 0:
        return []
    decode = msgspec.msgpack.Decoder(_Word).decode
    words, at = [], 0
    for size in sizes:
        words.append(decode(everything[at : at + size]))
        at += size
    return words


def _problem(words: Sequence[_Word]) -> str:
    """Why the run cannot begin: rank 0's own reason, or that of the first rank with one."""
    failed = [word for word in words if word.problem]
    if not failed:
        return ""
    first, more = failed[0], len(failed) - 1
    if first.place.worker == 0:
        return first.problem
    others = f" (and {more} more {'rank' if more == 1 else 'ranks'})" if more else ""
    return f"rank {first.place.worker} on {first.place.host}{others}: {first.problem}"


def _at_root(world: "MPI.Intracomm", number: int) -> int:
    """Rank 0's number, at every rank."""
    from mpi4py import MPI

    held = array("i", [number])
    world.Bcast([held, MPI.INT])
    return held[0]


def _node(world: "MPI.Intracomm") -> int:
    """The lowest rank that shares this rank's machine."""
    from mpi4py import MPI

    neighbours = world.Split_type(MPI.COMM_TYPE_SHARED, key=world.rank)
    lowest = array("i", [world.rank])
    neighbours.Bcast([lowest, MPI.INT])
    neighbours.Free()
    return lowest[0]
