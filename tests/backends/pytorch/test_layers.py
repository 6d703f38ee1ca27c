"""The table of ops: an answer for each, and no field of any is ignored."""

from dataclasses import fields, replace

import pytest

from ribosome.backends.pytorch.emit import emit_module, emit_network
from ribosome.backends.pytorch.layers import LAYERS, constructor
from ribosome.genome.errors import UnsupportedOp
from ribosome.genome.network import Model, Network, Node
from ribosome.genome.ops import (
    ELU,
    LRN,
    OPS,
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
from ribosome.genome.shapes import infer
from ribosome.genome.solver import LearningRate, Solver
from ribosome.genome.task import Task

XAVIER, OTHER = Blob(Filler("xavier")), Blob(Filler("msra"), lr_mult=3.0)
ZERO = Blob(Filler("constant"))
CONV = Convolution(6, 3, 3, 1, 1, 1, 1, XAVIER, ZERO)
POOL = Pooling("MAX", 3, 3, 2, 2)
GROW = Deconvolution(4, 3, 3, 1, 1, 0, 0, XAVIER, None)
HEAD = InnerProduct(5, XAVIER, None)
TASK = Task("table", 4, 12, 12, 5)

KERNEL_CHANGES: dict[str, object] = {
    "num_output": 8,
    "kernel_h": 5,
    "kernel_w": 1,
    "stride_h": 2,
    "stride_w": 3,
    "pad_h": 0,
    "pad_w": 2,
    "weight": OTHER,
    "bias": None,
    "group": 2,
    "dilation_h": 2,
    "dilation_w": 3,
}
CHANGES: list[tuple[Op, dict[str, object]]] = [
    (Input(4, 12, 12), {"channels": 3, "height": 11, "width": 13}),
    (Jitter(0.1), {"std": 0.2}),
    (Slice(1, 3), {"begin": 0, "end": 4, "axis": 2}),
    (CONV, KERNEL_CHANGES),
    (
        POOL,
        {
            "method": "AVE",
            "kernel_h": 2,
            "kernel_w": 4,
            "stride_h": 1,
            "stride_w": 3,
            "pad_h": 1,
            "pad_w": 1,
        },
    ),
    (GlobalPooling("MAX"), {"method": "AVE"}),
    (
        LRN("ACROSS_CHANNELS", 5, 0.1, 0.75),
        {
            "region": "WITHIN_CHANNEL",
            "local_size": 3,
            "alpha": 0.2,
            "beta": 0.5,
            "k": 2.0,
        },
    ),
    (
        BatchNorm(ZERO, ZERO),
        {"scale": OTHER, "shift": OTHER, "eps": 1e-3, "fraction": 0.9},
    ),
    (InnerProduct(8, XAVIER, ZERO), {"num_output": 9, "weight": OTHER, "bias": None}),
    (ReLU(), {"negative_slope": 0.1}),
    (ELU(), {"alpha": 0.5}),
    (Sigmoid(), {}),
    (TanH(), {}),
    (Dropout(0.5), {"ratio": 0.25}),
    (Concat(), {"axis": 1}),
    (Deconvolution(6, 3, 3, 1, 1, 1, 1, XAVIER, ZERO), KERNEL_CHANGES),
    (PReLU(ZERO), {"slope": OTHER, "shared": True}),
    (Power(), {"power": 2.0, "scale": 0.5, "shift": 1.0}),
    (Scale(XAVIER, ZERO), {"scale": OTHER, "shift": None}),
    (Bias(ZERO), {"shift": OTHER}),
    (Eltwise("SUM"), {"operation": "MAX", "coefficients": (1.0, -1.0)}),
    (Flatten(), {"axis": 1, "end_axis": 1}),
    (Reshape((0, -1)), {"shape": (-1, 12)}),
    (Crop(), {"axis": 2, "offsets": (1,)}),
    (Softmax(), {"axis": 1}),
    (ArgMax(2), {"top_k": 3, "values": True, "axis": 1}),
]


def test_every_op_has_an_answer_in_the_order_of_the_ir() -> None:
    """The table is complete and in order."""
    assert tuple(LAYERS) == OPS


def test_the_table_below_changes_every_field_of_every_op() -> None:
    """No op and no field is left out of this file's table."""
    assert [type(op) for op, _ in CHANGES] == list(OPS)
    for op, changes in CHANGES:
        assert {field.name for field in fields(op)} == set(changes)


@pytest.mark.parametrize(
    ("op", "field", "value"),
    [(op, field, value) for op, changes in CHANGES for field, value in changes.items()],
)
def test_a_changed_field_changes_the_text(op: Op, field: str, value: object) -> None:
    """Any other value of any field gives other source."""
    assert _source(op) != _source(replace(op, **{field: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("filler", "changed"),
    [
        (Filler("constant", value=0.0), {"value": 0.5}),
        (Filler("gaussian", std=1.0), {"std": 0.5}),
        (Filler("uniform", low=0.0), {"low": -1.0}),
        (Filler("uniform", high=1.0), {"high": 2.0}),
        (Filler("xavier"), {"kind": "msra"}),
        (Filler("msra"), {"kind": "positive_unitball"}),
        (Filler("msra"), {"kind": "bilinear"}),
    ],
)
def test_a_changed_filler_changes_the_text(
    filler: Filler, changed: dict[str, object]
) -> None:
    """Every field that a kind of filler reads shows in the source."""
    other = replace(filler, **changed)  # type: ignore[arg-type]
    texts = [_source(replace(CONV, weight=Blob(f))) for f in (filler, other)]
    assert texts[0] != texts[1]


@pytest.mark.parametrize("field", ["lr_mult", "decay_mult"])
def test_a_changed_multiplier_changes_the_text(field: str) -> None:
    """Multiples of learning rate and decay reach the module."""
    changed = replace(CONV, weight=replace(XAVIER, **{field: 0.25}))
    assert _source(CONV) != _source(changed)


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (Pooling("AVE", 1, 1, 3, 3), "here: Caffe averages a window beyond the image"),
        (LRN("ACROSS_CHANNELS", 4, 0.1, 0.75), "odd local_size"),
        (LRN("WITHIN_CHANNEL", 3, 0.1, 0.75, k=2.0), "has no k"),
        (BatchNorm(ZERO, None), "scale and shift or neither"),
        (BatchNorm(ZERO, ZERO, eps=0.0), "eps of PyTorch's batch norm is above 0"),
        (Dropout(1.0), "less than 1"),
    ],
)
def test_what_torch_computes_otherwise_is_refused(op: Op, message: str) -> None:
    """No code for what would not compute what Caffe computes."""
    node = Node("here", op, ("data",), infer(op, [(4, 6, 6)]))
    with pytest.raises(UnsupportedOp, match=message):
        constructor(node, (4, 6, 6))


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (
            replace(CONV, bias=Blob(Filler("bilinear"))),
            "square kernels, not for this bias",
        ),
        (replace(CONV, kernel_h=1, weight=Blob(Filler("bilinear"))), "square kernels"),
        (replace(CONV, weight=Blob(Filler("gaussian", std=-1.0))), "std of a filler"),
        (replace(CONV, weight=Blob(Filler("uniform", low=2.0))), "lower to a higher"),
    ],
)
def test_a_filler_that_fills_nothing_is_refused(op: Op, message: str) -> None:
    """Caffe aborts on these, so there is no module of them either."""
    with pytest.raises(UnsupportedOp, match=f"middle: .*{message}"):
        _source(op)


