"""Model to genes: recognises the plan behind a network and writes it down.

encode(decode(g)) is the canonical genome of g. A network that the space cannot express is
refused with the first thing that does not fit.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from ribosome.genome.decode import decode
from ribosome.genome.errors import EncodeError
from ribosome.genome.fit import Layer, Plan, Values, express
from ribosome.genome.network import Model, Network, Node
from ribosome.genome.ops import (
    LRN,
    BatchNorm,
    ChannelSlice,
    Concat,
    Convolution,
    Dropout,
    GlobalPooling,
    InnerProduct,
    Jitter,
    Op,
    Pooling,
)
from ribosome.genome.parameters import ACTIVATIONS, SECTIONS, filler_text
from ribosome.genome.solver import Solver
from ribosome.genome.space import Allele, Genes, Space
from ribosome.genome.task import Task


def encode(space: Space, model: Model, task: Task) -> Genes:
    """The canonical genes of a model for a task.

    Raises EncodeError where the space cannot express the network or the solver; the
    message names the layer and what of it does not fit.
    """
    if model.network.input.shape != task.shape:
        raise EncodeError(
            f"the network takes {model.network.input.shape} images, the task "
            f"{task.name} has {task.shape}; give the task that the network was made for"
        )
    plan = _recognise(space, model)
    genes = express(space, plan, task)
    if genes is None:
        raise EncodeError(_explain(space, plan))
    again = decode(space, genes, task)
    for ours, theirs in zip(again.network.nodes, model.network.nodes, strict=False):
        if ours != theirs:
            raise EncodeError(
                f"space {space.name} {space.version} cannot express {theirs.name}: the "
                f"nearest it has is {ours.op}, the network has {theirs.op}"
            )
    if again.network != model.network or again.solver != model.solver:
        raise EncodeError(
            f"space {space.name} {space.version} cannot express this network: the nearest "
            "that it has differs in the solver or in the number of layers"
        )
    return genes


def _recognise(space: Space, model: Model) -> Plan:
    network = model.network
    slices = [node for node in network.nodes if isinstance(node.op, ChannelSlice)]
    jitter = next((n.op.std for n in network.nodes if isinstance(n.op, Jitter)), 0.0)
    trunk = _without_other_towers(network, slices)
    layers: list[Layer] = []
    merge = 0
    for slot, nodes in groupby(trunk, key=lambda node: node.slot):
        if slot is not None:
            layers.append(_layer(list(nodes)))
        elif slices and any(isinstance(node.op, Concat) for node in nodes):
            merge = len(layers)
    settings: list[tuple[str, str, Values]] = []
    for group in space.groups:
        if group.name == "input":
            settings.append(("input", "input", (jitter,)))
    settings += _solver_settings(model.solver)
    return Plan(tuple(layers), max(1, len(slices)), merge, tuple(settings))


def _without_other_towers(network: Network, slices: Sequence[Node]) -> Iterator[Node]:
    """The nodes in order, those left out that only the second and later towers lead to."""
    others = {node.name for node in slices[1:]}
    for node in network.nodes:
        if node.name in others:
            continue
        if node.inputs and all(source in others for source in node.inputs):
            others.add(node.name)
            continue
        yield node


def _layer(nodes: Sequence[Node]) -> Layer:
    op = nodes[0].op
    rest = [node.op for node in nodes[1:]]
    if sum(isinstance(node.op, Convolution) for node in nodes) > 1:
        return _inception(nodes)
    dropout = next((op.ratio for op in rest if isinstance(op, Dropout)), 0.0)
    activation = _activation(nodes)
    values: tuple[Allele | tuple[int, int], ...]
    match op:
        case Convolution():
            pads = (op.pad_h, op.pad_w)
            window = (op.kernel_h, op.kernel_w, op.stride_h, op.stride_w, pads)
            fillers = (filler_text(op.weight.filler), _bias_value(nodes[0]))
            values = (op.num_output, *window, *fillers, dropout, activation)
            return Layer("convolution", values)
        case Pooling():
            window_ = (op.kernel_h, op.kernel_w, op.stride_h, op.stride_w)
            return Layer("pooling", (op.method, *window_, activation))
        case GlobalPooling():
            return Layer("global_pooling", (op.method,))
        case LRN():
            return Layer("lrn", (op.region, op.local_size, op.alpha, op.beta))
        case BatchNorm():
            return Layer("batch_norm", (op.fraction, activation))
        case InnerProduct():
            fillers = (filler_text(op.weight.filler), _bias_value(nodes[0]))
            values = (op.num_output, *fillers, dropout, activation)
            return Layer("inner_product", values)
    raise EncodeError(
        f"slot {nodes[0].slot} begins with {nodes[0].name}, a {type(op).__name__}: a slot "
        "begins with a convolution, a pooling, a normalisation or an inner product"
    )


def _inception(nodes: Sequence[Node]) -> Layer:
    convolutions = [node for node in nodes if isinstance(node.op, Convolution)]
    if len(convolutions) != 6:
        raise EncodeError(
            f"slot {nodes[0].slot} has {len(convolutions)} convolutions: a slot has one, or "
            "the six of an inception module"
        )
    widths = tuple(_convolution(node).num_output for node in convolutions)
    filler = filler_text(_convolution(convolutions[0]).weight.filler)
    return Layer("inception", (*widths, filler, _bias_value(convolutions[0])))


def _convolution(node: Node) -> Convolution:
    if not isinstance(node.op, Convolution):
        raise TypeError(node.name)
    return node.op


def _activation(nodes: Sequence[Node]) -> str:
    known: dict[Op, str] = {op: name for name, op in ACTIVATIONS.items()}
    return next((known[node.op] for node in nodes[1:] if node.op in known), "none")


def _bias_value(node: Node) -> float:
    op = node.op
    if isinstance(op, Convolution | InnerProduct) and op.bias is not None:
        return op.bias.filler.value
    raise EncodeError(f"{node.name} has no bias: every slot of a space has one")


def _solver_settings(solver: Solver) -> list[tuple[str, str, Values]]:
    rate = solver.learning_rate
    numbers = tuple(getattr(solver, field) for field in SECTIONS["solver"][solver.type])
    shape = tuple(
        getattr(rate, field) for field in SECTIONS["learning_rate"][rate.policy]
    )
    training = (solver.batch_size, solver.weight_decay, solver.clip_gradients)
    return [
        ("solver", solver.type, numbers),
        ("learning_rate", rate.policy, shape),
        ("training", "training", training),
    ]


def _explain(space: Space, plan: Plan) -> str:
    """The first part of a plan that no allele of the space gives."""
    title = f"space {space.name} {space.version} cannot express"
    parts = [(f"slot {n}", x.case, x.values) for n, x in enumerate(plan.layers, 1)]
    for where, name, values in parts:
        cases = [c for slot in space.slots for c in space.groups[slot].cases]
        held = [case for case in cases if case.name == name]
        if not held:
            return f"{title} {where}: its slots hold no {name}"
        for position, (gene, value) in enumerate(
            zip(held[0].genes, values, strict=True)
        ):
            known = {a for case in held for a in case.genes[position].alleles}
            if gene.name not in _FITTED and value not in known:
                return f"{title} {where}: {name} has no allele {gene.name} = {value}"
    for where, name, values in plan.settings:
        case = space.groups[space.index[where]].which.get(name)
        if case is None:
            return f"{title} {where}: it has no {name}"
        genes = space.groups[space.index[where]].cases[case].genes
        for gene, value in zip(genes, values, strict=True):
            if value not in gene.alleles:
                return f"{title} {where}: {name} has no allele {gene.name} = {value}"
    return (
        f"{title} {len(plan.layers)} layers in {plan.towers} towers merged after layer "
        f"{plan.merge}: kernels, strides or pads are not among the alleles, or the slots "
        "do not suffice"
    )


_FITTED = frozenset({"kernel_h", "kernel_w", "stride_h", "stride_w", "pad"})
