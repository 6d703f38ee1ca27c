"""Genes to Model: builds the network and solver that a plan stands for."""

from functools import lru_cache
from itertools import pairwise
from typing import Any

from ribosome.genome.codec import to_text
from ribosome.genome.fit import Layer, Plan, Values, fit
from ribosome.genome.network import Model, Network, Node, Shape
from ribosome.genome.ops import (
    ELU,
    LRN,
    BatchNorm,
    Blob,
    Concat,
    Convolution,
    Dropout,
    Filler,
    GlobalPooling,
    InnerProduct,
    Input,
    Jitter,
    Op,
    Pooling,
    ReLU,
    Sigmoid,
    Slice,
    TanH,
)
from ribosome.genome.parameters import ACTIVATIONS, SECTIONS, parse_filler
from ribosome.genome.shapes import infer
from ribosome.genome.solver import LearningRate, Solver
from ribosome.genome.space import Genes, Space
from ribosome.genome.task import Task


def decode(space: Space, genes: Genes, task: Task) -> Model:
    """The network and solver of a genome for a task. Total: any genes of the space do.

    `Model.genome` is the text of the canonical genome, so that all genomes that mean the
    same decode to the same model.
    """
    plan, canonical = fit(space, genes, task)
    return Model(
        network=_Builder(task).network(plan),
        solver=solver_of(plan.settings),
        genome=to_text(space, canonical),
        space=f"{space.name} {space.version}",
    )


class _Builder:
    """Lays a plan's nodes down in order; shapes are inferred here and nowhere else."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._nodes: list[Node] = []
        self._shapes: dict[str, Shape] = {}

    def network(self, plan: Plan) -> Network:
        task = self._task
        last = self._add("data", Input(task.channels, task.height, task.width), ())
        for group, _, values in plan.settings:
            if group == "input" and values[0]:
                last = self._add("jitteredData", Jitter(float(values[0])), (last,))
        if plan.towers > 1:
            ends = self._cut(last, plan.towers)
            for tower, end in enumerate(ends):
                for slot in range(plan.merge):
                    end = self._layer(plan.layers[slot], slot + 1, tower, end)
                ends[tower] = end
            last = self._add(f"concat{plan.merge}_0", Concat(), tuple(ends))
        for slot in range(plan.merge, len(plan.layers)):
            last = self._layer(plan.layers[slot], slot + 1, 0, last)
        self._add("finalip", head(task), (last,))
        return Network(tuple(self._nodes))

    def _cut(self, last: str, towers: int) -> list[str]:
        return [
            self._add(f"data0_{t}", Slice(*border), (last,))
            for t, border in enumerate(borders(self._task.channels, towers))
        ]

    def _layer(self, layer: Layer, slot: int, tower: int, last: str) -> str:
        end = f"{slot}_{tower}"
        if layer.case == "inception":
            return self._inception(layer_ops(layer), f"inception_{end}", last, slot)
        shape = self._shapes[last]
        for op in layer_ops(layer):
            kind = type(op)
            name = _NAMES[kind] + end
            if kind in _SHAPING:
                shape = infer(op, (shape,), name=name)
            self._nodes.append(Node(name, op, (last,), shape, slot))
            last = name
        self._shapes[last] = shape
        return last

    def _inception(self, ops: tuple[Op, ...], module: str, last: str, slot: int) -> str:
        for (part, reads), op in zip(_MODULE, ops, strict=True):
            sources = tuple([f"{module}/{name}" for name in reads]) or (last,)
            self._add(f"{module}/{part}", op, sources, slot)
        return f"{module}/output"

    def _add(
        self, name: str, op: Op, inputs: tuple[str, ...], slot: int | None = None
    ) -> str:
        shape = infer(op, [self._shapes[source] for source in inputs], name=name)
        self._nodes.append(Node(name, op, inputs, shape, slot))
        self._shapes[name] = shape
        return name


def layer_ops(layer: Layer) -> tuple[Op, ...]:
    """The ops of a layer in the order in which decode lays them down.

    The layer's own op comes first, then its dropout and its activation where it has them.
    The ops of an inception module stand branch by branch, in the order of the Concat's
    inputs, which comes last.
    """
    return _layer_ops(layer.case, layer.values)


@lru_cache(maxsize=1024)  # towers share layers, and a child most of its parent's
def _layer_ops(case: str, values: Values) -> tuple[Op, ...]:
    match case:
        case "convolution":
            return (_convolution(values), *_companions(values[8], values[9]))
        case "pooling":
            return (Pooling(*values[:5]), *_companions(0.0, values[5]))
        case "global_pooling":
            return (GlobalPooling(*values),)
        case "lrn":
            return (_lrn(values),)
        case "batch_norm":
            return (_batch_norm(values[0]), *_companions(0.0, values[1]))
        case "inner_product":
            width, filler, bias, dropout, activation = values
            dense = InnerProduct(int(width), _weight(filler), _bias(bias))
            return (dense, *_companions(dropout, activation))
        case "inception":
            return _inception(values)
    raise AssertionError(case)


def head(task: Task) -> InnerProduct:
    """The inner product that every network ends in: one logit a class."""
    return _head(task.classes)


def borders(channels: int, towers: int) -> tuple[tuple[int, int], ...]:
    """The first channel of each tower, and the one behind its last."""
    cuts = [tower * channels // towers for tower in range(towers + 1)]
    return tuple(pairwise(cuts))


_NAMES: dict[type, str] = {
    Convolution: "conv",
    Pooling: "pool",
    GlobalPooling: "pool",
    LRN: "norm",
    BatchNorm: "bn",
    InnerProduct: "ip",
    Dropout: "drop",
    ReLU: "relu",
    ELU: "elu",
    TanH: "tanh",
    Sigmoid: "sigmoid",
}

_SHAPING = frozenset((Convolution, Pooling, GlobalPooling, InnerProduct))
"""The ops of a slot that leave another shape than they take."""

_MODULE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("1x1", ()),
    ("relu_1x1", ("1x1",)),
    ("3x3_reduce", ()),
    ("relu_3x3_reduce", ("3x3_reduce",)),
    ("3x3", ("relu_3x3_reduce",)),
    ("relu_3x3", ("3x3",)),
    ("5x5_reduce", ()),
    ("relu_5x5_reduce", ("5x5_reduce",)),
    ("5x5", ("relu_5x5_reduce",)),
    ("relu_5x5", ("5x5",)),
    ("pool", ()),
    ("pool_proj", ("pool",)),
    ("relu_pool_proj", ("pool_proj",)),
    ("output", ("relu_1x1", "relu_3x3", "relu_5x5", "relu_pool_proj")),
)
"""The parts of an inception module and what they read; (): the module's input."""


