"""The op set of the network IR, on one screen. Its semantics are Caffe's.

Sizes are (height, width) pairs flattened into two fields, as in Caffe's prototxt. Shapes
leave the batch out: (channels, height, width) for maps, (channels,) after an inner product.
An axis counts without the batch, and from the front: 0 is the channels, Caffe's axis 1.

The first block is what spaces are made of; the second only networks from files have.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Filler:
    """How a blob starts: Caffe's filler of that name (the fan is the fan-in)."""

    kind: Literal[
        "constant",
        "gaussian",
        "uniform",
        "xavier",
        "msra",
        "positive_unitball",
        "bilinear",  # square kernels only: a Deconvolution that enlarges an image
    ]
    value: float = 0.0  # of constant
    std: float = 1.0  # of gaussian; the default is Caffe's
    low: float = 0.0  # of uniform
    high: float = 1.0  # of uniform


@dataclass(frozen=True, slots=True)
class Blob:
    """A learned blob: its filler, and its multiples of learning rate and weight decay."""

    filler: Filler
    lr_mult: float = 1.0
    decay_mult: float = 1.0


@dataclass(frozen=True, slots=True)
class Input:
    """The images: (channels, height, width)."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Jitter:
    """In training, every value times its own draw of N(1, std); the identity in tests."""

    std: float


@dataclass(frozen=True, slots=True)
class Slice:
    """The values of an axis from ``begin`` up to, not including, ``end``."""

    begin: int
    end: int
    axis: int = 0


@dataclass(frozen=True, slots=True)
class Convolution:
    """A 2-D convolution: size floor((h + 2 pad - extent) / stride) + 1; bias None: no bias.

    The extent of a kernel is dilation * (kernel - 1) + 1. ``group`` cuts the channels of
    input and output into that many parts that do not see each other.
    """

    num_output: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    weight: Blob
    bias: Blob | None
    group: int = 1
    dilation_h: int = 1
    dilation_w: int = 1


@dataclass(frozen=True, slots=True)
class Pooling:
    """MAX or AVE pooling: size ceil((h + 2 pad - kernel) / stride) + 1.

    An average counts the padding.
    """

    method: Literal["MAX", "AVE"]
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_h: int = 0
    pad_w: int = 0


@dataclass(frozen=True, slots=True)
class GlobalPooling:
    """MAX or AVE over the whole map; leaves (channels, 1, 1)."""

    method: Literal["MAX", "AVE"]


@dataclass(frozen=True, slots=True)
class LRN:
    """Local response normalisation, x / (k + alpha * mean of x^2 over the region)^beta.

    The region is ``local_size`` channels, or a ``local_size`` square of the same channel,
    where Caffe takes no ``k`` but 1.
    """

    region: Literal["ACROSS_CHANNELS", "WITHIN_CHANNEL"]
    local_size: int
    alpha: float
    beta: float
    k: float = 1.0


@dataclass(frozen=True, slots=True)
class BatchNorm:
    """Batch normalisation with a learned scale and shift (Caffe: BatchNorm, then Scale).

    ``fraction`` is Caffe's moving_average_fraction. Both blobs None: neither is learned.
    """

    scale: Blob | None
    shift: Blob | None
    eps: float = 1e-5
    fraction: float = 0.999


@dataclass(frozen=True, slots=True)
class InnerProduct:
    """A fully connected layer on the flattened input; weight (out, in); leaves (channels,)."""

    num_output: int
    weight: Blob
    bias: Blob | None


@dataclass(frozen=True, slots=True)
class ReLU:
    """max(x, 0) + negative_slope * min(x, 0)."""

    negative_slope: float = 0.0


@dataclass(frozen=True, slots=True)
class ELU:
    """x, or alpha * (exp(x) - 1) below zero."""

    alpha: float = 1.0


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """1 / (1 + exp(-x))."""


@dataclass(frozen=True, slots=True)
class TanH:
    """The hyperbolic tangent."""


@dataclass(frozen=True, slots=True)
class Dropout:
    """In training, zeroes a share ``ratio`` and divides the rest by 1 - ratio."""

    ratio: float


@dataclass(frozen=True, slots=True)
class Concat:
    """The inputs joined along an axis."""

    axis: int = 0


@dataclass(frozen=True, slots=True)
class Deconvolution:
    """The transpose of a convolution: size stride * (h - 1) + extent - 2 pad."""

    num_output: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    weight: Blob
    bias: Blob | None
    group: int = 1
    dilation_h: int = 1
    dilation_w: int = 1


@dataclass(frozen=True, slots=True)
class PReLU:
    """max(x, 0) + slope * min(x, 0), a learned slope per channel or one for all."""

    slope: Blob
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Power:
    """(shift + scale * x) ^ power."""

    power: float = 1.0
    scale: float = 1.0
    shift: float = 0.0


@dataclass(frozen=True, slots=True)
class Scale:
    """A learned factor per channel, and a learned term unless ``shift`` is None."""

    scale: Blob
    shift: Blob | None


@dataclass(frozen=True, slots=True)
class Bias:
    """A learned term per channel."""

    shift: Blob


@dataclass(frozen=True, slots=True)
class Eltwise:
    """The inputs, of one shape, summed (by coefficients), multiplied, or their largest."""

    operation: Literal["SUM", "PROD", "MAX"]
    coefficients: tuple[float, ...] = ()  # of SUM, one per input; (): all 1


@dataclass(frozen=True, slots=True)
class Flatten:
    """The axes from ``axis`` to ``end_axis`` (-1: the last) made one."""

    axis: int = 0
    end_axis: int = -1


@dataclass(frozen=True, slots=True)
class Reshape:
    """The values in another shape: 0 keeps the axis, one -1 takes what is left."""

    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Crop:
    """The first input cut to the second one's size, on every axis from ``axis`` on.

    ``offsets`` are where the cut begins: one for each of those axes, or one for all.
    """

    axis: int = 1
    offsets: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Softmax:
    """exp(x) over its sum along an axis."""

    axis: int = 0


@dataclass(frozen=True, slots=True)
class ArgMax:
    """The places of the ``top_k`` largest values, as floats, along an axis.

    Of equal values the last one comes first. Without an axis it looks at all values of
    an image and leaves (1, top_k), or with ``values`` (2, top_k): places, then values; of
    a map (1, top_k, 1) or (2, top_k, 1). With an axis, ``values`` leaves the values
    instead of the places, shape top_k on that axis.
    """

    top_k: int = 1
    values: bool = False
    axis: int | None = None


Op = (
    Input
    | Jitter
    | Slice
    | Convolution
    | Pooling
    | GlobalPooling
    | LRN
    | BatchNorm
    | InnerProduct
    | ReLU
    | ELU
    | Sigmoid
    | TanH
    | Dropout
    | Concat
    | Deconvolution
    | PReLU
    | Power
    | Scale
    | Bias
    | Eltwise
    | Flatten
    | Reshape
    | Crop
    | Softmax
    | ArgMax
)
"""Any op. The order here is the order of every table of ops."""

OPS: tuple[type, ...] = Op.__args__
