"""Shape inference: what an op leaves of its inputs' shapes, by Caffe's rules.

A convolution's size rounds down, a pooling's rounds up.
"""

from collections.abc import Sequence

from ribosome.genome.errors import ShapeError
from ribosome.genome.network import Shape
from ribosome.genome.ops import (
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
    if isinstance(op, Input):
        return (op.channels, op.height, op.width)
    if isinstance(op, Concat):
        return _concat(inputs, name)
    if len(inputs) != 1:
        raise ShapeError(f"{_what(op, name)}: takes one input, got {len(inputs)}")
    shape = inputs[0]
    if isinstance(op, InnerProduct):
        return (op.num_output,)
    if isinstance(op, Convolution | Pooling | GlobalPooling | ChannelSlice):
        if len(shape) != 3:
            raise ShapeError(f"{_what(op, name)}: needs a map, got the shape {shape}")
        if isinstance(op, GlobalPooling):
            return (shape[0], 1, 1)
        if isinstance(op, ChannelSlice):
            if not 0 <= op.begin < op.end <= shape[0]:
                raise ShapeError(
                    f"{_what(op, name)}: cuts channels {op.begin} to {op.end} of {shape[0]}"
                )
            return (op.end - op.begin, *shape[1:])
        return _window(op, shape, name)
    return shape


def _window(op: Convolution | Pooling, shape: Shape, name: str) -> Shape:
    channels, h, w = shape
    room_h = h + 2 * op.pad_h - op.kernel_h
    room_w = w + 2 * op.pad_w - op.kernel_w
    if room_h < 0 or room_w < 0:
        raise ShapeError(
            f"{_what(op, name)}: its kernel {op.kernel_h} x {op.kernel_w} exceeds its "
            f"padded input {h + 2 * op.pad_h} x {w + 2 * op.pad_w}"
        )
    if isinstance(op, Convolution):
        return (op.num_output, room_h // op.stride_h + 1, room_w // op.stride_w + 1)
    return (
        channels,
        _pooled(h, op.pad_h, room_h, op.stride_h),
        _pooled(w, op.pad_w, room_w, op.stride_w),
    )


def _pooled(size: int, pad: int, room: int, stride: int) -> int:
    out = -(-room // stride) + 1
    # Only with padding does Caffe drop a last window that starts beyond the image.
    if pad > 0 and (out - 1) * stride >= size + pad:
        out -= 1
    return out


def _concat(inputs: Sequence[Shape], name: str) -> Shape:
    if not inputs:
        raise ShapeError(f"Concat {name}: has no inputs")
    if any(shape[1:] != inputs[0][1:] for shape in inputs):
        raise ShapeError(f"Concat {name}: the inputs differ beyond the channels: {inputs}")
    return (sum(shape[0] for shape in inputs), *inputs[0][1:])


def _what(op: Op, name: str) -> str:
    return f"{type(op).__name__} {name}".rstrip()
