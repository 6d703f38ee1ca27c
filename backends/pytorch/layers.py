"""The PyTorch backend's table: what each op of the IR is in PyTorch.

Each entry gives the constructor of a module and its arguments, for the shape of the input
and of the output. `None` stands for ops that `forward` writes itself: see
`ribosome.backends.pytorch.expressions`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from ribosome.backends.pytorch.source import number
from ribosome.genome.errors import UnsupportedOp
from ribosome.genome.network import Node, Shape
from ribosome.genome.ops import (
    ELU,
    LRN,
    ArgMax,
    BatchNorm,
    Bias,
    Concat,
    Convolution,
    Crop,
    Deconvolution,
    Dropout,
    Eltwise,
    Filler,
    Flatten,
    GlobalPooling,
    InnerProduct,
    Input,
    Jitter,
    Op,
    Pooling,
    Power,
    PReLU,
    ReLU,
    Reshape,
    Scale,
    Sigmoid,
    Slice,
    Softmax,
    TanH,
)

PARTS = {
    "weight": "weight",
    "bias": "bias",
    "scale": "weight",
    "shift": "bias",
    "slope": "weight",
}
"""The attribute of a module that holds a blob, by the blob's name in the IR."""


@dataclass(frozen=True, slots=True)
class Constructor:
    """A module's class, its arguments as source, and the helpers that it needs."""

    callee: str
    arguments: tuple[str, ...] = ()
    helpers: tuple[str, ...] = ()


Arguments = tuple[str, ...]


def constructor(node: Node, source: Shape) -> Constructor | None:
    """The module of a node whose input has the shape ``source``.

    Raises UnsupportedOp for what PyTorch computes differently than Caffe.
    """
    make = LAYERS.get(type(node.op))
    if make is None:
        raise UnsupportedOp(
            f"{node.name}: the pytorch backend has no code for {type(node.op).__name__}"
        )
    return make(node.op, node, source)


def filler(node: Node, blob: str, kind: Filler, tensor: str) -> tuple[str, Arguments]:
    """The function that fills a tensor, and its arguments as source.

    ``blob`` is the name of the node's blob. Raises UnsupportedOp for a filler that this
    blob cannot have.
    """
    if kind.kind == "constant":
        return "nn.init.constant_", (tensor, number(kind.value))
    if kind.kind == "gaussian":
        if not kind.std >= 0.0:
            raise UnsupportedOp(
                f"{node.name}: the std of a filler is 0 or more, not {kind.std}"
            )
        return "nn.init.normal_", (tensor, "0.0", number(kind.std))
    if kind.kind == "uniform":
        if not kind.low <= kind.high:
            raise UnsupportedOp(
                f"{node.name}: a uniform filler goes from a lower to a higher value, not "
                f"from {kind.low} to {kind.high}"
            )
        return "nn.init.uniform_", (tensor, number(kind.low), number(kind.high))
    if kind.kind == "bilinear":
        op = node.op
        if not (
            isinstance(op, Convolution | Deconvolution)
            and blob == "weight"
            and op.kernel_h == op.kernel_w
        ):
            raise UnsupportedOp(
                f"{node.name}: a bilinear filler is for square kernels, not for this {blob}"
            )
    return f"{kind.kind}_", (tensor,)


def _pair(h: int, w: int) -> str:
    return str(h) if h == w else f"({h}, {w})"


def _convolution(
    op: Convolution | Deconvolution, _node: Node, source: Shape
) -> Constructor:
    arguments = [
        str(source[0]),
        str(op.num_output),
        f"kernel_size={_pair(op.kernel_h, op.kernel_w)}",
    ]
    if (op.stride_h, op.stride_w) != (1, 1):
        arguments.append(f"stride={_pair(op.stride_h, op.stride_w)}")
    if (op.pad_h, op.pad_w) != (0, 0):
        arguments.append(f"padding={_pair(op.pad_h, op.pad_w)}")
    if (op.dilation_h, op.dilation_w) != (1, 1):
        arguments.append(f"dilation={_pair(op.dilation_h, op.dilation_w)}")
    if op.group != 1:
        arguments.append(f"groups={op.group}")
    if op.bias is None:
        arguments.append("bias=False")
    transposed = isinstance(op, Deconvolution)
    kind = "nn.ConvTranspose2d" if transposed else "nn.Conv2d"
    return Constructor(kind, tuple(arguments))


