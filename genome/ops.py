"""The op set of the network IR, on one screen. Its semantics are Caffe's.

Sizes are (height, width) pairs flattened into two fields, as in Caffe's prototxt. Shapes
leave the batch out: (channels, height, width) for maps, (channels,) after an inner product.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Filler:
    """How a blob starts: Caffe's filler of that name (the fan is the fan-in)."""

    kind: Literal[
        "constant", "gaussian", "uniform", "xavier", "msra", "positive_unitball"
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
class ChannelSlice:
    """The channels from ``begin`` up to, not including, ``end``."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Convolution:
    """A 2-D convolution: size floor((h + 2 pad - kernel) / stride) + 1; bias None: no bias."""

    num_output: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    weight: Blob
    bias: Blob | None


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
    """Local response normalisation, x / (1 + alpha * mean of x^2 over the region)^beta.

    The region is ``local_size`` channels, or a ``local_size`` square of the same channel.
    """

    region: Literal["ACROSS_CHANNELS", "WITHIN_CHANNEL"]
    local_size: int
    alpha: float
    beta: float


@dataclass(frozen=True, slots=True)
class BatchNorm:
    """Batch normalisation with a learned scale and shift (Caffe: BatchNorm, then Scale).

    ``fraction`` is Caffe's moving_average_fraction.
    """

    scale: Blob
    shift: Blob
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
    """The inputs joined along the channels."""


Op = (
    Input
    | Jitter
    | ChannelSlice
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
)
"""Any op. The order here is the order of every table of ops."""

OPS: tuple[type, ...] = Op.__args__
