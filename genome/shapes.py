"""Shape inference: what an op leaves of its inputs' shapes, by Caffe's rules.

A convolution's size rounds down, a pooling's rounds up.
"""

from collections.abc import Callable, Sequence
from math import prod

from ribosome.genome.errors import ShapeError
from ribosome.genome.network import Shape
from ribosome.genome.ops import (
    LRN,
    ArgMax,
    BatchNorm,
    Bias,
    Concat,
    Convolution,
    Crop,
    Deconvolution,
    Eltwise,
    Flatten,
    GlobalPooling,
    InnerProduct,
    Input,
    Op,
    Pooling,
    PReLU,
    Reshape,
    Scale,
    Slice,
    Softmax,
)


def infer(op: Op, inputs: Sequence[Shape], *, name: str = "") -> Shape:
    """The shape that an op leaves, without the batch.

    Raises ShapeError, with the node's ``name``, where an input does not fit the op or a
    size is one that no input fits.
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


def _per_channel(op: Op, inputs: Sequence[Shape], name: str) -> Shape:
    shape = _one(op, inputs, name)
    if not shape:
        raise ShapeError(f"{_what(op, name)}: needs channels, got single values")
    return shape


def _input(op: Input, inputs: Sequence[Shape], name: str) -> Shape:
    if inputs:
        raise ShapeError(f"{_what(op, name)}: takes no input, got {len(inputs)}")
    shape = (op.channels, op.height, op.width)
    if min(shape) < 1:
        raise ShapeError(f"{_what(op, name)}: every size is 1 or more, not {shape}")
    return shape


def _slice(op: Slice, inputs: Sequence[Shape], name: str) -> Shape:
    shape = _one(op, inputs, name)
    axis = _axis(op, op.axis, shape, name)
    size = shape[axis]
    if not 0 <= op.begin < op.end <= size:
        what = "channels" if axis == 0 else f"axis {axis} from"
        raise ShapeError(
            f"{_what(op, name)}: cuts {what} {op.begin} to {op.end} of {size}"
        )
    return (*shape[:axis], op.end - op.begin, *shape[axis + 1 :])


def _convolution(op: Convolution, inputs: Sequence[Shape], name: str) -> Shape:
    channels, h, w = _map(op, inputs, name)
    extent_h, extent_w = _extent(op, channels, name)
    room_h, room_w = _room(op, h, w, extent_h, extent_w, name)
    return (op.num_output, room_h // op.stride_h + 1, room_w // op.stride_w + 1)


def _deconvolution(op: Deconvolution, inputs: Sequence[Shape], name: str) -> Shape:
    channels, h, w = _map(op, inputs, name)
    extent_h, extent_w = _extent(op, channels, name)
    out_h = op.stride_h * (h - 1) + extent_h - 2 * op.pad_h
    out_w = op.stride_w * (w - 1) + extent_w - 2 * op.pad_w
    if out_h < 1 or out_w < 1:
        raise ShapeError(
            f"{_what(op, name)}: its padding {op.pad_h} x {op.pad_w} leaves nothing of "
            f"{out_h + 2 * op.pad_h} x {out_w + 2 * op.pad_w}"
        )
    return (op.num_output, out_h, out_w)


def _extent(
    op: Convolution | Deconvolution, channels: int, name: str
) -> tuple[int, int]:
    """The pixels that a kernel spans; checks everything but the input's height and width."""
    _window(op, name)
    if op.num_output < 1:
        raise ShapeError(
            f"{_what(op, name)}: num_output is 1 or more, not {op.num_output}"
        )
    if op.group == op.dilation_h == op.dilation_w == 1:
        return op.kernel_h, op.kernel_w
    if op.group < 1 or channels % op.group or op.num_output % op.group:
        raise ShapeError(
            f"{_what(op, name)}: group {op.group} does not divide both its {channels} "
            f"input channels and its {op.num_output} outputs"
        )
    if op.dilation_h < 1 or op.dilation_w < 1:
        raise ShapeError(
            f"{_what(op, name)}: a dilation is 1 or more, not "
            f"{op.dilation_h} x {op.dilation_w}"
        )
    return (
        op.dilation_h * (op.kernel_h - 1) + 1,
        op.dilation_w * (op.kernel_w - 1) + 1,
    )


