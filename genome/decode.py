"""Genes to Model: builds the network and solver that a plan stands for."""

from functools import lru_cache
from typing import Any

from ribosome.genome.codec import to_text
from ribosome.genome.fit import Layer, Plan, Values, express, fit
from ribosome.genome.network import Model, Network, Node, Shape
from ribosome.genome.ops import (
    LRN,
    BatchNorm,
    Blob,
    ChannelSlice,
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
    plan = fit(space, genes, task)
    canonical = express(space, plan, task)
    if canonical is None:
        raise AssertionError("a plan that came from genes has no genes")
    return Model(
        network=_Builder(task).network(plan),
        solver=_solver(plan),
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
        head = InnerProduct(task.classes, _weight("xavier"), _bias(0.0))
        self._add("finalip", head, (last,))
        return Network(tuple(self._nodes))

    def _cut(self, last: str, towers: int) -> list[str]:
        channels = self._task.channels
        borders = [tower * channels // towers for tower in range(towers + 1)]
        return [
            self._add(f"data0_{t}", ChannelSlice(borders[t], borders[t + 1]), (last,))
            for t in range(towers)
        ]

    def _layer(self, layer: Layer, slot: int, tower: int, last: str) -> str:
        end = f"{slot}_{tower}"
        values = layer.values
        match layer.case:
            case "convolution":
                op: Op = _convolution(values)
                last = self._add(f"conv{end}", op, (last,), slot)
                last = self._companions(values[8], values[9], end, last, slot)
            case "pooling":
                last = self._add(f"pool{end}", Pooling(*values[:5]), (last,), slot)
                last = self._companions(0.0, values[5], end, last, slot)
            case "global_pooling":
                last = self._add(f"pool{end}", GlobalPooling(*values), (last,), slot)
            case "lrn":
                last = self._add(f"norm{end}", _lrn(values), (last,), slot)
            case "batch_norm":
                op = BatchNorm(_SCALE, _SHIFT, fraction=float(values[0]))
                last = self._add(f"bn{end}", op, (last,), slot)
                last = self._companions(0.0, values[1], end, last, slot)
            case "inception":
                last = self._inception(values, end, last, slot)
            case "inner_product":
                width, filler, bias, dropout, activation = values
                op = InnerProduct(int(width), _weight(filler), _bias(bias))
                last = self._add(f"ip{end}", op, (last,), slot)
                last = self._companions(dropout, activation, end, last, slot)
        return last

    def _companions(
        self, dropout: float, activation: str, end: str, last: str, slot: int
    ) -> str:
        if dropout:
            last = self._add(f"drop{end}", Dropout(float(dropout)), (last,), slot)
        if activation != "none":
            name = "relu" if activation == "leaky_relu" else activation
            last = self._add(f"{name}{end}", ACTIVATIONS[activation], (last,), slot)
        return last

    def _inception(self, values: Values, end: str, last: str, slot: int) -> str:
        """GoogLeNet's module (Szegedy et al. 2014), as MENNDL has it."""
        n1, n3_reduce, n3, n5_reduce, n5, projection, filler, bias = values
        module = f"inception_{end}"

        def conv(name: str, source: str, width: int, kernel: int) -> str:
            pad = kernel // 2
            op = Convolution(
                width,
                kernel,
                kernel,
                1,
                1,
                pad,
                pad,
                _weight(filler),
                _bias(bias),
            )
            out = self._add(f"{module}/{name}", op, (source,), slot)
            return self._add(f"{module}/relu_{name}", ReLU(), (out,), slot)

        ones = conv("1x1", last, n1, 1)
        threes = conv("3x3", conv("3x3_reduce", last, n3_reduce, 1), n3, 3)
        fives = conv("5x5", conv("5x5_reduce", last, n5_reduce, 1), n5, 5)
        pool = Pooling("MAX", 3, 3, 1, 1, 1, 1)
        pooled = self._add(f"{module}/pool", pool, (last,), slot)
        projected = conv("pool_proj", pooled, projection, 1)
        parts = (ones, threes, fives, projected)
        return self._add(f"{module}/output", Concat(), parts, slot)

    def _add(
        self, name: str, op: Op, inputs: tuple[str, ...], slot: int | None = None
    ) -> str:
        shape = infer(op, [self._shapes[source] for source in inputs], name=name)
        self._nodes.append(Node(name, op, inputs, shape, slot))
        self._shapes[name] = shape
        return name


def _solver(plan: Plan) -> Solver:
    settings = {group: (case, values) for group, case, values in plan.settings}
    kind, numbers = settings["solver"]
    policy, shape = settings["learning_rate"]
    batch_size, weight_decay, clip = settings["training"][1]
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


@lru_cache(maxsize=256)
def _weight(filler: str) -> Blob:
    return Blob(parse_filler(filler))


@lru_cache(maxsize=256)
def _bias(value: float) -> Blob:
    """Biases learn twice as fast and do not decay: the convention of MENNDL's networks."""
    # The cache takes -0.0 for 0.0, so both must give the same text: + 0.0 makes them.
    return Blob(Filler("constant", value=value + 0.0), lr_mult=2.0, decay_mult=0.0)


def _convolution(values: Values) -> Convolution:
    width, kernel_h, kernel_w, stride_h, stride_w, (pad_h, pad_w), filler, bias, *_ = (
        values
    )
    return Convolution(
        num_output=width,
        kernel_h=kernel_h,
        kernel_w=kernel_w,
        stride_h=stride_h,
        stride_w=stride_w,
        pad_h=pad_h,
        pad_w=pad_w,
        weight=_weight(filler),
        bias=_bias(bias),
    )


def _lrn(values: Values) -> LRN:
    region, size, alpha, beta = values
    return LRN(region, int(size), float(alpha), float(beta))