def test_a_second_input_is_refused() -> None:
    """The module's forward takes the images, nothing else."""
    data = Input(1, 2, 2)
    nodes = (Node("data", data, (), (1, 2, 2)), Node("more", data, (), (1, 2, 2)))
    with pytest.raises(
        UnsupportedOp, match="more: the pytorch backend takes one input"
    ):
        emit_network(Network(nodes), "two")


def _source(op: Op) -> str:
    """A module with the op in its middle."""
    first = op if isinstance(op, Input) else Input(4, 12, 12)
    shape = infer(first, [])
    nodes = [Node("data", first, (), shape)]
    if not isinstance(op, Input):
        larger = infer(GROW, [shape])
        nodes.append(Node("larger", GROW, ("data",), larger))
        inputs: tuple[str, ...] = ("data",)
        shapes = [shape]
        if isinstance(op, Concat | Eltwise):
            inputs, shapes = ("data", "data"), [shape, shape]
        if isinstance(op, Crop):
            inputs, shapes = ("larger", "data"), [larger, shape]
        shape = infer(op, shapes, name="middle")
        nodes.append(Node("middle", op, inputs, shape, 1))
    nodes.append(Node("finalip", HEAD, (nodes[-1].name,), (5,)))
    channels, height, width = nodes[0].shape
    task = Task("table", channels, height, width, 5)
    solver = Solver("SGD", 0.1, LearningRate(), 8)
    return emit_module(Model(Network(tuple(nodes)), solver), task)
