"""The network IR: one tuple of nodes in topological order, shapes included.

No framework's words stand in it. A network ends in its logits; loss and accuracy are the
backend's. What makes a network trainable, its solver and the task, stands beside it.
"""

from dataclasses import dataclass

from ribosome.genome.ops import Op
from ribosome.genome.solver import Solver

Shape = tuple[int, ...]
"""Without the batch: (channels, height, width), or (channels,) after an inner product."""


@dataclass(frozen=True, slots=True)
class Node:
    """One op with a name of its own, the names of its inputs, and the shape it leaves.

    ``slot`` is the slot that it came from, counted from 1, and None for what no slot asked
    for (input, slice, the last inner product). ``name`` follows MENNDL: ``conv3_1`` is the
    convolution of slot 3 in the second tower, ``inception_8_0/3x3`` a part of slot 8.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    shape: Shape
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """Nodes in topological order: the first is the Input, the last one leaves the logits."""

    nodes: tuple[Node, ...]

    @property
    def input(self) -> Node:
        """The node that the images enter by."""
        return self.nodes[0]

    @property
    def output(self) -> Node:
        """The node that leaves the logits, shape (classes,)."""
        return self.nodes[-1]


@dataclass(frozen=True, slots=True)
class Model:
    """What a backend emits: a network, its solver, and where they came from.

    ``genome`` is the canonical text form, ``space`` the name and version as in "menndl 1";
    both are None for a network that was written by hand or read from a file.
    """

    network: Network
    solver: Solver
    genome: str | None = None
    space: str | None = None
