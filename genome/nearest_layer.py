"""The nearest that a slot can hold to a part of a network, and the nearest allele to a value.

Numbers go to the allele at the least distance of their parameter's kind
(`ribosome.genome.parameters`); of two at the same distance to the first. Names (a method, a
region, an activation's function) go to none but their own. A filler goes to one of its own
kind where there is one, else to the one that draws weights of the nearest standard deviation
for the layer's fan-in; constant weights count as xavier.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ribosome.genome.fit import FLAT, Layer, MapSize, Values, fit_layer, vanishes
from ribosome.genome.network import Node, Shape
from ribosome.genome.ops import (
    LRN,
    BatchNorm,
    Blob,
    Convolution,
    Filler,
    GlobalPooling,
    InnerProduct,
    Op,
    Pooling,
)
from ribosome.genome.parameters import (
    ACTIVATIONS,
    PADS,
    SAME,
    SLOT_CASES,
    Distance,
    Parameter,
    by_difference,
    by_ratio,
    filler_text,
    parse_filler,
)
from ribosome.genome.recognise import Part
from ribosome.genome.space import Allele, Case, Gene, Group

_ALLELE_OF: dict[Op, str] = {op: name for name, op in ACTIVATIONS.items()}
_SHAPED = ("num_", "kernel_", "stride_", "pad", "local_size")


@dataclass(frozen=True, slots=True)
class Fitted:
    """A part as a slot holds it, the map behind it, and how far it is from the part.

    ``cost`` counts what of the layer's shape is rounded, then the rest, then adds up the
    distances: shapes stay exact where any slot has them. Where there are ``problems``, names
    that the slot lacks, the layer has others in their place and does not count as held.
    """

    layer: Layer
    left: MapSize
    cost: tuple[int, int, float]
    problems: tuple[str, ...]


def part_values(part: Part) -> Values:
    """What a part wants of the genes of its case, in their order; the pair of pads as one.

    A filler, a bias or an activation that no allele of any space gives stands for itself.
    """
    op = part.nodes[0].op
    dropout = getattr(part.dropout.op, "ratio", 0.0) if part.dropout else 0.0
    activation = _activation(part.activation)
    if part.case == "inception":
        convs = [n.op for n in part.nodes if isinstance(n.op, Convolution)]
        widths = [conv.num_output for conv in convs]
        return (*widths, _filler(convs[0].weight), _bias(convs[0].bias))
    match op:
        case Convolution():
            window = (op.kernel_h, op.kernel_w, op.stride_h, op.stride_w)
            blobs = ((op.pad_h, op.pad_w), _filler(op.weight), _bias(op.bias))
            return (op.num_output, *window, *blobs, dropout, activation)
        case Pooling():
            window = (op.kernel_h, op.kernel_w, op.stride_h, op.stride_w)
            return (op.method, *window, activation)
        case GlobalPooling():
            return (op.method,)
        case LRN():
            return (op.region, op.local_size, op.alpha, op.beta)
        case BatchNorm():
            return (op.fraction, activation)
        case InnerProduct():
            blobs_ = (_filler(op.weight), _bias(op.bias))
            return (op.num_output, *blobs_, dropout, activation)
    raise AssertionError(part.case)


def nearest_layer(group: Group, part: Part, left: MapSize) -> Fitted | str:
    """The nearest to a part that a group holds on a map; else why it holds none.

    ``left`` is the map that the network has there once what is before it is rounded.
    """
    name = part.nodes[0].name
    which = group.which.get(part.case)
    if which is None:
        return f"{name}: the slots hold no {part.case}"
    if vanishes(part.case, left):
        where = "behind an inner product" if left == FLAT else "on a 1 x 1 map"
        return f"{name}: a {part.case} {where} has no effect in a space"
    case = group.cases[which]
    wanted = part_values(part)
    found: list[int] = []
    problems: list[str] = []
    for gene, value in zip(case.genes, wanted, strict=True):
        index = _nearest_gene(part, gene, value)
        if index is None:
            problems.append(_no_name(part, gene, value))
        found.append(index or 0)
    if part.case in ("convolution", "pooling"):
        _fit_window(case, wanted, left, found)
    layer, after = fit_layer(case, (which, *found), left)
    cost = _cost(part, case, wanted, layer)
    return Fitted(layer, after, cost, tuple(problems))


def nearest_number(parameter: Parameter, gene: Gene, value: float) -> int:
    """The index of a gene's allele that is nearest to a number."""
    exact = gene.position.get(value)
    if exact is not None:
        return exact
    distance = parameter.distance or by_difference
    return _least(gene.alleles, lambda a: _number_key(distance, value, float(a)))


def _number_key(distance: Distance, value: float, allele: float) -> tuple[float, float]:
    # Where nothing is near, the difference still tells what is farther.
    return distance(value, allele), by_difference(value, allele)


def _least(
    alleles: Sequence[Allele], key: Callable[[Allele], tuple[float, ...]]
) -> int:
    return min(range(len(alleles)), key=lambda index: key(alleles[index]))


def _nearest_gene(part: Part, gene: Gene, value: object) -> int | None:
    """The index of the nearest allele; None where a name is missing. Windows: any index."""
    match gene.name:
        case "method" | "region":
            return gene.position.get(str(value))
        case "activation":
            return _nearest_activation(gene, value)
        case "weight_filler":
            return _nearest_filler(part, gene, value)
        case "kernel_h" | "kernel_w" | "stride_h" | "stride_w" | "pad":
            return 0
    number = value.value if isinstance(value, Filler) else value or 0.0
    parameter = SLOT_CASES[part.case][gene.name]
    return nearest_number(parameter, gene, float(number))  # type: ignore[arg-type]


