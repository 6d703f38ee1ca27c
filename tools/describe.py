"""Ops, solvers and shapes in a few words, for tables."""

from ribosome.genome.network import Shape
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
from ribosome.genome.solver import Solver
from ribosome.tools.text import number

_POOLING = {"MAX": "max", "AVE": "average"}
_ELTWISE = {"SUM": "sum", "PROD": "product", "MAX": "maximum"}


def shape(of: Shape) -> str:
    """A shape as 32x14x14."""
    return "x".join(str(size) for size in of)


def op(of: Op) -> str:
    """An op and its main fields: convolution 64, 3x5, stride 2x1, pad 1x2, msra."""
    match of:
        case Input():
            return "input"
        case Jitter():
            return f"jitter {number(of.std)}"
        case Slice():
            last = of.end - 1
            what = f"axis {of.axis}, value" if of.axis else "channel"
            return (
                f"{what} {last}" if of.begin == last else f"{what}s {of.begin}-{last}"
            )
        case Convolution():
            return f"convolution {_kernels(of)}"
        case Pooling():
            return f"{_POOLING[of.method]} pooling {_window(of)}"
        case GlobalPooling():
            return f"{_POOLING[of.method]} pooling, global"
        case LRN():
            where = "across" if of.region == "ACROSS_CHANNELS" else "within"
            return (
                f"LRN {where}, {of.local_size}, "
                f"alpha {number(of.alpha)}, beta {number(of.beta)}"
                f"{_unless(1.0, 'k', of.k)}"
            )
        case BatchNorm():
            return "batch norm, scale" if of.scale else "batch norm"
        case InnerProduct():
            return f"inner product {of.num_output}, {filler(of.weight.filler)}"
        case ReLU():
            slope = number(of.negative_slope)
            return f"leaky ReLU {slope}" if of.negative_slope else "ReLU"
        case ELU():
            return "ELU" if of.alpha == 1.0 else f"ELU {number(of.alpha)}"
        case Sigmoid():
            return "sigmoid"
        case TanH():
            return "tanh"
        case Dropout():
            return f"dropout {number(of.ratio)}"
        case Concat():
            return f"concat{_axis(of.axis)}"
        case _:
            return _op_of_files(of)


def _op_of_files(
    of: Deconvolution
    | PReLU
    | Power
    | Scale
    | Bias
    | Eltwise
    | Flatten
    | Reshape
    | Crop
    | Softmax
    | ArgMax,
) -> str:
    """An op that no space has, only networks from files."""
    match of:
        case Deconvolution():
            return f"deconvolution {_kernels(of)}"
        case PReLU():
            return "PReLU, one slope" if of.shared else "PReLU"
        case Power():
            return (
                f"power {number(of.power)}{_unless(1.0, 'scale', of.scale)}"
                f"{_unless(0.0, 'shift', of.shift)}"
            )
        case Scale():
            return "scale and shift" if of.shift else "scale"
        case Bias():
            return "bias"
        case Eltwise():
            factors = ", ".join(map(number, of.coefficients))
            return f"{_ELTWISE[of.operation]}{' by ' if factors else ''}{factors}"
        case Flatten():
            whole = (of.axis, of.end_axis) == (0, -1)
            end = "the last" if of.end_axis == -1 else of.end_axis
            return "flatten" if whole else f"flatten, axis {of.axis} to {end}"
        case Reshape():
            return f"reshape to {shape(of.shape)}"
        case Crop():
            offsets = "x".join(map(str, of.offsets))
            return f"crop from axis {of.axis} on, at {offsets}"
        case Softmax():
            return f"softmax{_axis(of.axis)}"
        case ArgMax():
            what = "values" if of.values and of.axis is not None else "places"
            both = " and values" if of.values and of.axis is None else ""
            where = "" if of.axis is None else f", axis {of.axis}"
            return f"{what}{both} of the {of.top_k} largest{where}"


def filler(of: Filler) -> str:
    """A filler with the numbers that it uses."""
    match of.kind:
        case "constant":
            return f"constant {number(of.value)}"
        case "gaussian":
            return f"gaussian {number(of.std)}"
        case "uniform":
            return f"uniform {number(of.low)} to {number(of.high)}"
        case _:
            return of.kind.replace("_", " ")


def solver(of: Solver) -> str:
    """A solver in one line; what is zero or does not apply is left out."""
    words = [of.type, f"base lr {number(of.base_lr)}", policy(of)]
    if of.type == "RMSProp":
        words.append(f"decay of squares {number(of.rms_decay)}")
    else:
        words.append(f"momentum {number(of.momentum)}")
    if of.type == "Adam":
        words.append(f"momentum2 {number(of.momentum2)}")
    words.append(f"weight decay {number(of.weight_decay)}")
    if of.clip_gradients:
        words.append(f"gradients clipped at {number(of.clip_gradients)}")
    words.append(f"batch {of.batch_size}")
    return ", ".join(words)


def policy(of: Solver) -> str:
    """A learning rate policy, relative to the length of the run."""
    rate = of.learning_rate
    gamma, power, share = number(rate.gamma), number(rate.power), number(rate.fraction)
    match rate.policy:
        case "fixed":
            return "fixed rate"
        case "step":
            return f"times {gamma} after every {share} of the run"
        case "exp":
            return f"falling to {gamma} of it"
        case "inv":
            return f"inverse decay (gamma {gamma}, power {power})"
        case "poly":
            return f"polynomial decay (power {power})"
        case "sigmoid":
            return f"sigmoid decay (gamma {gamma} at {share} of the run)"


def _kernels(of: Convolution | Deconvolution) -> str:
    dilation = _pair("dilation", of.dilation_h, of.dilation_w, unless=1)
    return (
        f"{of.num_output}, {_window(of)}{dilation}{_unless(1, 'group', of.group)}, "
        f"{filler(of.weight.filler)}"
    )


def _window(of: Convolution | Deconvolution | Pooling) -> str:
    stride = _pair("stride", of.stride_h, of.stride_w, unless=1)
    pad = _pair("pad", of.pad_h, of.pad_w, unless=0)
    return f"{of.kernel_h}x{of.kernel_w}{stride}{pad}"


def _axis(axis: int) -> str:
    return f", axis {axis}" if axis else ""


def _unless(usual: float, word: str, value: float) -> str:
    return "" if value == usual else f", {word} {number(value)}"


def _pair(word: str, h: int, w: int, *, unless: int) -> str:
    if h == w == unless:
        return ""
    return f", {word} {h}" if h == w else f", {word} {h}x{w}"
