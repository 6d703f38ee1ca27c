"""Shape inference: what an op leaves of its inputs' shapes, by Caffe's rules.

A convolution's size rounds down, a pooling's rounds up.
"""

from collections.abc import Callable, Sequence

from ribosome.genome.errors import ShapeError
from ribosome.genome.network import Shape
from ribosome.genome.ops import (
    LRN,
    ChannelSlice,
    Concat,
    Convolution,
    GlobalPooling,
    InnerProduct,
    Input,
    Op,
    Pooling,
)


def infer(op: Op, inputs: Sequence[Shape], *, name: str = "") -> Shape:
    """The shape that an op leaves, without the batch.

    Raises ShapeError, with the node's ``name``, where an input does not fit the op.
    """
    rule = _RULES.get(type(op))
    if rule is not None:
        return rule(op, inputs, name)
    return _one(op, inputs, name)


def _one(op: Op, inputs: Sequence[Shape], name: str) -> Shape:
    """The only input's shape: also the rule of every op that leaves it as it is."""
    if len(inputs) != 1:
        raise ShapeError(f"{_what(op, name)}: takes one input, got {len(inputs)}")
    return inputs[0]


def _map(op: Op, inputs: Sequence[Shape], name: str) -> tuple[int, int, int]:
    shape = _one(op, inputs, name)
    if len(shape) != 3:
        raise ShapeError(f"{_what(op, name)}: needs a map, got the shape {shape}")
    return shape


def _input(op: Input, inputs: Sequence[Shape], name: str) -> Shape:
    if inputs:
        raise ShapeError(f"{_what(op, name)}: takes no input, got {len(inputs)}")
    return (op.channels, op.height, op.width)


def _inner_product(op: InnerProduct, inputs: Sequence[Shape], name: str) -> Shape:
    _one(op, inputs, name)
    return (op.num_output,)


def _global_pooling(op: GlobalPooling, inputs: Sequence[Shape], name: str) -> Shape:
    return (_map(op, inputs, name)[0], 1, 1)


def _channel_slice(op: ChannelSlice, inputs: Sequence[Shape], name: str) -> Shape:
    channels, h, w = _map(op, inputs, name)
    if not 0 <= op.begin < op.end <= channels:
        raise ShapeError(
            f"{_what(op, name)}: cuts channels {op.begin} to {op.end} of {channels}"
        )
    return (op.end - op.begin, h, w)


def _convolution(op: Convolution, inputs: Sequence[Shape], name: str) -> Shape:
    _, h, w = _map(op, inputs, name)
    room_h, room_w = _room(op, h, w, name)
    return (op.num_output, room_h // op.stride_h + 1, room_w // op.stride_w + 1)


def _pooling(op: Pooling, inputs: Sequence[Shape], name: str) -> Shape:
    channels, h, w = _map(op, inputs, name)
    room_h, room_w = _room(op, h, w, name)
    return (
        channels,
        _pooled(h, op.pad_h, room_h, op.stride_h),
        _pooled(w, op.pad_w, room_w, op.stride_w),
    )


def _room(op: Convolution | Pooling, h: int, w: int, name: str) -> tuple[int, int]:
    room_h = h + 2 * op.pad_h - op.kernel_h
    room_w = w + 2 * op.pad_w - op.kernel_w
    if room_h < 0 or room_w < 0:
        raise ShapeError(
            f"{_what(op, name)}: its kernel {op.kernel_h} x {op.kernel_w} exceeds its "
            f"padded input {h + 2 * op.pad_h} x {w + 2 * op.pad_w}"
        )
    return room_h, room_w


def _pooled(size: int, pad: int, room: int, stride: int) -> int:
    out = -(-room // stride) + 1
    # Only with padding does Caffe drop a last window that starts beyond the image.
    if pad > 0 and (out - 1) * stride >= size + pad:
        out -= 1
    return out


def _concat(_: Concat, inputs: Sequence[Shape], name: str) -> Shape:
    if not inputs:
        raise ShapeError(f"Concat {name}: has no inputs")
    if any(shape[1:] != inputs[0][1:] for shape in inputs):
        raise ShapeError(
            f"Concat {name}: the inputs differ beyond the channels: {inputs}"
        )
    return (sum(shape[0] for shape in inputs), *inputs[0][1:])


def _what(op: Op, name: str) -> str:
    return f"{type(op).__name__} {name}".rstrip()


_RULES: dict[type, Callable[..., Shape]] = {
    Input: _input,
    ChannelSlice: _channel_slice,
    Convolution: _convolution,
    Pooling: _pooling,
    GlobalPooling: _global_pooling,
    LRN: _map,
    InnerProduct: _inner_product,
    Concat: _concat,
}
"""The ops that change the shape or need a map; every other one leaves any as it is."""