def _nearest_activation(gene: Gene, value: object) -> int | None:
    if isinstance(value, str):
        exact = gene.position.get(value)
        if exact is not None or value == "none":
            return exact
        value = ACTIVATIONS[value]
    # Of the same function with another slope or alpha: these have one field.
    near = [
        (abs(_only_field(ACTIVATIONS[allele]) - _only_field(value)), index)
        for index, allele in enumerate(map(str, gene.alleles))
        if type(ACTIVATIONS.get(allele)) is type(value)
    ]
    return min(near)[1] if near else None


def _only_field(op: object) -> float:
    return float(getattr(op, "negative_slope", getattr(op, "alpha", 0.0)))


def _nearest_filler(part: Part, gene: Gene, value: object) -> int:
    if isinstance(value, str):
        exact = gene.position.get(value)
        if exact is not None:
            return exact
    op = part.nodes[0].op
    blob = op.weight if isinstance(op, Convolution | InnerProduct) else None
    wanted = blob.filler if blob is not None else Filler("constant")
    if wanted.kind == "constant":
        # Caffe's default, as deploy files have it, from which nothing can be learned.
        wanted = Filler("xavier")
    fan_in = _fan_in(op, part.source)
    return _least(gene.alleles, lambda a: _filler_key(wanted, str(a), fan_in))


def _filler_key(wanted: Filler, allele: str, fan_in: int) -> tuple[float, float, float]:
    filler = parse_filler(allele)
    spreads = (_spread(wanted, fan_in), _spread(filler, fan_in))
    key = _number_key(by_ratio, *spreads)
    return (float(filler.kind != wanted.kind), *key)


def _spread(filler: Filler, fan_in: int) -> float:
    """The standard deviation of the weights that a filler draws; 0 where their mean is not."""
    match filler.kind:
        case "gaussian":
            return filler.std
        case "uniform":
            return abs(filler.high - filler.low) / math.sqrt(12.0)
        case "xavier":
            return math.sqrt(1.0 / fan_in)
        case "msra":
            return math.sqrt(2.0 / fan_in)
    return 0.0


def _fan_in(op: Op, source: Shape) -> int:
    if isinstance(op, Convolution):
        return max(1, source[0] // op.group * op.kernel_h * op.kernel_w)
    return max(1, math.prod(source))


def _fit_window(case: Case, wanted: Values, left: MapSize, found: list[int]) -> None:
    """Choose the alleles of kernels, padding and strides, in places 1 to 5 of both cases.

    Kernels come first: padding follows from them, and what a stride may be from both.
    """
    genes = case.genes
    kernels, strides = [0, 0], [0, 0]
    for axis in (0, 1):
        found[1 + axis], kernels[axis] = _nearest_size(
            genes[1 + axis], wanted[1 + axis], left[axis], kernels[0]
        )
    pads = (0, 0)
    if case.name == "convolution":
        halves = [(kernel - 1) // 2 for kernel in kernels]
        possible = [
            (along_h * halves[0], along_w * halves[1])
            for along_h, along_w in (PADS[str(a)] for a in genes[5].alleles)
        ]
        far = [abs(h - wanted[5][0]) + abs(w - wanted[5][1]) for h, w in possible]
        found[5] = far.index(min(far))
        pads = possible[found[5]]
    for axis in (0, 1):
        if case.name == "convolution":
            most = left[axis] + 2 * pads[axis] - kernels[axis] + 1
        else:
            most = 1 if kernels[axis] == left[axis] else kernels[axis]
        found[3 + axis], strides[axis] = _nearest_size(
            genes[3 + axis], wanted[3 + axis], most, strides[0]
        )


def _nearest_size(gene: Gene, value: int, most: int, along_h: int) -> tuple[int, int]:
    """The allele of a kernel or stride that is nearest once cut off at ``most``, so cut."""
    sizes = [min(along_h if a == SAME else int(a), most) for a in gene.alleles]
    distances = [by_ratio(value, size) for size in sizes]
    index = distances.index(min(distances))
    return index, sizes[index]


def _cost(
    part: Part, case: Case, wanted: Values, layer: Layer
) -> tuple[int, int, float]:
    shaped, others, total = 0, 0, 0.0
    for gene, value, ours in zip(case.genes, wanted, layer.values, strict=True):
        if value == ours:
            continue
        if gene.name.startswith(_SHAPED):
            shaped += 1
        else:
            others += 1
        distance = SLOT_CASES[part.case][gene.name].distance
        if distance is not None and isinstance(value, int | float):
            total += min(distance(value, float(ours)), 1e6)
    return shaped, others, total


def _no_name(part: Part, gene: Gene, value: object) -> str:
    has = ", ".join(map(str, gene.alleles))
    if gene.name != "activation":
        return f"{part.nodes[0].name}: {gene.name} = {value}; the space has {has}"
    if part.activation is None:
        return (
            f"{part.nodes[0].name}: no activation stands behind it; in the space its "
            f"activation is {has}"
        )
    return (
        f"{part.activation.name}: a {type(part.activation.op).__name__} behind "
        f"{part.nodes[0].name}, a {part.case}; there the space has {has}"
    )


def _activation(node: Node | None) -> object:
    return "none" if node is None else _ALLELE_OF.get(node.op, node.op)


@lru_cache(maxsize=256)
def _filler_allele(filler: Filler) -> object:
    known = filler.kind in ("gaussian", "xavier", "msra", "positive_unitball")
    return filler_text(filler) if known else filler


def _filler(blob: Blob) -> object:
    return _filler_allele(blob.filler)


def _bias(blob: Blob | None) -> object:
    if blob is None:
        return None
    return blob.filler.value if blob.filler.kind == "constant" else blob.filler