def _pooling(op: Pooling, inputs: Sequence[Shape], name: str) -> Shape:
    channels, h, w = _map(op, inputs, name)
    _window(op, name)
    padded = op.pad_h > 0 or op.pad_w > 0
    if padded and (op.pad_h >= op.kernel_h or op.pad_w >= op.kernel_w):
        raise ShapeError(
            f"{_what(op, name)}: a pooling's padding is smaller than its kernel, not "
            f"{op.pad_h} x {op.pad_w} for {op.kernel_h} x {op.kernel_w}"
        )
    room_h, room_w = _room(op, h, w, op.kernel_h, op.kernel_w, name)
    out_h = -(-room_h // op.stride_h) + 1
    out_w = -(-room_w // op.stride_w) + 1
    # Only with padding, on whichever axis, does Caffe drop a last window that starts
    # beyond the image.
    if padded:
        out_h -= (out_h - 1) * op.stride_h >= h + op.pad_h
        out_w -= (out_w - 1) * op.stride_w >= w + op.pad_w
    return (channels, out_h, out_w)


def _window(op: Convolution | Deconvolution | Pooling, name: str) -> None:
    """Refuses kernels and strides below 1, and padding below 0."""
    if op.kernel_h < 1 or op.kernel_w < 1:
        raise ShapeError(
            f"{_what(op, name)}: a kernel is 1 or more, not {op.kernel_h} x {op.kernel_w}"
        )
    if op.stride_h < 1 or op.stride_w < 1:
        raise ShapeError(
            f"{_what(op, name)}: a stride is 1 or more, not {op.stride_h} x {op.stride_w}"
        )
    if op.pad_h < 0 or op.pad_w < 0:
        raise ShapeError(
            f"{_what(op, name)}: a padding is 0 or more, not {op.pad_h} x {op.pad_w}"
        )


def _room(
    op: Convolution | Pooling, h: int, w: int, extent_h: int, extent_w: int, name: str
) -> tuple[int, int]:
    """How far a kernel can move in its padded input."""
    room_h = h + 2 * op.pad_h - extent_h
    room_w = w + 2 * op.pad_w - extent_w
    if room_h < 0 or room_w < 0:
        # Caffe divides room by stride towards zero, and so lets some of these pass.
        raise ShapeError(
            f"{_what(op, name)}: its kernel {extent_h} x {extent_w} exceeds its padded "
            f"input {h + 2 * op.pad_h} x {w + 2 * op.pad_w}, which is refused even "
            "where Caffe's rounding lets it pass"
        )
    return room_h, room_w


def _global_pooling(op: GlobalPooling, inputs: Sequence[Shape], name: str) -> Shape:
    return (_map(op, inputs, name)[0], 1, 1)


def _inner_product(op: InnerProduct, inputs: Sequence[Shape], name: str) -> Shape:
    _per_channel(op, inputs, name)
    if op.num_output < 1:
        raise ShapeError(
            f"{_what(op, name)}: num_output is 1 or more, not {op.num_output}"
        )
    return (op.num_output,)


def _concat(op: Concat, inputs: Sequence[Shape], name: str) -> Shape:
    if not inputs:
        raise ShapeError(f"{_what(op, name)}: has no inputs")
    first = inputs[0]
    axis = _axis(op, op.axis, first, name)
    before, behind = first[:axis], first[axis + 1 :]
    rank = len(first)
    for shape in inputs:
        if len(shape) != rank or shape[:axis] != before or shape[axis + 1 :] != behind:
            what = "the channels" if axis == 0 else f"axis {axis}"
            raise ShapeError(
                f"{_what(op, name)}: the inputs differ beyond {what}: {_list(inputs)}"
            )
    return (*before, sum(shape[axis] for shape in inputs), *behind)


def _eltwise(op: Eltwise, inputs: Sequence[Shape], name: str) -> Shape:
    if len(inputs) < 2:
        raise ShapeError(
            f"{_what(op, name)}: takes two inputs or more, got {len(inputs)}"
        )
    if any(shape != inputs[0] for shape in inputs):
        raise ShapeError(
            f"{_what(op, name)}: the inputs differ in shape: {_list(inputs)}"
        )
    if op.coefficients and op.operation != "SUM":
        raise ShapeError(
            f"{_what(op, name)}: coefficients belong to SUM, not to {op.operation}"
        )
    if op.coefficients and len(op.coefficients) != len(inputs):
        raise ShapeError(
            f"{_what(op, name)}: has {len(op.coefficients)} coefficients for "
            f"{len(inputs)} inputs"
        )
    return inputs[0]


def _flatten(op: Flatten, inputs: Sequence[Shape], name: str) -> Shape:
    shape = _one(op, inputs, name)
    axis = _axis(op, op.axis, shape, name)
    end = len(shape) - 1 if op.end_axis == -1 else _axis(op, op.end_axis, shape, name)
    if end < axis:
        raise ShapeError(
            f"{_what(op, name)}: its end_axis {end} comes before its axis {axis}"
        )
    return (*shape[:axis], prod(shape[axis : end + 1]), *shape[end + 1 :])


def _reshape(op: Reshape, inputs: Sequence[Shape], name: str) -> Shape:
    source = _one(op, inputs, name)
    if not op.shape:
        raise ShapeError(
            f"{_what(op, name)}: leaves no axis; it must leave one or more"
        )
    if min(op.shape) < -1 or op.shape.count(-1) > 1:
        raise ShapeError(
            f"{_what(op, name)}: {op.shape} may hold sizes, 0 and one -1, nothing else"
        )
    shape = list(op.shape)
    for place, size in enumerate(shape):
        if size == 0:
            if place >= len(source):
                raise ShapeError(
                    f"{_what(op, name)}: {op.shape} keeps axis {place}, which its input "
                    f"{source} does not have"
                )
            shape[place] = source[place]
    values = prod(source)
    if -1 in shape:
        place = shape.index(-1)
        shape[place] = values // prod(shape[:place] + shape[place + 1 :])
    if prod(shape) != values:
        raise ShapeError(
            f"{_what(op, name)}: {op.shape} does not hold the {values} values of {source}"
        )
    return tuple(shape)


def _crop(op: Crop, inputs: Sequence[Shape], name: str) -> Shape:
    if len(inputs) != 2:
        raise ShapeError(
            f"{_what(op, name)}: takes two inputs, what to cut and a size, got "
            f"{len(inputs)}"
        )
    source, like = inputs
    axis = _axis(op, op.axis, source, name)
    if len(like) != len(source):
        raise ShapeError(
            f"{_what(op, name)}: the inputs differ in their number of axes: {_list(inputs)}"
        )
    axes = len(source) - axis
    if len(op.offsets) not in (1, axes):
        raise ShapeError(
            f"{_what(op, name)}: has {len(op.offsets)} offsets for {axes} axes"
        )
    offsets = crop_offsets(op, len(source))
    for place, offset in enumerate(offsets, start=axis):
        if not 0 <= offset <= source[place] - like[place]:
            raise ShapeError(
                f"{_what(op, name)}: a cut of {like[place]} from {offset} does not lie "
                f"within the {source[place]} of axis {place}"
            )
    return (*source[:axis], *like[axis:])


def crop_offsets(op: Crop, rank: int) -> tuple[int, ...]:
    """Where the cut begins, for each axis from ``op.axis`` on, of an input of that rank."""
    axes = rank - op.axis
    return op.offsets * axes if len(op.offsets) == 1 else op.offsets


def _softmax(op: Softmax, inputs: Sequence[Shape], name: str) -> Shape:
    shape = _one(op, inputs, name)
    _axis(op, op.axis, shape, name)
    return shape


def _arg_max(op: ArgMax, inputs: Sequence[Shape], name: str) -> Shape:
    shape = _one(op, inputs, name)
    axis = None if op.axis is None else _axis(op, op.axis, shape, name)
    size = prod(shape) if axis is None else shape[axis]
    if not 1 <= op.top_k <= size:
        raise ShapeError(
            f"{_what(op, name)}: top_k is {op.top_k}, it is 1 to the {size} values that "
            "it looks at"
        )
    if axis is not None:
        return (*shape[:axis], op.top_k, *shape[axis + 1 :])
    # Caffe gives a blob of as many axes as its input's, and at least three.
    return (2 if op.values else 1, op.top_k, *(1 for _ in shape[2:]))


def _axis(op: Op, axis: int, shape: Shape, name: str) -> int:
    if not 0 <= axis < len(shape):
        raise ShapeError(f"{_what(op, name)}: has no axis {axis} in the shape {shape}")
    return axis


def _list(shapes: Sequence[Shape]) -> str:
    return ", ".join(map(str, shapes))


def _what(op: Op, name: str) -> str:
    return f"{type(op).__name__} {name}".rstrip()


_RULES: dict[type, Callable[..., Shape]] = {
    Input: _input,
    Slice: _slice,
    Convolution: _convolution,
    Pooling: _pooling,
    GlobalPooling: _global_pooling,
    LRN: _map,
    BatchNorm: _per_channel,
    InnerProduct: _inner_product,
    Concat: _concat,
    Deconvolution: _deconvolution,
    PReLU: _per_channel,
    Scale: _per_channel,
    Bias: _per_channel,
    Eltwise: _eltwise,
    Flatten: _flatten,
    Reshape: _reshape,
    Crop: _crop,
    Softmax: _softmax,
    ArgMax: _arg_max,
}
"""The ops that change the shape or need a kind of it; every other one leaves any as it is."""
