"""What a peer's program is told and what it answers: read in the peer's own environment.

A program is told a Job as JSON on its command line, and prints an answer as its last line.
Ribosome cannot be imported there.
"""

import hashlib
import json
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """One measurement.

    ``sizes`` are the numbers of values of the search space's dimensions, 2 to 256 each;
    ``variant`` names one of the program's ways; what is written goes under ``folder``.
    ``queue`` is Ribosome's alone: the trials that each worker has in hand.
    """

    variant: str
    evaluations: int
    workers: int
    population: int
    sizes: list[int]
    folder: str
    queue: int


def told() -> Job:
    """The job that is on the command line."""
    return Job(**json.loads(sys.argv[1]))


def answer(evaluations: int, seconds: float) -> None:
    """Print how many evaluations ended, and in how many seconds."""
    print(json.dumps({"rate": evaluations / seconds, "done": evaluations}))


def loss(values: bytes) -> float:
    """What every network is said to have reached: 0 up to 1, out of its bytes alone."""
    digest = hashlib.blake2b(values, digest_size=4).digest()
    return int.from_bytes(digest, "big") / (1 << 32)