def _pooling(op: Pooling, node: Node, source: Shape) -> Constructor:
    sizes = (
        (source[1], op.kernel_h, op.stride_h, op.pad_h),
        (source[2], op.kernel_w, op.stride_w, op.pad_w),
    )
    ceil = tuple(_torch_pooled(*size, up=True) for size in sizes)
    floor = tuple(_torch_pooled(*size, up=False) for size in sizes)
    wide = op.pad_h > op.kernel_h // 2 or op.pad_w > op.kernel_w // 2
    if wide or ceil != node.shape[1:]:
        return _padded_pooling(op, node, source)
    arguments = [_pair(op.kernel_h, op.kernel_w)]
    arguments.append(f"stride={_pair(op.stride_h, op.stride_w)}")
    if (op.pad_h, op.pad_w) != (0, 0):
        arguments.append(f"padding={_pair(op.pad_h, op.pad_w)}")
    if floor != ceil:
        arguments.append("ceil_mode=True")
    kind = {"MAX": "nn.MaxPool2d", "AVE": "nn.AvgPool2d"}[op.method]
    return Constructor(kind, tuple(arguments))


def _padded_pooling(op: Pooling, node: Node, source: Shape) -> Constructor:
    """Caffe's windows where PyTorch has others: padded, or cut, to hold just those.

    PyTorch pads by at most half the kernel, and drops a last window that starts beyond
    the image, which Caffe keeps where there is no padding.
    """
    _, out_h, out_w = node.shape
    _, h, w = source
    start_h, start_w = (out_h - 1) * op.stride_h, (out_w - 1) * op.stride_w
    below = start_h + op.kernel_h - h - op.pad_h
    right = start_w + op.kernel_w - w - op.pad_w
    margins = f"({op.pad_w}, {right}, {op.pad_h}, {below})"
    kernel, stride = _pair(op.kernel_h, op.kernel_w), _pair(op.stride_h, op.stride_w)
    if op.method == "MAX":
        # Caffe's maximum of an empty window is the least float.
        pad = f"nn.ConstantPad2d({margins}, -3.4028234663852886e38)"
        pool = f"nn.MaxPool2d({kernel}, stride={stride})"
        return Constructor("nn.Sequential", (pad, pool))
    if start_h >= h + op.pad_h or start_w >= w + op.pad_w:
        raise UnsupportedOp(
            f"{node.name}: Caffe averages a window beyond the image here and divides by "
            "zero; use a stride of at most the kernel"
        )
    arguments = (kernel, f"stride={stride}", f"margins={margins}")
    return Constructor("PaddedAvgPool2d", arguments, ("PaddedAvgPool2d",))