def _inception(values: Values) -> tuple[Op, ...]:
    """GoogLeNet's module (Szegedy et al. 2014), as MENNDL has it."""
    n1, n3_reduce, n3, n5_reduce, n5, projection, filler, bias = values

    def conv(width: int, kernel: int) -> tuple[Op, Op]:
        window = (kernel, kernel, 1, 1, (kernel // 2, kernel // 2))
        return _convolution((width, *window, filler, bias)), ReLU()

    return (
        *conv(n1, 1),
        *conv(n3_reduce, 1),
        *conv(n3, 3),
        *conv(n5_reduce, 1),
        *conv(n5, 5),
        Pooling("MAX", 3, 3, 1, 1, 1, 1),
        *conv(projection, 1),
        Concat(),
    )


def _companions(dropout: float, activation: str) -> tuple[Op, ...]:
    ops: tuple[Op, ...] = (_dropout(dropout),) if dropout else ()
    return ops if activation == "none" else (*ops, ACTIVATIONS[activation])


def solver_of(settings: tuple[tuple[str, str, Values], ...]) -> Solver:
    """The solver that a plan's settings stand for."""
    chosen = {group: (case, values) for group, case, values in settings}
    kind, numbers = chosen["solver"]
    policy, shape = chosen["learning_rate"]
    batch_size, weight_decay, clip = chosen["training"][1]
    fields: dict[str, Any] = {"type": kind}
    fields |= zip(SECTIONS["solver"][kind], map(float, numbers), strict=True)
    rate: dict[str, Any] = {"policy": policy}
    rate |= zip(SECTIONS["learning_rate"][policy], map(float, shape), strict=True)
    return Solver(
        learning_rate=LearningRate(**rate),
        batch_size=int(batch_size),
        weight_decay=float(weight_decay),
        clip_gradients=float(clip),
        **fields,
    )


_SCALE = Blob(Filler("constant", value=1.0), lr_mult=1.0, decay_mult=0.0)
_SHIFT = Blob(Filler("constant", value=0.0), lr_mult=1.0, decay_mult=0.0)


# Equal ops of few kinds are one object: backends know an op again by its identity.


@lru_cache(maxsize=256)
def _head(classes: int) -> InnerProduct:
    return InnerProduct(classes, _weight("xavier"), _bias(0.0))


@lru_cache(maxsize=256)
def _dropout(ratio: float) -> Dropout:
    return Dropout(float(ratio))


@lru_cache(maxsize=256)
def _batch_norm(fraction: float) -> BatchNorm:
    return BatchNorm(_SCALE, _SHIFT, fraction=float(fraction))


@lru_cache(maxsize=256)
def _weight(filler: str) -> Blob:
    return Blob(parse_filler(filler))


@lru_cache(maxsize=256)
def _bias(value: float) -> Blob:
    """Biases learn twice as fast and do not decay: the convention of MENNDL's networks."""
    # The cache takes -0.0 for 0.0, so both must give the same text: + 0.0 makes them.
    return Blob(Filler("constant", value=value + 0.0), lr_mult=2.0, decay_mult=0.0)


def _convolution(values: Values) -> Convolution:
    width, k_h, k_w, s_h, s_w, (pad_h, pad_w), filler, bias, *_ = values
    # By place: keywords take twice as long, and this is where decode spends its time.
    return Convolution(
        width, k_h, k_w, s_h, s_w, pad_h, pad_w, _weight(filler), _bias(bias)
    )


def _lrn(values: Values) -> LRN:
    region, size, alpha, beta = values
    return LRN(region, int(size), float(alpha), float(beta))
