"""The Caffe backend's table: the type and the parameters of every op of the IR in Caffe.

A layer's text has a *form*, its kind, its fillers and what is left out where it is Caffe's
default, and numbers. A form is rendered from the template once and parsed with the schema of
the flavour, so that a field which the flavour does not know is found as soon as it is first
written; what is filled in after that are numbers and names of enumerations.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from ribosome.backends.caffe.check import check_text
from ribosome.backends.caffe.schema import Flavour
from ribosome.backends.caffe.single import shortest
from ribosome.genome.errors import EmitError, UnsupportedOp
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
    Softmax,
    TanH,
)
from ribosome.templates.environment import template

_CACHE = 1024
"""Bodies of layers that are kept: a child shares most of its layers with a parent."""

Values = dict[str, str | int]


class Form(NamedTuple):
    """What of a layer's text is no number: its kind, its blobs' fillers, its options."""

    kind: str
    fillers: tuple[tuple[str, str], ...]
    options: frozenset[str]


@dataclass(frozen=True, slots=True)
class Body:
    """A layer's type, and its text between the tops and the closing brace."""

    kind: str
    text: str


@lru_cache(maxsize=4096)
def number(value: float) -> str:
    """The shortest text that is the same number to Caffe, which holds single precision.

    Raises EmitError for a number that single precision cannot hold.
    """
    if isinstance(value, int):
        return str(value)
    text = shortest(value)
    if text is None:
        raise EmitError(
            f"{value!r} is beyond Caffe's single precision; choose a smaller number"
        )
    return text.removeprefix("-") if float(text) == 0.0 else text


def bodies(op: Op, flavour: Flavour) -> tuple[Body, ...]:
    """The Caffe layers that an op is: one, or two for BatchNorm with a scale.

    Raises UnsupportedOp for an op that is written elsewhere or not at all.
    """
    # By identity, for decode gives equal layers the same ops, and an op is slow to hash.
    known = _BODIES.get((id(op), flavour))
    if known is not None:
        return known[1]
    made = _bodies(op, flavour)
    if len(_BODIES) >= _CACHE:
        _BODIES.clear()
    _BODIES[id(op), flavour] = op, made  # the op too: its id must stay its own
    return made


_BODIES: dict[tuple[int, Flavour], tuple[Op, tuple[Body, ...]]] = {}


def _bodies(op: Op, flavour: Flavour) -> tuple[Body, ...]:
    if isinstance(op, BatchNorm):
        made = [_body(_batch_norm(op), flavour)]
        if op.scale is not None:
            made.append(_body(_scale(Scale(op.scale, op.shift)), flavour))
        return tuple(made)
    make = LAYERS.get(type(op))
    if make is None:
        raise UnsupportedOp(f"the caffe backend has no code for {type(op).__name__}")
    return (_body(make(op), flavour),)


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer's form and the values that fill it."""

    kind: str
    values: Values = field(default_factory=dict)
    blobs: tuple[tuple[str, Blob | None], ...] = ()
    options: frozenset[str] = frozenset()


def _body(layer: _Layer, flavour: Flavour) -> Body:
    values = layer.values
    fillers: list[tuple[str, str]] = []
    for name, blob in layer.blobs:
        if blob is None:
            continue
        filler = blob.filler
        fillers.append((name, filler.kind))
        values[f"{name}_lr_mult"] = number(blob.lr_mult)
        values[f"{name}_decay_mult"] = number(blob.decay_mult)
        if filler.kind == "constant":
            values[f"{name}_value"] = number(filler.value)
        elif filler.kind == "gaussian":
            values[f"{name}_std"] = number(filler.std)
        elif filler.kind == "uniform":
            values[f"{name}_low"] = number(filler.low)
            values[f"{name}_high"] = number(filler.high)
    form = Form(layer.kind, tuple(fillers), layer.options)
    return Body(layer.kind, _text(form, flavour, values) % values)


def _text(form: Form, flavour: Flavour, values: Values) -> str:
    """A form's text with places for its numbers; a new one is tried with ``values``."""
    known = _FORMS.get((form, flavour))
    if known is not None:
        return known
    text = template("caffe_layer.prototxt.jinja").render(
        kind=form.kind, fillers=dict(form.fillers), options=form.options
    )
    layer = layer_text("x", Body(form.kind, text % values), ("x",), ("x",))
    check_text(layer, "NetParameter", flavour)
    _FORMS[form, flavour] = text
    return text


_FORMS: dict[tuple[Form, Flavour], str] = {}


def layer_text(
    name: str, body: Body, bottoms: Sequence[str], tops: Sequence[str]
) -> str:
    """A whole layer. Names of blobs and layers are quoted here."""
    if len(bottoms) == len(tops) == 1:
        lines = f"  bottom: {quoted(bottoms[0])}\n  top: {quoted(tops[0])}\n"
    else:
        lines = "".join([f"  bottom: {quoted(bottom)}\n" for bottom in bottoms])
        lines += "".join([f"  top: {quoted(top)}\n" for top in tops])
    return f'layer {{\n  name: {quoted(name)}\n  type: "{body.kind}"\n{lines}{body.text}}}\n'


@lru_cache(maxsize=4096)
def quoted(name: str) -> str:
    """A string as prototxt has it, whatever is in it."""
    if name.isascii() and name.isprintable() and not set(name) & {'"', "\\"}:
        return f'"{name}"'
    octal = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}"
        for byte in name.encode("utf-8", "surrogateescape")
    )
    return f'"{octal}"'


