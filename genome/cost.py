"""What a network costs: parameters, floating-point operations, memory.

A multiply-add counts as two operations, here and everywhere in Ribosome. Operations are per
image. ``flops`` covers convolution, its transpose and inner product, the ops that torch's
FlopCounterMode counts; every other op is ``other_flops``, an estimate of one operation per
value and step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ribosome.genome.network import Network, Node, Shape
from ribosome.genome.ops import (
    LRN,
    BatchNorm,
    Bias,
    Blob,
    Concat,
    Convolution,
    Crop,
    Deconvolution,
    Dropout,
    Eltwise,
    Flatten,
    InnerProduct,
    Input,
    Jitter,
    Op,
    Pooling,
    PReLU,
    Reshape,
    Scale,
    Slice,
)

_BYTES = 4
_BLOBS = {
    Convolution: ("weight", "bias"),
    BatchNorm: ("scale", "shift"),
    InnerProduct: ("weight", "bias"),
    Deconvolution: ("weight", "bias"),
    PReLU: ("slope",),
    Scale: ("scale", "shift"),
    Bias: ("shift",),
}
"""The fields of an op that are learned blobs, in Caffe's order."""


@dataclass(frozen=True, slots=True)
class NodeCost:
    """The cost of one node, per image."""

    name: str
    parameters: int
    flops: int  # forward; convolution, its transpose and inner product only
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


def blobs(op: Op) -> Mapping[str, Blob]:
    """An op's learned blobs by name, in Caffe's order; a BatchNorm's are its Scale's."""
    found: dict[str, Blob] = {}
    for name in _BLOBS.get(type(op), ()):
        blob = getattr(op, name)
        if blob is not None:
            found[name] = blob
    return found


def parameters(op: Op, shape: Shape) -> Mapping[str, Shape]:
    """The shapes of an op's blobs, by name, for its input shape: those of Caffe."""
    return {name: _blob_shape(op, name, shape) for name in blobs(op)}


def _blob_shape(op: Op, name: str, source: Shape) -> Shape:
    if isinstance(op, Convolution | Deconvolution | InnerProduct) and name == "bias":
        return (op.num_output,)
    if isinstance(op, Convolution):
        return (op.num_output, source[0] // op.group, op.kernel_h, op.kernel_w)
    if isinstance(op, Deconvolution):
        return (source[0], op.num_output // op.group, op.kernel_h, op.kernel_w)
    if isinstance(op, InnerProduct):
        return (op.num_output, prod(source))
    if isinstance(op, PReLU) and op.shared:
        return ()
    return source[:1]


def _node(node: Node, inputs: list[Shape], passes_on: bool) -> NodeCost:
    op = node.op
    learned = flops = 0
    if inputs:
        shapes = parameters(op, inputs[0])
        learned = sum(prod(shape) for shape in shapes.values())
        flops = _flops(op, inputs[0], node.shape, shapes)
    return NodeCost(
        name=node.name,
        parameters=learned,
        flops=flops,
        backward_flops=flops * (2 if passes_on else 1),
        other_flops=0 if flops else _other_flops(op, inputs, node.shape),
        activation_bytes=prod(node.shape) * _BYTES,
    )


def _flops(op: Op, source: Shape, left: Shape, shapes: Mapping[str, Shape]) -> int:
    """Two for every weight at every place that it is applied to."""
    if isinstance(op, Convolution):
        return 2 * prod(shapes["weight"]) * prod(left[1:])
    if isinstance(op, Deconvolution):
        return 2 * prod(shapes["weight"]) * prod(source[1:])
    if isinstance(op, InnerProduct):
        return 2 * prod(shapes["weight"])
    return 0


def _other_flops(op: Op, inputs: Sequence[Shape], left: Shape) -> int:
    if isinstance(op, _MOVES | Dropout | Jitter):  # the last two act in training only
        return 0
    if isinstance(op, Pooling):
        return prod(left) * op.kernel_h * op.kernel_w
    if isinstance(op, LRN):
        across = op.region == "ACROSS_CHANNELS"
        return prod(left) * (op.local_size if across else op.local_size**2)
    if isinstance(op, Eltwise):
        return prod(left) * (len(op.coefficients) + len(inputs) - 1)
    return prod(inputs[0])


_MOVES = Input | Slice | Concat | Flatten | Reshape | Crop
"""Ops that compute nothing."""
