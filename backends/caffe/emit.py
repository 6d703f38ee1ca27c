"""Writes a model as Caffe's prototxt: train_val, deploy and solver.

Both flavours are written here: ``caffe`` for BVLC's, ``nvcaffe`` for NVIDIA's fork, with its
mixed precision.
"""

from ribosome.backends.caffe.files import DEPLOY, SOLVER, TRAIN_VAL
from ribosome.backends.caffe.frames import (
    Names,
    deploy_frame,
    frames,
    test_batches,
)
from ribosome.backends.caffe.layers import bodies, layer_text, quoted
from ribosome.backends.caffe.schema import Flavour
from ribosome.backends.caffe.solver import solver_fields
from ribosome.backends.caffe.writer import Writer, free_name
from ribosome.genome.errors import EmitError
from ribosome.genome.network import Model, Network, Node
from ribosome.genome.ops import Softmax
from ribosome.genome.task import Task

_SOFTMAX = Softmax()


def emit(model: Model, task: Task, flavour: Flavour) -> dict[str, str]:
    """The three files of a model for a task, path to text.

    Raises EmitError for a network of another task or a run without an end, UnsupportedOp
    for an op that Caffe has no layer for.
    """
    network, solver = model.network, model.solver
    if network.input.shape != task.shape or _classes(network) != task.classes:
        raise EmitError(
            f"the network takes {network.input.shape} images and gives "
            f"{network.output.shape}, the task {task.name} is {task.shape} in "
            f"{task.classes} classes; decode it for this task"
        )
    test_batch, _ = test_batches(task.val, task.training.test_batch_size)
    nodes = _to_logits(network.nodes)
    writer = Writer(nodes, flavour, (solver.batch_size, test_batch))
    names = _names(network)
    made = frames(task, flavour, model.space, solver.batch_size, names)
    texts = _texts(model, task)
    texts["layers"], texts["result"] = writer.layers, quoted(writer.result)
    train_val = made.train_val.fill(texts)
    texts["fields"] = solver_fields(solver, task.training.max_iterations, flavour)
    if nodes is not network.nodes:
        writer = Writer(network.nodes, flavour)
    texts["layers"] = _in_use(network, writer, flavour, names.prob)
    return {
        TRAIN_VAL: train_val,
        DEPLOY: deploy_frame(task, flavour, model.space, names).fill(texts),
        SOLVER: made.solver.fill(texts),
    }


def emit_deploy(model: Model, task: Task, flavour: Flavour) -> str:
    """The network by itself, to use: images of a batch of one in, probabilities out.

    A network of any output is written: one that does not end in logits ends as it is.
    """
    network = model.network
    writer, names = Writer(network.nodes, flavour), _names(network)
    texts = _texts(model, task)
    texts["layers"] = _in_use(network, writer, flavour, names.prob)
    return deploy_frame(task, flavour, model.space, names).fill(texts)


def _texts(model: Model, task: Task) -> dict[str, str]:
    return {"genome": model.genome or "", "name": quoted(model.genome or task.name)}


def _names(network: Network) -> Names:
    usual = Names(network.input.name)
    taken = {node.name for node in network.nodes}
    if taken.isdisjoint(usual[1:]):
        return usual
    return Names(usual.input, *[free_name(name, taken) for name in usual[1:]])


def _to_logits(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The nodes without a Softmax at the end: the loss has its own."""
    return nodes[:-1] if isinstance(nodes[-1].op, Softmax) else nodes


def _in_use(network: Network, writer: Writer, flavour: Flavour, prob: str) -> str:
    """The layers, and behind logits a Softmax."""
    if _classes(network) is None or isinstance(network.output.op, Softmax):
        return writer.in_use
    (body,) = bodies(_SOFTMAX, flavour)
    return writer.in_use + layer_text(prob, body, (writer.result,), (prob,))


def _classes(network: Network) -> int | None:
    """The number of classes that a network tells apart; None for another kind of output."""
    shape = network.output.shape
    return shape[0] if len(shape) == 1 or set(shape[1:]) == {1} else None