def _window(op: Convolution | Deconvolution | Pooling) -> Values:
    return {
        "kernel_h": op.kernel_h,
        "kernel_w": op.kernel_w,
        "stride_h": op.stride_h,
        "stride_w": op.stride_w,
        "pad_h": op.pad_h,
        "pad_w": op.pad_w,
    }


def _convolution(op: Convolution | Deconvolution) -> _Layer:
    values = _window(op)
    values["num_output"] = op.num_output
    options = []
    if (op.dilation_h, op.dilation_w) != (1, 1):
        options.append("dilation")
        values |= {"dilation_h": op.dilation_h, "dilation_w": op.dilation_w}
    if op.group != 1:
        options.append("group")
        values["group"] = op.group
    blobs = (("weight", op.weight), ("bias", op.bias))
    return _Layer(type(op).__name__, values, blobs, frozenset(options))


def _inner_product(op: InnerProduct) -> _Layer:
    blobs = (("weight", op.weight), ("bias", op.bias))
    return _Layer("InnerProduct", {"num_output": op.num_output}, blobs)


def _pooling(op: Pooling) -> _Layer:
    return _Layer("Pooling", {"method": op.method, **_window(op)})


def _global_pooling(op: GlobalPooling) -> _Layer:
    return _Layer("Pooling", {"method": op.method}, options=frozenset({"global"}))


def _lrn(op: LRN) -> _Layer:
    values: Values = {
        "region": op.region,
        "local_size": op.local_size,
        "alpha": number(op.alpha),
        "beta": number(op.beta),
    }
    if op.k == 1.0:
        return _Layer("LRN", values)
    return _Layer("LRN", values | {"k": number(op.k)}, options=frozenset({"k"}))


def _batch_norm(op: BatchNorm) -> _Layer:
    values: Values = {"fraction": number(op.fraction), "eps": number(op.eps)}
    return _Layer("BatchNorm", values)


def _scale(op: Scale) -> _Layer:
    return _Layer("Scale", blobs=(("scale", op.scale), ("shift", op.shift)))


def _bias(op: Bias) -> _Layer:
    return _Layer("Bias", blobs=(("shift", op.shift),))


def _relu(op: ReLU) -> _Layer:
    if op.negative_slope == 0.0:
        return _Layer("ReLU")
    slope: Values = {"negative_slope": number(op.negative_slope)}
    return _Layer("ReLU", slope, options=frozenset({"negative_slope"}))


def _prelu(op: PReLU) -> _Layer:
    options = frozenset({"shared"}) if op.shared else frozenset[str]()
    return _Layer("PReLU", blobs=(("slope", op.slope),), options=options)


def _power(op: Power) -> _Layer:
    numbers: Values = {
        name: number(getattr(op, name)) for name in ("power", "scale", "shift")
    }
    return _Layer("Power", numbers)


def _eltwise(op: Eltwise) -> _Layer:
    coefficients = _repeated("coeff", [number(value) for value in op.coefficients])
    return _Layer("Eltwise", {"operation": op.operation, "coefficients": coefficients})


def _flatten(op: Flatten) -> _Layer:
    if op == Flatten():
        return _Layer("Flatten")
    end = op.end_axis if op.end_axis < 0 else op.end_axis + 1
    values: Values = {"axis": op.axis + 1, "end_axis": end}
    return _Layer("Flatten", values, options=frozenset({"axis"}))


def _reshape(op: Reshape) -> _Layer:
    return _Layer("Reshape", {"dims": _repeated("dim", op.shape, indent=6)})


def _crop(op: Crop) -> _Layer:
    values: Values = {"axis": op.axis + 1, "offsets": _repeated("offset", op.offsets)}
    return _Layer("Crop", values)


def _softmax(op: Softmax) -> _Layer:
    if op.axis == 0:
        return _Layer("Softmax")
    return _Layer("Softmax", {"axis": op.axis + 1}, options=frozenset({"axis"}))


def _argmax(op: ArgMax) -> _Layer:
    options = {"values"} if op.values else set[str]()
    values: Values = {"top_k": op.top_k}
    if op.axis is not None:
        options.add("axis")
        values["axis"] = op.axis + 1
    return _Layer("ArgMax", values, options=frozenset(options))


def slice_body(axis: int, points: tuple[int, ...], flavour: Flavour) -> Body:
    """A Slice layer, which is several nodes of the IR; ``axis`` is Caffe's less 1."""
    values: Values = {"axis": axis + 1, "points": _repeated("slice_point", points)}
    return _body(_Layer("Slice", values), flavour)


def _repeated(name: str, values: Iterable[str | int], indent: int = 4) -> str:
    return "".join([f"{' ' * indent}{name}: {value}\n" for value in values])


LAYERS: dict[type, Callable[..., _Layer]] = {
    Convolution: _convolution,
    Pooling: _pooling,
    GlobalPooling: _global_pooling,
    LRN: _lrn,
    InnerProduct: _inner_product,
    ReLU: _relu,
    ELU: lambda op: _Layer("ELU", {"alpha": number(op.alpha)}),
    Sigmoid: lambda _op: _Layer("Sigmoid"),
    TanH: lambda _op: _Layer("TanH"),
    Dropout: lambda op: _Layer("Dropout", {"ratio": number(op.ratio)}),
    Concat: lambda op: _Layer("Concat", {"axis": op.axis + 1}),
    Deconvolution: _convolution,
    PReLU: _prelu,
    Power: _power,
    Scale: _scale,
    Bias: _bias,
    Eltwise: _eltwise,
    Flatten: _flatten,
    Reshape: _reshape,
    Crop: _crop,
    Softmax: _softmax,
    ArgMax: _argmax,
}
"""Every op that is one layer; Input, Jitter and Slice are written by `emit`."""
