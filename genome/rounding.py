"""What differs between a network and the nearest one that a space has, field by field."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass

from ribosome.genome.decode import layer_ops
from ribosome.genome.fit import Layer, MapSize
from ribosome.genome.ops import Blob, Dropout, Filler
from ribosome.genome.parameters import SECTIONS, filler_text
from ribosome.genome.recognise import Part
from ribosome.genome.solver import Solver


@dataclass(frozen=True, slots=True)
class Rounding:
    """A field of a node, or of the solver, that the space has another value for.

    ``where`` is the node's name, or "solver". ``field`` is a path in the op, as
    ``num_output`` or ``weight.filler``; for the solver as ``learning_rate.gamma``. A
    dropout that goes is rounded to the ratio 0; one that comes is the field ``dropout`` of
    the layer that it stands behind, and a jitter that comes the field ``jitter`` of the
    input. A bias that comes is the field ``bias``, None before.
    """

    where: str
    field: str
    value: object
    allele: object

    def __str__(self) -> str:
        return f"{self.where}: {self.field} {_text(self.value)} -> {_text(self.allele)}"

    @property
    def problem(self) -> str:
        """The same as a sentence on what cannot be expressed."""
        return (
            f"{self.where}: {self.field} = {_text(self.value)}; the nearest is "
            f"{_text(self.allele)}"
        )


def part_roundings(part: Part, layer: Layer, left: MapSize) -> Iterator[Rounding]:
    """Where a part differs from the layer that a space has for it, of the same case.

    ``left`` is the map before the layer. A stride that makes no step there is not listed,
    nor are names, which are never rounded (`ribosome.genome.nearest_layer`).
    """
    ops = layer_ops(layer)
    if part.case == "inception":
        for node, op in zip(part.nodes, ops, strict=True):
            yield from op_roundings(node.name, node.op, op)
        return
    main = part.nodes[0]
    for rounding in op_roundings(main.name, main.op, ops[0]):
        if rounding.field in _AXES and _no_step(rounding, layer, left):
            continue
        if rounding.field not in ("method", "region"):
            yield rounding
    ours = next((op for op in ops if isinstance(op, Dropout)), Dropout(0.0))
    if part.dropout is not None:
        yield from op_roundings(part.dropout.name, part.dropout.op, ours)
    elif ours.ratio:
        yield Rounding(main.name, "dropout", 0.0, ours.ratio)
    if part.activation is not None and type(part.activation.op) is type(ops[-1]):
        yield from op_roundings(part.activation.name, part.activation.op, ops[-1])


_AXES = {"stride_h": 0, "stride_w": 1}


def _no_step(rounding: Rounding, layer: Layer, left: MapSize) -> bool:
    """Whether the window stands in one place only, with both strides."""
    axis = _AXES[rounding.field]
    kernel, stride = layer.values[1 + axis], layer.values[3 + axis]
    if layer.case == "pooling":
        return bool(kernel == left[axis])
    room = left[axis] + 2 * layer.values[5][axis] - kernel
    value = rounding.value
    return isinstance(value, int) and room < stride <= value


def op_roundings(
    where: str, value: object, ours: object, path: str = ""
) -> Iterator[Rounding]:
    """The fields of an op, or of a part of one, that differ; a filler counts as one."""
    for field in fields(value):  # type: ignore[arg-type]
        old, new = getattr(value, field.name), getattr(ours, field.name)
        place = f"{path}{field.name}"
        if old == new:
            continue
        if is_dataclass(old) and type(old) is type(new) and not isinstance(old, Filler):
            yield from op_roundings(where, old, new, f"{place}.")
        else:
            yield Rounding(where, place, old, new)


def solver_roundings(value: Solver, ours: Solver) -> Iterator[Rounding]:
    """The fields that differ of those that the solver's type and policy use."""
    used = {"learning_rate", "batch_size", "momentum", "weight_decay", "clip_gradients"}
    used |= SECTIONS["solver"][value.type].keys()
    if value.type in ("Adam", "RMSProp"):
        used.add("delta")
    policy = value.learning_rate.policy
    used |= {f"learning_rate.{name}" for name in SECTIONS["learning_rate"][policy]}
    for rounding in op_roundings("solver", value, ours):
        if rounding.field in used:
            yield rounding


def _text(value: object) -> str:
    match value:
        case Blob():
            return (
                f"{_text(value.filler)} with lr_mult {value.lr_mult} and decay_mult "
                f"{value.decay_mult}"
            )
        case Filler(kind="constant"):
            return f"constant({value.value})"
        case Filler(kind="uniform"):
            return f"uniform({value.low}, {value.high})"
        case Filler():
            return filler_text(value)
        case None:
            return "none"
    return str(value)