def _torch_pooled(size: int, kernel: int, stride: int, pad: int, *, up: bool) -> int:
    room = size + 2 * pad - kernel
    out = (-(-room // stride) if up else room // stride) + 1
    return out - 1 if up and (out - 1) * stride >= size + pad else out


def _global_pooling(op: GlobalPooling, _node: Node, _source: Shape) -> Constructor:
    kind = {"MAX": "nn.AdaptiveMaxPool2d", "AVE": "nn.AdaptiveAvgPool2d"}[op.method]
    return Constructor(kind, ("1",))


def _lrn(op: LRN, node: Node, _source: Shape) -> Constructor:
    if op.local_size % 2 == 0 or op.local_size < 1:
        raise UnsupportedOp(
            f"{node.name}: LRN has an odd local_size in Caffe, not {op.local_size}"
        )
    if op.region == "WITHIN_CHANNEL":
        if op.k != 1.0:
            raise UnsupportedOp(
                f"{node.name}: LRN within a channel has no k in Caffe, so none but 1, "
                f"not {op.k}"
            )
        numbers = (str(op.local_size), number(op.alpha), number(op.beta))
        return Constructor("WithinChannelLRN", numbers, ("WithinChannelLRN",))
    options = (
        f"alpha={number(op.alpha)}",
        f"beta={number(op.beta)}",
        f"k={number(op.k)}",
    )
    return Constructor("nn.LocalResponseNorm", (str(op.local_size), *options))


def _batch_norm(op: BatchNorm, node: Node, source: Shape) -> Constructor:
    if (op.scale is None) != (op.shift is None):
        raise UnsupportedOp(
            f"{node.name}: PyTorch's batch norm learns scale and shift or neither; put a "
            "Scale or Bias behind it"
        )
    if not op.eps > 0.0:
        raise UnsupportedOp(
            f"{node.name}: the eps of PyTorch's batch norm is above 0, not {op.eps}"
        )
    if len(source) > 4:
        raise UnsupportedOp(
            f"{node.name}: PyTorch's batch norm takes at most 5 axes, the batch among "
            f"them, not the shape {source}"
        )
    kind = f"BatchNorm{max(1, len(source) - 1)}d"
    options = (f"eps={number(op.eps)}", f"fraction={number(op.fraction)}")
    if op.scale is not None:
        return Constructor(kind, (str(source[0]), *options), (kind,))
    arguments = (str(source[0]), *options, "affine=False")
    return Constructor(kind, arguments, (kind, "affine"))


def _inner_product(op: InnerProduct, _node: Node, source: Shape) -> Constructor:
    arguments = [str(prod(source)), str(op.num_output)]
    if op.bias is None:
        arguments.append("bias=False")
    return Constructor("nn.Linear", tuple(arguments))


def _relu(op: ReLU, _node: Node, _source: Shape) -> Constructor:
    if op.negative_slope == 0.0:
        return Constructor("nn.ReLU")
    return Constructor("nn.LeakyReLU", (number(op.negative_slope),))


def _elu(op: ELU, _node: Node, _source: Shape) -> Constructor:
    arguments = () if op.alpha == 1.0 else (f"alpha={number(op.alpha)}",)
    return Constructor("nn.ELU", arguments)


def _dropout(op: Dropout, node: Node, _source: Shape) -> Constructor:
    if not 0.0 <= op.ratio < 1.0:
        raise UnsupportedOp(
            f"{node.name}: dropout's ratio is 0 or more and less than 1, not {op.ratio}"
        )
    return Constructor("nn.Dropout", (number(op.ratio),))


def _jitter(op: Jitter, _node: Node, _source: Shape) -> Constructor:
    return Constructor("Jitter", (number(op.std),), ("Jitter",))


def _prelu(op: PReLU, _node: Node, source: Shape) -> Constructor:
    return Constructor("nn.PReLU", () if op.shared else (str(source[0]),))


def _scale(op: Scale, _node: Node, source: Shape) -> Constructor:
    arguments = [str(source[0])]
    if op.shift is None:
        arguments.append("bias=False")
    return Constructor("Scale", tuple(arguments), ("Scale",))


def _bias(_op: Bias, _node: Node, source: Shape) -> Constructor:
    return Constructor("Bias", (str(source[0]),), ("Bias",))


def _arg_max(op: ArgMax, _node: Node, _source: Shape) -> Constructor:
    arguments = [str(op.top_k)]
    if op.axis is not None:
        arguments.append(f"dim={op.axis + 1}")
    if op.values:
        arguments.append("values=True")
    return Constructor("ArgMax", tuple(arguments), ("ArgMax",))


def _in_forward(_op: Op, _node: Node, _source: Shape) -> None:
    return None


LAYERS: dict[type, Callable[..., Constructor | None]] = {
    Input: _in_forward,
    Jitter: _jitter,
    Slice: _in_forward,
    Convolution: _convolution,
    Pooling: _pooling,
    GlobalPooling: _global_pooling,
    LRN: _lrn,
    BatchNorm: _batch_norm,
    InnerProduct: _inner_product,
    ReLU: _relu,
    ELU: _elu,
    Sigmoid: lambda _op, _node, _source: Constructor("nn.Sigmoid"),
    TanH: lambda _op, _node, _source: Constructor("nn.Tanh"),
    Dropout: _dropout,
    Concat: _in_forward,
    Deconvolution: _convolution,
    PReLU: _prelu,
    Power: _in_forward,
    Scale: _scale,
    Bias: _bias,
    Eltwise: _in_forward,
    Flatten: _in_forward,
    Reshape: _in_forward,
    Crop: _in_forward,
    Softmax: _in_forward,
    ArgMax: _arg_max,
}
"""An answer for every op, in the order of `ribosome.genome.ops.OPS`."""
