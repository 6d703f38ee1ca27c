"""What a space file may say: its sections, their cases, each case's parameters.

A parameter that a space file leaves out takes its default, and is no gene then.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from ribosome.genome.ops import ELU, Filler, Op, ReLU, Sigmoid, TanH
from ribosome.genome.space import Allele

SAME = "same"
"""As a kernel_w or stride_w: the value of kernel_h or stride_h."""

ACTIVATIONS: dict[str, Op] = {
    "relu": ReLU(),
    "leaky_relu": ReLU(negative_slope=0.1),
    "sigmoid": Sigmoid(),
    "tanh": TanH(),
    "elu": ELU(),
}

PADS = {"none": (0, 0), "half": (1, 1), "half_h": (1, 0), "half_w": (0, 1)}
"""The axes that are padded, by (kernel - 1) // 2 each."""


Distance = Callable[[float, float], float]
"""How far a value is from an allele: 0 where they are equal, inf where nothing is near."""


def by_difference(value: float, allele: float) -> float:
    """The distance of what adds: shares, exponents, offsets."""
    return abs(value - allele)


def by_ratio(value: float, allele: float) -> float:
    """The distance of what multiplies: sizes, rates; numbers of two signs are never near."""
    if value == allele:
        return 0.0
    if not value or not allele or (value > 0.0) != (allele > 0.0):
        return math.inf
    return abs(math.log(abs(value)) - math.log(abs(allele)))


def by_limit(value: float, allele: float) -> float:
    """The distance of limits, of which 0 is none: a large limit is nearest to it."""
    return by_ratio(value or _NO_LIMIT, allele or _NO_LIMIT)


