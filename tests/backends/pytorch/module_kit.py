"""One op as a whole generated module, fed with numpy arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ribosome.backends.pytorch.emit import emit_network
from ribosome.backends.pytorch.weights import to_state_dict
from ribosome.genome.network import Network, Node
from ribosome.genome.ops import Input, Op, Reshape, Slice
from ribosome.genome.shapes import infer


def network_of(op: Op, *shapes: tuple[int, ...]) -> Network:
    """A network of one op, named ``op``, on inputs of those shapes.

    One input holds all their values in a row; each is cut out and shaped of it.
    """
    total = sum(int(np.prod(shape)) for shape in shapes)
    nodes = [Node("data", Input(1, 1, total), (), (1, 1, total))]
    begin = 0
    for number, shape in enumerate(shapes):
        size = int(np.prod(shape))
        cut = Slice(begin, begin + size, axis=2)
        nodes.append(Node(f"cut{number}", cut, ("data",), (1, 1, size)))
        nodes.append(Node(f"in{number}", Reshape(shape), (f"cut{number}",), shape))
        begin += size
    inputs = tuple(f"in{number}" for number in range(len(shapes)))
    nodes.append(Node("op", op, inputs, infer(op, shapes)))
    return Network(tuple(nodes))


def load(network: Network, weights: Mapping[str, Any] | None = None) -> Any:
    """The emitted module in evaluation mode, with the weights of the node ``op`` if given."""
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(emit_network(network, "test"), "network.py", "exec"), namespace)  # noqa: S102
    module = namespace["Network"]().eval()
    if weights is not None:
        module.load_state_dict(to_state_dict(network, {"op": dict(weights)}))
    return module


def run(op: Op, *inputs: Any, weights: Mapping[str, Any] | None = None) -> Any:
    """What an op makes of arrays (batch, ...); its shape is checked to be the inferred one."""
    import torch

    network = network_of(op, *(array.shape[1:] for array in inputs))
    flat = np.concatenate([array.reshape(len(array), -1) for array in inputs], axis=1)
    x = torch.from_numpy(flat.astype(np.float32)).reshape(len(flat), 1, 1, -1)
    with torch.no_grad():
        out = load(network, weights)(x).numpy()
    assert out.shape[1:] == network.output.shape
    return out
