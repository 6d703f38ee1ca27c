"""What a network costs: parameters, floating-point operations, memory.

A multiply-add counts as two operations, here and everywhere in Ribosome. Operations are per
image. ``flops`` covers convolution and inner product, the ops that torch's FlopCounterMode
counts; every other op is ``other_flops``, an estimate of one operation per value and step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from ribosome.genome.network import Network, Node, Shape
from ribosome.genome.ops import (
    LRN,
    BatchNorm,
    ChannelSlice,
    Concat,
    Convolution,
    Dropout,
    InnerProduct,
    Input,
    Jitter,
    Op,
    Pooling,
)

_BYTES = 4


@dataclass(frozen=True, slots=True)
class NodeCost:
    """The cost of one node, per image."""

    name: str
    parameters: int
    flops: int  # forward, convolution and inner product only
    backward_flops: int  # by the weights, and by the input where the gradient goes on
    other_flops: int  # forward, of every other op
    activation_bytes: int  # of its output, in single precision


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a network, per image."""

    rows: tuple[NodeCost, ...]

    @property
    def parameters(self) -> int:
        """The number of learned values."""
        return sum(row.parameters for row in self.rows)

    @property
    def forward_flops(self) -> int:
        """Operations of a forward pass of one image."""
        return sum(row.flops for row in self.rows)

    @property
    def training_flops(self) -> int:
        """Operations of a forward and a backward pass of one image."""
        return sum(row.flops + row.backward_flops for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        """Memory of all outputs of one image in single precision."""
        return sum(row.activation_bytes for row in self.rows)


def cost(network: Network) -> Cost:
    """The cost of every node of a network and of the whole."""
    shapes: dict[str, Shape] = {}
    wants_gradient: dict[str, bool] = {}
    rows: list[NodeCost] = []
    for node in network.nodes:
        inputs = [shapes[name] for name in node.inputs]
        passes_on = any(wants_gradient[name] for name in node.inputs)
        rows.append(_node(node, inputs, passes_on))
        shapes[node.name] = node.shape
        wants_gradient[node.name] = passes_on or rows[-1].parameters > 0
    return Cost(tuple(rows))


def parameters(op: Op, shape: Shape) -> Mapping[str, Shape]:
    """The shapes of an op's blobs, by name, for its input shape."""
    blobs: dict[str, Shape] = {}
    if isinstance(op, Convolution):
        blobs["weight"] = (op.num_output, shape[0], op.kernel_h, op.kernel_w)
    elif isinstance(op, InnerProduct):
        blobs["weight"] = (op.num_output, prod(shape))
    elif isinstance(op, BatchNorm):
        blobs["scale"] = blobs["shift"] = (shape[0],)
    if isinstance(op, Convolution | InnerProduct) and op.bias is not None:
        blobs["bias"] = (op.num_output,)
    return blobs


def _node(node: Node, inputs: list[Shape], passes_on: bool) -> NodeCost:
    op = node.op
    values = prod(node.shape)
    flops = other = learned = 0
    if inputs:
        learned = sum(prod(shape) for shape in parameters(op, inputs[0]).values())
    if isinstance(op, Convolution):
        flops = 2 * values * inputs[0][0] * op.kernel_h * op.kernel_w
    elif isinstance(op, InnerProduct):
        flops = 2 * values * prod(inputs[0])
    elif isinstance(op, Pooling):
        other = values * op.kernel_h * op.kernel_w
    elif isinstance(op, LRN):
        across = op.region == "ACROSS_CHANNELS"
        other = values * (op.local_size if across else op.local_size**2)
    elif not isinstance(op, Input | ChannelSlice | Concat):
        other = prod(inputs[0])
    in_training_only = isinstance(op, Dropout | Jitter)
    return NodeCost(
        name=node.name,
        parameters=learned,
        flops=flops,
        backward_flops=flops * (2 if passes_on else 1),
        other_flops=0 if in_training_only else other,
        activation_bytes=values * _BYTES,
    )