_NO_LIMIT = 1e30


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a case: what its alleles may be, and its allele when left out.

    ``distance`` decides which allele is nearest to a value that has none; names have no
    distance, and fillers one of their own (`ribosome.genome.nearest_layer`).
    """

    check: Callable[[Allele], bool]
    wants: str
    default: Allele | None = None  # None: must be given
    ascending: bool = False
    distance: Distance | None = None


def parse_filler(text: str) -> Filler:
    """The filler that an allele names: xavier, msra, positive_unitball, gaussian(0.01).

    Raises ValueError for anything else. A filler has one text only, so that no two alleles
    of a space mean the same.
    """
    if text in ("xavier", "msra", "positive_unitball"):
        return Filler(text)  # type: ignore[arg-type]
    match = re.fullmatch(r"gaussian\(([0-9.]+)\)", text)
    filler = Filler("gaussian", std=float(match[1]) if match else 0.0)
    if filler.std <= 0.0 or filler_text(filler) != text:
        raise ValueError(text)
    return filler


def filler_text(filler: Filler) -> str:
    """The allele that names a filler: what `parse_filler` reads it from."""
    if filler.kind != "gaussian":
        return filler.kind
    return f"gaussian({Decimal(repr(filler.std)).normalize():f})"


def _is_filler(value: Allele) -> bool:
    try:
        return isinstance(value, str) and bool(parse_filler(value))
    except ValueError:
        return False


def _count(value: Allele) -> bool:
    return isinstance(value, int) and 1 <= value <= 65536


def _number(low: float, high: float) -> Callable[[Allele], bool]:
    return lambda value: isinstance(value, int | float) and low <= value <= high


def _one_of(*names: str) -> Parameter:
    return Parameter(
        lambda value: value in names, f"one of {', '.join(names)}", names[0]
    )


def _real(
    low: float, high: float, default: float | None, distance: Distance = by_difference
) -> Parameter:
    wants = f"a number from {low:g} to {high:g}"
    return Parameter(_number(low, high), wants, default, distance=distance)


_COUNT = "a whole number from 1 to 65536"
_WIDTH = Parameter(_count, _COUNT, distance=by_ratio)
_ALONG_H = Parameter(_count, _COUNT, 1, ascending=True, distance=by_ratio)
_ALONG_W = Parameter(
    lambda value: value == SAME or _count(value),
    f'"{SAME}" or a whole number from 1 to 65536',
    SAME,
    ascending=True,
    distance=by_ratio,
)
_WEIGHT_FILLER = Parameter(
    _is_filler,
    "xavier, msra, positive_unitball or gaussian(STD) with STD as short as can be",
    "xavier",
)
_BIAS = _real(-1000.0, 1000.0, 0.0)
_DROPOUT = _real(0.0, 0.99, 0.0)
_ACTIVATION = _one_of("none", *ACTIVATIONS)
_METHOD = _one_of("MAX", "AVE")
_WINDOW = {
    "kernel_h": _ALONG_H,
    "kernel_w": _ALONG_W,
    "stride_h": _ALONG_H,
    "stride_w": _ALONG_W,
}
_BASE_LR = _real(1e-9, 1e3, None, by_ratio)
_MOMENTUM = _real(0.0, 0.9999, 0.9)

SLOT_CASES: dict[str, dict[str, Parameter]] = {
    "none": {},
    "convolution": {
        "num_output": _WIDTH,
        **_WINDOW,
        "pad": _one_of(*PADS),
        "weight_filler": _WEIGHT_FILLER,
        "bias": _BIAS,
        "dropout": _DROPOUT,
        "activation": _ACTIVATION,
    },
    "pooling": {"method": _METHOD, **_WINDOW, "activation": _ACTIVATION},
    "global_pooling": {"method": _METHOD},
    "lrn": {
        "region": _one_of("ACROSS_CHANNELS", "WITHIN_CHANNEL"),
        "local_size": Parameter(
            lambda value: _count(value) and int(value) % 2 == 1,
            "an odd whole number",
            5,
            distance=by_ratio,
        ),
        "alpha": _real(0.0, 1000.0, 1.0, by_ratio),
        "beta": _real(0.0, 10.0, 0.75),
    },
    "batch_norm": {"fraction": _real(0.0, 0.9999, 0.999), "activation": _ACTIVATION},
    "inception": {
        "num_1x1": _WIDTH,
        "num_3x3_reduce": _WIDTH,
        "num_3x3": _WIDTH,
        "num_5x5_reduce": _WIDTH,
        "num_5x5": _WIDTH,
        "num_pool_proj": _WIDTH,
        "weight_filler": _WEIGHT_FILLER,
        "bias": _BIAS,
    },
    "inner_product": {
        "num_output": _WIDTH,
        "weight_filler": _WEIGHT_FILLER,
        "bias": _BIAS,
        "dropout": _DROPOUT,
        "activation": _ACTIVATION,
    },
}
"""What a slot may hold. The order is that in which a table of layers lists them."""

SECTIONS: dict[str, dict[str, dict[str, Parameter]]] = {
    "input": {"input": {"jitter": _real(0.0, 10.0, 0.0, by_ratio)}},
    "towers": {
        "one": {},
        "cut": {
            "count": Parameter(
                lambda value: isinstance(value, int) and 2 <= value <= 64,
                "a whole number from 2 to 64",
                ascending=True,
            ),
            "merge": Parameter(_count, "a slot's number", ascending=True),
        },
    },
    "solver": {
        "SGD": {"base_lr": _BASE_LR, "momentum": _MOMENTUM},
        "Nesterov": {"base_lr": _BASE_LR, "momentum": _MOMENTUM},
        "Adam": {
            "base_lr": _BASE_LR,
            "momentum": _MOMENTUM,
            "momentum2": _real(0.0, 0.99999, 0.999),
        },
        "RMSProp": {"base_lr": _BASE_LR, "rms_decay": _real(0.0, 0.99999, 0.99)},
    },
    "learning_rate": {
        "fixed": {},
        "step": {
            "gamma": _real(1e-6, 1.0, 0.1, by_ratio),
            "fraction": _real(0.001, 1.0, 0.5),
        },
        "exp": {"gamma": _real(1e-9, 1.0, 0.01, by_ratio)},
        "inv": {
            "gamma": _real(0.0, 1e6, 1.0, by_ratio),
            "power": _real(0.0, 10.0, 0.75),
        },
        "poly": {"power": _real(0.0, 10.0, 1.0)},
        "sigmoid": {
            "gamma": _real(-1e6, 1e6, -10.0, by_ratio),
            "fraction": _real(0.0, 1.0, 0.5),
        },
    },
    "training": {
        "training": {
            # One image has no variance: batch normalisation cannot train on it.
            "batch_size": Parameter(
                lambda value: _count(value) and int(value) > 1,
                "a whole number from 2 to 65536",
                distance=by_ratio,
            ),
            "weight_decay": _real(0.0, 10.0, 0.0, by_ratio),
            "clip_gradients": _real(0.0, 1e6, 0.0, by_limit),
        }
    },
}
"""The sections beside the slots. A section with one case of its own name is plain genes."""
