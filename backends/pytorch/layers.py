"""The PyTorch backend's table: what each op of the IR is in PyTorch.

Each entry gives the constructor of a module and its arguments, for the shape of the input
and of the output. `None` stands for ops that `forward` writes itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from ribosome.genome.errors import UnsupportedOp
from ribosome.genome.network import Node, Shape
from ribosome.genome.ops import (
    ELU,
    LRN,
    BatchNorm,
    ChannelSlice,
    Concat,
    Convolution,
    Dropout,
    Filler,
    GlobalPooling,
    InnerProduct,
    Input,
    Jitter,
    Op,
    Pooling,
    ReLU,
    Sigmoid,
    TanH,
)


@dataclass(frozen=True, slots=True)
class Constructor:
    """A module's class, its arguments as source, and the helper that it needs."""

    callee: str
    arguments: tuple[str, ...] = ()
    helper: str = ""


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


def filler(kind: Filler, tensor: str) -> tuple[str, tuple[str, ...]]:
    """The function that fills a tensor, and its arguments as source."""
    if kind.kind == "constant":
        return "nn.init.constant_", (tensor, repr(kind.value))
    if kind.kind == "gaussian":
        return "nn.init.normal_", (tensor, "0.0", repr(kind.std))
    if kind.kind == "uniform":
        return "nn.init.uniform_", (tensor, repr(kind.low), repr(kind.high))
    return f"{kind.kind}_", (tensor,)


def _pair(h: int, w: int) -> str:
    return str(h) if h == w else f"({h}, {w})"


def _convolution(op: Convolution, _node: Node, source: Shape) -> Constructor:
    arguments = [
        str(source[0]),
        str(op.num_output),
        f"kernel_size={_pair(op.kernel_h, op.kernel_w)}",
    ]
    if (op.stride_h, op.stride_w) != (1, 1):
        arguments.append(f"stride={_pair(op.stride_h, op.stride_w)}")
    if (op.pad_h, op.pad_w) != (0, 0):
        arguments.append(f"padding={_pair(op.pad_h, op.pad_w)}")
    if op.bias is None:
        arguments.append("bias=False")
    return Constructor("nn.Conv2d", tuple(arguments))


def _pooling(op: Pooling, node: Node, source: Shape) -> Constructor:
    sizes = (
        (source[1], op.kernel_h, op.stride_h, op.pad_h),
        (source[2], op.kernel_w, op.stride_w, op.pad_w),
    )
    if op.pad_h > op.kernel_h // 2 or op.pad_w > op.kernel_w // 2:
        raise UnsupportedOp(
            f"{node.name}: PyTorch pads a pooling by at most half its kernel, this one by "
            f"{op.pad_h} x {op.pad_w} for {op.kernel_h} x {op.kernel_w}"
        )
    ceil = tuple(_torch_pooled(*size, up=True) for size in sizes)
    floor = tuple(_torch_pooled(*size, up=False) for size in sizes)
    if ceil != node.shape[1:]:
        raise UnsupportedOp(
            f"{node.name}: Caffe keeps a pooling window beyond the image here, PyTorch "
            "does not; use a stride of at most the kernel"
        )
    arguments = [_pair(op.kernel_h, op.kernel_w)]
    arguments.append(f"stride={_pair(op.stride_h, op.stride_w)}")
    if (op.pad_h, op.pad_w) != (0, 0):
        arguments.append(f"padding={_pair(op.pad_h, op.pad_w)}")
    if floor != ceil:
        arguments.append("ceil_mode=True")
    kind = {"MAX": "nn.MaxPool2d", "AVE": "nn.AvgPool2d"}[op.method]
    return Constructor(kind, tuple(arguments))


def _torch_pooled(size: int, kernel: int, stride: int, pad: int, *, up: bool) -> int:
    room = size + 2 * pad - kernel
    out = (-(-room // stride) if up else room // stride) + 1
    return out - 1 if up and (out - 1) * stride >= size + pad else out


def _global_pooling(op: GlobalPooling, _node: Node, _source: Shape) -> Constructor:
    kind = {"MAX": "nn.AdaptiveMaxPool2d", "AVE": "nn.AdaptiveAvgPool2d"}[op.method]
    return Constructor(kind, ("1",))


def _lrn(op: LRN, node: Node, _source: Shape) -> Constructor:
    if op.local_size % 2 == 0:
        raise UnsupportedOp(
            f"{node.name}: LRN has an odd local_size in Caffe, not {op.local_size}"
        )
    if op.region == "WITHIN_CHANNEL":
        numbers = (str(op.local_size), repr(op.alpha), repr(op.beta))
        return Constructor("WithinChannelLRN", numbers, "WithinChannelLRN")
    options = (f"alpha={op.alpha!r}", f"beta={op.beta!r}", "k=1.0")
    return Constructor("nn.LocalResponseNorm", (str(op.local_size), *options))


def _batch_norm(op: BatchNorm, _node: Node, source: Shape) -> Constructor:
    kind = "BatchNorm2d" if len(source) == 3 else "BatchNorm1d"
    options = (f"eps={op.eps!r}", f"fraction={op.fraction!r}")
    return Constructor(kind, (str(source[0]), *options), kind)


def _inner_product(op: InnerProduct, _node: Node, source: Shape) -> Constructor:
    arguments = [str(prod(source)), str(op.num_output)]
    if op.bias is None:
        arguments.append("bias=False")
    return Constructor("nn.Linear", tuple(arguments))


def _relu(op: ReLU, _node: Node, _source: Shape) -> Constructor:
    if op.negative_slope == 0.0:
        return Constructor("nn.ReLU")
    return Constructor("nn.LeakyReLU", (repr(op.negative_slope),))


def _elu(op: ELU, _node: Node, _source: Shape) -> Constructor:
    return Constructor("nn.ELU", () if op.alpha == 1.0 else (f"alpha={op.alpha!r}",))


def _dropout(op: Dropout, _node: Node, _source: Shape) -> Constructor:
    return Constructor("nn.Dropout", (repr(op.ratio),))


def _jitter(op: Jitter, _node: Node, _source: Shape) -> Constructor:
    return Constructor("Jitter", (repr(op.std),), "Jitter")


def _in_forward(_op: Op, _node: Node, _source: Shape) -> None:
    return None


LAYERS: dict[type, Callable[..., Constructor | None]] = {
    Input: _in_forward,
    Jitter: _jitter,
    ChannelSlice: _in_forward,
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
}
"""An answer for every op, in the order of `ribosome.genome.ops.OPS`."""
