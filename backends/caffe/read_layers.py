"""One function for each of Caffe's layer types: what it is in the IR.

Each takes the layer and the shapes of its inputs, without the batch, and raises ReadError for
a field whose meaning the IR does not have. Defaults are Caffe's.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from ribosome.backends.caffe.fields import ZERO, axis, learned, number, pair, single
from ribosome.backends.caffe.lexer import nearest, short
from ribosome.backends.caffe.schema import Message
from ribosome.backends.caffe.upgrade import Layer
from ribosome.genome.network import Shape
from ribosome.genome.ops import (
    ELU,
    LRN,
    ArgMax,
    BatchNorm,
    Bias,
    Blob,
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

_ONE = Filler("constant", 1.0)
_QUARTER = Filler("constant", 0.25)
_MOST_AXES = 32


def read_op(layer: Layer, inputs: Sequence[Shape]) -> Op:
    """The op of a layer that leaves one blob. Raises ReadError for what cannot be read."""
    read = READERS.get(layer.type)
    if read is None:
        known = (*READERS, "Slice", "Split", "Silence", "Accuracy", "SoftmaxWithLoss")
        hint = nearest(layer.type, known)
        layer.fail("type", f"a layer {short(layer.type)} cannot be read{hint}")
    if len(layer.message.top) != 1:
        layer.fail("top", f"one top is wanted, not {len(layer.message.top)}")
    most = _BOTTOMS.get(layer.type, 1)
    if not 1 <= len(inputs) <= most:
        layer.fail(
            "bottom", f"takes {'one' if most == 1 else 'some'}, not {len(inputs)}"
        )
    return read(layer, inputs)


def slice_ops(layer: Layer, inputs: Sequence[Shape]) -> list[Slice]:
    """The parts that a Slice layer cuts its input into, one for each top."""
    parameters, tops = layer.message.slice_param, len(layer.message.top)
    if len(inputs) != 1:
        layer.fail("bottom", f"takes one, not {len(inputs)}")
    at = _axis_or(layer, parameters, "slice_dim", inputs[0])
    size = inputs[0][at]
    points = list(parameters.slice_point)
    if not points:
        if not tops or size % tops:
            layer.fail("top", f"{tops} parts of {size} are not alike; give slice_point")
        points = [size // tops * part for part in range(1, tops)]
    borders = [0, *points, size]
    if len(points) != tops - 1 or any(a >= b for a, b in pairwise(borders)):
        layer.fail(
            "slice_point", f"{points[:20]} does not cut {size} into {tops} parts"
        )
    return [Slice(a, b, at) for a, b in pairwise(borders)]


def scale_blobs(layer: Layer) -> tuple[Blob, Blob | None]:
    """The factor and the term of a Scale layer that has one bottom."""
    return _weights(layer, layer.message.scale_param, "filler", _ONE)


def _weights(
    layer: Layer,
    parameters: Message,
    field: str = "weight_filler",
    default: Filler = ZERO,
) -> tuple[Blob, Blob | None]:
    weight = learned(layer, 0, parameters, field, default)
    if not parameters.bias_term:
        return weight, None
    return weight, learned(layer, 1, parameters, "bias_filler")


def _convolution(layer: Layer, inputs: Sequence[Shape]) -> Convolution | Deconvolution:
    parameters = layer.message.convolution_param
    _only_channels(layer, "convolution_param.axis", parameters.axis, inputs[0])
    kernel = _kernel(layer, parameters)
    stride = pair(layer, parameters, "stride", 1)
    pad = pair(layer, parameters, "pad", 0)
    dilation = pair(layer, parameters, "dilation", 1)
    weight, bias = _weights(layer, parameters)
    op = Convolution if layer.type == "Convolution" else Deconvolution
    return op(
        parameters.num_output,
        *kernel,
        *stride,
        *pad,
        weight,
        bias,
        parameters.group,
        *dilation,
    )


def _kernel(layer: Layer, parameters: Message) -> tuple[int, int]:
    kernel = pair(layer, parameters, "kernel_size", 0)
    if kernel == (0, 0):
        layer.fail("kernel_size", "is missing")
    return kernel


def _pooling(layer: Layer, inputs: Sequence[Shape]) -> Pooling | GlobalPooling:
    parameters = layer.message.pooling_param
    methods: dict[int, Literal["MAX", "AVE"]] = {0: "MAX", 1: "AVE"}
    method = methods.get(parameters.pool)
    if method is None:
        layer.fail("pool", "STOCHASTIC cannot be read; MAX and AVE can")
    if getattr(parameters, "torch_pooling", False):
        layer.fail("torch_pooling", "pooling that rounds down cannot be read")
    stride = pair(layer, parameters, "stride", 1)
    pad = pair(layer, parameters, "pad", 0)
    if parameters.global_pooling:
        if pair(layer, parameters, "kernel_size", 0) != (0, 0):
            layer.fail(
                "kernel_size", "global_pooling takes the whole map; leave it out"
            )
        if pad != (0, 0) or stride != (1, 1):
            layer.fail("global_pooling", "takes no pad, and no stride but 1")
        return GlobalPooling(method)
    kernel = _kernel(layer, parameters)
    if getattr(parameters, "round_mode", 0):
        sizes = zip(inputs[0][-2:], kernel, stride, pad, strict=False)
        if any((size + 2 * p - k) % max(1, s) for size, k, s, p in sizes):
            layer.fail("round_mode", "pooling that rounds down cannot be read")
    return Pooling(method, *kernel, *stride, *pad)


def _lrn(layer: Layer, _: Sequence[Shape]) -> LRN:
    parameters = layer.message.lrn_param
    within = parameters.norm_region == 1
    k = number(layer, parameters, "k")
    if parameters.local_size % 2 == 0:
        layer.fail("local_size", f"must be odd, not {parameters.local_size}")
    if within and k != 1.0:
        layer.fail("k", "WITHIN_CHANNEL takes no k but 1")
    return LRN(
        "WITHIN_CHANNEL" if within else "ACROSS_CHANNELS",
        parameters.local_size,
        number(layer, parameters, "alpha"),
        number(layer, parameters, "beta"),
        k,
    )


def _batch_norm(layer: Layer, _: Sequence[Shape]) -> BatchNorm:
    parameters = layer.message.batch_norm_param
    scale: Blob | None = None
    shift: Blob | None = None
    given = {field.name for field, _ in parameters.ListFields()}
    # NVCaffe's own scale and shift: asked for, or by giving them fillers.
    if getattr(parameters, "scale_bias", False) or given & {
        "scale_filler",
        "bias_filler",
    }:
        scale = learned(layer, 3, parameters, "scale_filler", _ONE)
        shift = learned(layer, 4, parameters, "bias_filler")
    fraction = number(layer, parameters, "moving_average_fraction")
    return BatchNorm(scale, shift, number(layer, parameters, "eps"), fraction)


def _inner_product(layer: Layer, inputs: Sequence[Shape]) -> InnerProduct:
    parameters = layer.message.inner_product_param
    _only_channels(layer, "inner_product_param.axis", parameters.axis, inputs[0])
    if parameters.transpose:
        layer.fail("transpose", "transposed weights cannot be read")
    return InnerProduct(parameters.num_output, *_weights(layer, parameters))


def _relu(layer: Layer, _: Sequence[Shape]) -> ReLU:
    return ReLU(number(layer, layer.message.relu_param, "negative_slope"))


def _elu(layer: Layer, _: Sequence[Shape]) -> ELU:
    parameters = layer.message.elu_param
    if getattr(parameters, "lambda", 1.0) != 1.0:
        layer.fail("lambda", "only 1 can be read")
    return ELU(number(layer, parameters, "alpha"))


def _prelu(layer: Layer, _: Sequence[Shape]) -> PReLU:
    parameters = layer.message.prelu_param
    slope = learned(layer, 0, parameters, "filler", _QUARTER)
    return PReLU(slope, parameters.channel_shared)


def _dropout(layer: Layer, _: Sequence[Shape]) -> Dropout:
    ratio = number(layer, layer.message.dropout_param, "dropout_ratio")
    if not 0.0 <= ratio < 1.0:
        layer.fail("dropout_ratio", f"lies from 0 to below 1, not at {ratio}")
    return Dropout(ratio)


def _power(layer: Layer, _: Sequence[Shape]) -> Power:
    parameters = layer.message.power_param
    return Power(*(number(layer, parameters, f) for f in ("power", "scale", "shift")))


def _scale(layer: Layer, inputs: Sequence[Shape]) -> Scale:
    _per_channel(layer, "scale_param", inputs)
    return Scale(*scale_blobs(layer))


def _bias(layer: Layer, inputs: Sequence[Shape]) -> Bias:
    _per_channel(layer, "bias_param", inputs)
    return Bias(learned(layer, 0, layer.message.bias_param, "filler", ZERO))


def _per_channel(layer: Layer, field: str, inputs: Sequence[Shape]) -> None:
    parameters = getattr(layer.message, field)
    if len(inputs) != 1:
        layer.fail("bottom", "a second blob as the factor or term cannot be read")
    _only_channels(layer, f"{field}.axis", parameters.axis, inputs[0])
    if parameters.num_axes != 1:
        layer.fail(
            f"{field}.num_axes", f"only 1 can be read, not {parameters.num_axes}"
        )


def _only_channels(layer: Layer, field: str, value: int, shape: Shape) -> None:
    if axis(layer, field, value, len(shape)) != 0:
        layer.fail(field, f"only the channels' axis, 1, can be read, not {value}")


def _concat(layer: Layer, inputs: Sequence[Shape]) -> Concat:
    return Concat(_axis_or(layer, layer.message.concat_param, "concat_dim", inputs[0]))


def _axis_or(layer: Layer, parameters: Message, old: str, shape: Shape) -> int:
    """The field ``axis``, or the one that Caffe had before it."""
    field = old if parameters.HasField(old) else "axis"
    if field == old and parameters.HasField("axis"):
        layer.fail(old, "axis is given as well; leave one of them out")
    return axis(layer, field, getattr(parameters, field), len(shape))


def _eltwise(layer: Layer, inputs: Sequence[Shape]) -> Eltwise:
    parameters = layer.message.eltwise_param
    operations: dict[int, Literal["SUM", "PROD", "MAX"]] = {
        0: "PROD",
        1: "SUM",
        2: "MAX",
    }
    operation = operations[parameters.operation]
    for value in parameters.coeff:
        if not abs(value) < float("inf"):
            layer.fail("coeff", f"{value} is no finite number")
    if len(parameters.coeff) and (
        operation != "SUM" or len(parameters.coeff) != len(inputs)
    ):
        layer.fail("coeff", "SUM takes one for each bottom, the others take none")
    return Eltwise(operation, tuple(single(value) for value in parameters.coeff))


def _flatten(layer: Layer, inputs: Sequence[Shape]) -> Flatten:
    parameters, rank = layer.message.flatten_param, len(inputs[0])
    first = axis(layer, "flatten_param.axis", parameters.axis, rank)
    last = axis(layer, "flatten_param.end_axis", parameters.end_axis, rank)
    if last < first:
        layer.fail("flatten_param.end_axis", "lies before axis")
    return Flatten(first, -1 if parameters.end_axis == -1 else last)


def _reshape(layer: Layer, inputs: Sequence[Shape]) -> Reshape:
    """A shape that replaces the axes from ``axis`` on, ``num_axes`` of them or all."""
    parameters, source = layer.message.reshape_param, inputs[0]
    dims = list(parameters.shape.dim)
    if len(dims) > _MOST_AXES:
        layer.fail("reshape_param.shape", f"has {len(dims)} dims, at most {_MOST_AXES}")
    first, count = parameters.axis, parameters.num_axes
    if first < 0:
        first += len(source) + 2  # counted from behind the last axis
    if not 0 <= first <= len(source) + 1 or count < -1:
        layer.fail("reshape_param.axis", f"the blob has {len(source) + 1} axes")
    if first == 0:
        if not dims or dims[0] != 0:
            layer.fail(
                "reshape_param.shape", "must leave the batch: its first dim is 0"
            )
        dims, first, count = dims[1:], 1, count - 1 if count > 0 else count
    first -= 1
    stop = len(source) if count == -1 else first + count
    if stop > len(source):
        layer.fail("reshape_param.num_axes", f"the blob has {len(source) + 1} axes")
    if first == 0 and stop == len(source):
        return Reshape(tuple(dims))
    for place, size in enumerate(dims):
        if size == 0:
            if first + place >= stop:
                layer.fail(
                    "reshape_param.shape", "a 0 stands where the blob has no axis"
                )
            dims[place] = source[first + place]
    return Reshape((*source[:first], *dims, *source[stop:]))


def _crop(layer: Layer, inputs: Sequence[Shape]) -> Crop:
    parameters = layer.message.crop_param
    at = axis(layer, "crop_param.axis", parameters.axis, len(inputs[0]))
    offsets = tuple(parameters.offset)
    return Crop(at, offsets or (0,))


def _softmax(layer: Layer, inputs: Sequence[Shape]) -> Softmax:
    value = layer.message.softmax_param.axis
    return Softmax(axis(layer, "softmax_param.axis", value, len(inputs[0])))


def _argmax(layer: Layer, inputs: Sequence[Shape]) -> ArgMax:
    parameters = layer.message.argmax_param
    at = None
    if parameters.HasField("axis"):
        at = axis(layer, "argmax_param.axis", parameters.axis, len(inputs[0]))
    return ArgMax(parameters.top_k, parameters.out_max_val, at)


READERS: dict[str, Callable[[Layer, Sequence[Shape]], Op]] = {
    "Convolution": _convolution,
    "Deconvolution": _convolution,
    "Pooling": _pooling,
    "LRN": _lrn,
    "BatchNorm": _batch_norm,
    "InnerProduct": _inner_product,
    "ReLU": _relu,
    "ELU": _elu,
    "Sigmoid": lambda _layer, _inputs: Sigmoid(),
    "TanH": lambda _layer, _inputs: TanH(),
    "PReLU": _prelu,
    "Dropout": _dropout,
    "Power": _power,
    "Scale": _scale,
    "Bias": _bias,
    "Concat": _concat,
    "Eltwise": _eltwise,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Crop": _crop,
    "Softmax": _softmax,
    "ArgMax": _argmax,
}
"""Every type that is one op; Slice is several, data and losses are none."""

_BOTTOMS = {"Concat": 10**9, "Eltwise": 10**9, "Crop": 2, "Scale": 2, "Bias": 2}
"""The most bottoms of a type, where it takes more than one."""
