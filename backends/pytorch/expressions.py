"""The ops that ``forward`` of a generated module writes itself: expressions of torch.

Each rule gives the lines of one assignment. A dimension of torch counts the batch, so that
it is an axis of the IR plus one.
"""

from collections.abc import Callable, Sequence

from ribosome.backends.pytorch.source import call, chain, number
from ribosome.genome.network import Node, Shape
from ribosome.genome.ops import (
    Concat,
    Crop,
    Eltwise,
    Flatten,
    Power,
    Reshape,
    Slice,
    Softmax,
)
from ribosome.genome.shapes import crop_offsets

INDENT = 8


def expression(
    node: Node, variable: str, inputs: Sequence[str], source: Shape
) -> list[str] | None:
    """The lines that give ``variable`` a node's output; None for an op that is a module.

    ``inputs`` are the variables that it reads, ``source`` is the shape of the first.
    """
    rule = _EXPRESSIONS.get(type(node.op))
    return None if rule is None else rule(node.op, node, variable, inputs, source)


def helper(node: Node) -> str:
    """The helper function that a node's expression calls; empty for none."""
    is_maximum = isinstance(node.op, Eltwise) and node.op.operation == "MAX"
    return "maximum" if is_maximum and len(node.inputs) > 2 else ""


def _slice(
    op: Slice, _node: Node, variable: str, inputs: Sequence[str], _source: Shape
) -> list[str]:
    before = ":, " * (op.axis + 1)
    return [f"{variable} = {inputs[0]}[{before}{op.begin}:{op.end}]"]


def _concat(
    op: Concat, _node: Node, variable: str, inputs: Sequence[str], _source: Shape
) -> list[str]:
    joined = f"({', '.join(inputs)})" if len(inputs) > 1 else f"({inputs[0]},)"
    arguments = (joined, f"dim={op.axis + 1}")
    return call(f"{variable} = torch.cat", arguments, indent=INDENT)


def _power(
    op: Power, _node: Node, variable: str, inputs: Sequence[str], _source: Shape
) -> list[str]:
    # With a scale or power of 0 Caffe does not look at its input, NaN or not.
    (x,) = inputs
    if op.power == 0.0:
        return [f"{variable} = torch.ones_like({x})"]
    if op.scale == 0.0:
        base = [f"torch.full_like({x}, {number(op.shift)})"]
    else:
        base = [x if op.scale == 1.0 else f"{number(op.scale)} * {x}"]
        if op.shift != 0.0:
            sign = "-" if op.shift < 0.0 else "+"
            base.append(f"{sign} {number(abs(op.shift))}")
    if base == [x] and op.power != 1.0:
        return [f"{variable} = {_raised(x, op.power)}"]
    lines = chain(variable, base, indent=INDENT)
    if op.power != 1.0:
        lines.append(f"{variable} = {_raised(variable, op.power)}")
    return lines


def _raised(x: str, power: float) -> str:
    """A variable to a power; ruff sets no spaces between a name and a literal."""
    written = number(power)
    return f"{x} ** {written}" if written.startswith("float") else f"{x}**{written}"


def _eltwise(
    op: Eltwise, _node: Node, variable: str, inputs: Sequence[str], _source: Shape
) -> list[str]:
    if op.operation == "MAX":
        function = "torch.maximum" if len(inputs) == 2 else "maximum"
        return call(f"{variable} = {function}", tuple(inputs), indent=INDENT)
    if op.operation == "PROD":
        terms = [inputs[0], *(f"* {x}" for x in inputs[1:])]
        return chain(variable, terms, indent=INDENT)
    factors = op.coefficients or (1.0,) * len(inputs)
    terms = []
    for factor, x in zip(factors, inputs, strict=True):
        term = x if abs(factor) == 1.0 else f"{number(abs(factor))} * {x}"
        minus = factor < 0.0
        if terms:
            terms.append(f"{'-' if minus else '+'} {term}")
        else:
            terms.append(f"-{term}" if minus else term)
    return chain(variable, terms, indent=INDENT)


def _flatten(
    op: Flatten, _node: Node, variable: str, inputs: Sequence[str], source: Shape
) -> list[str]:
    arguments = [inputs[0], str(op.axis + 1)]
    if op.end_axis not in (-1, len(source) - 1):
        arguments.append(str(op.end_axis + 1))
    return call(f"{variable} = torch.flatten", arguments, indent=INDENT)


def _reshape(
    _op: Reshape, node: Node, variable: str, inputs: Sequence[str], _source: Shape
) -> list[str]:
    sizes = ("-1", *map(str, node.shape))
    return call(f"{variable} = {inputs[0]}.reshape", sizes, indent=INDENT)


def _crop(
    op: Crop, node: Node, variable: str, inputs: Sequence[str], source: Shape
) -> list[str]:
    offsets = crop_offsets(op, len(source))
    sizes = node.shape[op.axis :]
    cuts = [f"{o}:{o + size}" for o, size in zip(offsets, sizes, strict=True)]
    index = ", ".join([*":" * (op.axis + 1), *cuts])
    return [f"{variable} = {inputs[0]}[{index}]"]


def _softmax(
    op: Softmax, _node: Node, variable: str, inputs: Sequence[str], _source: Shape
) -> list[str]:
    return [f"{variable} = torch.softmax({inputs[0]}, dim={op.axis + 1})"]


_EXPRESSIONS: dict[type, Callable[..., list[str]]] = {
    Slice: _slice,
    Concat: _concat,
    Power: _power,
    Eltwise: _eltwise,
    Flatten: _flatten,
    Reshape: _reshape,
    Crop: _crop,
    Softmax: _softmax,
}
