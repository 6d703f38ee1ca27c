"""What the tests of the genome language share: tasks, and genomes to draw."""

from hypothesis import strategies as st

from ribosome.genome.codec import unpack
from ribosome.genome.space import Space
from ribosome.genome.task import DIGITS, Task

TASKS = (
    DIGITS,
    Task("colour", 3, 32, 48, 10),
    Task("nova", 2, 100, 80, 8),
    Task("pixel", 1, 1, 1, 2),
    Task("line", 5, 1, 300, 4),
)
"""Usual images, and shapes at the edge of what there is."""


def codes(space: Space) -> st.SearchStrategy[bytes]:
    """Any valid code of a space: every number below its size."""
    length = space.genome_bytes
    return st.integers(0, space.size - 1).map(lambda n: n.to_bytes(length, "big"))


def genomes(space: Space) -> st.SearchStrategy[tuple[tuple[int, ...], ...]]:
    """Any genes of a space."""
    return codes(space).map(lambda code: unpack(space, code))
