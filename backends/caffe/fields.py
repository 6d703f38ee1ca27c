"""What Caffe's fields mean to the IR: numbers, fillers, learned blobs, windows, axes."""

import math
from typing import get_args, get_type_hints

from ribosome.backends.caffe.lexer import nearest, short
from ribosome.backends.caffe.schema import Message
from ribosome.backends.caffe.single import shortest
from ribosome.backends.caffe.upgrade import Layer
from ribosome.genome.ops import Blob, Filler

ZERO = Filler("constant", 0.0)
"""Caffe's filler where a file names none."""

_KINDS: tuple[str, ...] = get_args(get_type_hints(Filler)["kind"])
_FAN_IN = 0


def single(value: float) -> float:
    """The shortest decimal of a number that a message holds in single precision."""
    return float(shortest(value) or value)


def number(layer: Layer, message: Message, field: str) -> float:
    """A field that is a finite number. Raises ReadError for inf and nan."""
    value: float = getattr(message, field)
    if not math.isfinite(value):
        layer.fail(field, f"{value} is no finite number")
    return single(value)


def filler(layer: Layer, parameters: Message, field: str, default: Filler) -> Filler:
    """The filler in a field; ``default`` where the file has none.

    Raises ReadError for what the IR has no filler for, or Caffe would not draw.
    """
    if not parameters.HasField(field):
        return default
    found = getattr(parameters, field)
    if found.type not in _KINDS:
        hint = nearest(found.type, _KINDS) or f"; known: {', '.join(_KINDS)}"
        layer.fail(field, f"there is no filler {short(found.type)}{hint}")
    if found.type in ("xavier", "msra") and found.variance_norm != _FAN_IN:
        layer.fail(f"{field}.variance_norm", "only FAN_IN, the default, can be read")
    if found.type == "gaussian" and (found.mean != 0.0 or found.sparse >= 0):
        which = "mean" if found.mean != 0.0 else "sparse"
        layer.fail(
            f"{field}.{which}", "only a gaussian around 0, not sparse, can be read"
        )
    match found.type:
        case "constant":
            return Filler("constant", value=number(layer, found, "value"))
        case "gaussian":
            std = number(layer, found, "std")
            if std <= 0.0:
                layer.fail(f"{field}.std", f"must be above 0, not {std}")
            return Filler("gaussian", std=std)
        case "uniform":
            low, high = number(layer, found, "min"), number(layer, found, "max")
            if low > high:
                layer.fail(f"{field}.min", f"{low} lies above max, {high}")
            return Filler("uniform", low=low, high=high)
    return Filler(found.type)


def learned(
    layer: Layer, index: int, parameters: Message, field: str, default: Filler = ZERO
) -> Blob:
    """The learned blob ``index`` of a layer: its filler and its multiples."""
    made = filler(layer, parameters, field, default)
    if index >= len(layer.message.param):
        return Blob(made)
    spec = layer.message.param[index]
    return Blob(made, number(layer, spec, "lr_mult"), number(layer, spec, "decay_mult"))


def pair(
    layer: Layer, parameters: Message, field: str, default: int
) -> tuple[int, int]:
    """Height and width of kernel_size, stride, pad or dilation, in any of its forms.

    A convolution's fields are repeated, one number for both or one for each; a pooling's
    are single numbers. Raises ReadError where it is given twice or for more axes.
    """
    stem = field.removesuffix("_size")
    known = parameters.DESCRIPTOR.fields_by_name
    apart = [name for name in (f"{stem}_h", f"{stem}_w") if name in known]
    given = [name for name in apart if parameters.HasField(name)]
    values: list[int] = []
    if known[field].is_repeated:
        values = list(getattr(parameters, field))
    elif parameters.HasField(field):
        values = [getattr(parameters, field)]
    if given and values:
        layer.fail(given[0], f"{field} is given as well; leave one of them out")
    if given:
        height, width = (getattr(parameters, name) for name in apart)
        if len(given) == 1 and field == "kernel_size":
            layer.fail(given[0], f"{apart[0]} and {apart[1]} are given together")
        if len(given) == 1:
            height = height if given[0] == apart[0] else default
            width = width if given[0] == apart[1] else default
        return height, width
    if len(values) > 2:
        layer.fail(field, f"{len(values)} axes; two, height and width, can be read")
    if not values:
        return default, default
    return values[0], values[-1]


def axis(layer: Layer, field: str, value: int, rank: int) -> int:
    """Caffe's axis, which counts the batch and may count from behind, as the IR's.

    ``rank`` is the number of axes without the batch. Raises ReadError for the batch's.
    """
    found = value + rank + 1 if value < 0 else value
    if not 1 <= found <= rank:
        what = "the batch" if found == 0 else f"none of the blob's {rank + 1} axes"
        layer.fail(field, f"axis {value} is {what}; an axis of the image is wanted")
    return found - 1
