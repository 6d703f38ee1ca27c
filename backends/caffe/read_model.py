"""A network's and a solver's prototxt together: the model that they describe."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from ribosome.backends.caffe.inputs import ImageShape
from ribosome.backends.caffe.phases import Phase
from ribosome.backends.caffe.prototxt import Parsed, parse_any
from ribosome.backends.caffe.read import Reading, read_network
from ribosome.backends.caffe.read_solver import SolverFacts, read_solver
from ribosome.genome.codec import space_named_by
from ribosome.genome.errors import GenomeError, ReadError
from ribosome.genome.network import Model, Network, Node
from ribosome.genome.ops import Concat, Input, Jitter
from ribosome.genome.solver import LearningRate, Solver

DEFAULT_SOLVER = Solver("SGD", 0.01, LearningRate(), batch_size=64, momentum=0.9)
"""What a network is given that comes without a solver."""


@dataclass(frozen=True, slots=True)
class ReadModel:
    """A model from files, the reading of its network, and what the solver file says.

    ``training_batch`` is the batch size of the training data, None where no file tells.
    ``facts`` is None where no solver file was given: the model's solver is then
    `DEFAULT_SOLVER`, with the file's batch size where it has one.
    """

    model: Model
    reading: Reading
    training_batch: int | None
    facts: SolverFacts | None


def read_model(
    text: str | bytes,
    *,
    path: str,
    solver: str | bytes | None = None,
    solver_path: str = "",
    phase: Phase = "TEST",
    shape: ImageShape | None = None,
    output: str | None = None,
    stages: Collection[str] = (),
) -> ReadModel:
    """The model of a train_val or deploy file and, perhaps, a solver file.

    The network is that of ``phase``; the batch size is the training data's. A file that
    we wrote says its genome, and gets back its slots. See `read_network` for the other
    arguments. Raises ReadError.
    """
    parsed = parse_any(text, "NetParameter", path=path)
    reading = read_network(
        parsed, path=path, phase=phase, shape=shape, output=output, stages=stages
    )
    batch_size = _training_batch(parsed, reading, path, shape, output, stages)
    facts = None
    made = replace(DEFAULT_SOLVER, batch_size=batch_size or DEFAULT_SOLVER.batch_size)
    if solver is not None:
        made, facts = read_solver(solver, path=solver_path, batch_size=made.batch_size)
    try:
        space, version = space_named_by(reading.name)
    except GenomeError:
        return ReadModel(Model(reading.network, made), reading, batch_size, facts)
    network = _with_slots(reading.network)
    reading = replace(reading, network=network)
    model = Model(network, made, genome=reading.name, space=f"{space} {version}")
    return ReadModel(model, reading, batch_size, facts)


def _training_batch(
    parsed: Parsed,
    reading: Reading,
    path: str,
    shape: ImageShape | None,
    output: str | None,
    stages: Collection[str],
) -> int | None:
    try:
        training = read_network(
            parsed, path=path, phase="TRAIN", shape=shape, output=output, stages=stages
        )
    except ReadError:  # a file that is for one phase only
        return reading.batch_size
    return training.batch_size or reading.batch_size


_SLOT = re.compile(r"(?:inception_|[a-z]+)([1-9][0-9]*)_[0-9]+(?:/.*)?")
"""Names of layers as decode gives them: conv3_1, inception_8_0/3x3."""


def _with_slots(network: Network) -> Network:
    """The network with the slots that the names of its layers tell."""
    return Network(tuple(_with_slot(node) for node in network.nodes))


def _with_slot(node: Node) -> Node:
    match = _SLOT.fullmatch(node.name)
    if match is None or isinstance(node.op, Input | Jitter):
        return node
    if isinstance(node.op, Concat) and "/" not in node.name:
        return node  # of the towers
    return replace(node, slot=int(match[1]))
