"""Cost against torch: parameters, and operations as its FlopCounterMode counts them."""

import pytest
from hypothesis import given, settings

from ribosome.backends.pytorch.emit import emit_module, emit_network
from ribosome.genome.cost import blobs, cost, parameters
from ribosome.genome.decode import decode
from ribosome.genome.network import Network, Node
from ribosome.genome.ops import (
    BatchNorm,
    Bias,
    Blob,
    Convolution,
    Crop,
    Deconvolution,
    Eltwise,
    Filler,
    InnerProduct,
    Input,
    Op,
    PReLU,
    ReLU,
    Reshape,
    Scale,
    Slice,
)
from ribosome.genome.shapes import infer
from ribosome.genome.space_file import load_space
from ribosome.genome.task import Task
from tests.genome.conftest import genomes
from tests.genome.write import write_genes

torch = pytest.importorskip("torch", reason="install the extra: pip install torch")

MENNDL = load_space("menndl")
TASK = Task("small", 3, 12, 10, 5)


@settings(max_examples=25, deadline=None)
@given(genomes(MENNDL))
def test_cost_agrees_with_torch(genes: tuple[tuple[int, ...], ...]) -> None:
    """Parameters, forward and training operations are torch's, exactly."""
    from torch.utils.flop_counter import FlopCounterMode

    model = decode(MENNDL, genes, TASK)
    namespace: dict[str, object] = {"__name__": "emitted"}
    exec(emit_module(model, TASK), namespace)  # noqa: S102
    network = namespace["Network"]()  # type: ignore[operator]
    counted = cost(model.network)
    assert counted.parameters == sum(p.numel() for p in network.parameters())
    images = torch.rand(2, *TASK.shape)
    with FlopCounterMode(display=False) as forward:
        logits = network(images)
    assert forward.get_total_flops() == 2 * counted.forward_flops
    with FlopCounterMode(display=False) as backward:
        logits.sum().backward()
    whole = forward.get_total_flops() + backward.get_total_flops()
    assert whole == 2 * counted.training_flops


def test_lenet_costs_what_the_textbook_says() -> None:
    """Caffe's LeNet on 28 x 28 digits has 431,080 parameters and 2,293,000 multiply-adds."""
    lenet = load_space("lenet")
    layers = [
        ("convolution", {"num_output": 20, "kernel_h": 5}),
        ("pooling", {"kernel_h": 2}),
        ("convolution", {"num_output": 50, "kernel_h": 5}),
        ("pooling", {"kernel_h": 2}),
        ("inner_product", {"num_output": 500}),
    ]
    task = Task("mnist", 1, 28, 28, 10)
    counted = cost(decode(lenet, write_genes(lenet, layers), task).network)
    assert counted.parameters == 431_080
    assert counted.forward_flops == 2 * (288_000 + 1_600_000 + 400_000 + 5_000)


def test_activation_memory_counts_every_output() -> None:
    """Input, convolution and head of an 8 x 8 image, four bytes a value."""
    layers = [("convolution", {"num_output": 2, "kernel_h": 1})]
    network = decode(
        MENNDL, write_genes(MENNDL, layers), Task("t", 1, 8, 8, 10)
    ).network
    assert cost(network).activation_bytes == 4 * (64 + 128 + 10)


ONE, TWO = Blob(Filler("xavier")), Blob(Filler("constant"))
MAP = (6, 5, 7)
GROUPED = Convolution(4, 3, 2, 2, 1, 1, 0, ONE, TWO, group=2, dilation_h=2)
TRANSPOSED = Deconvolution(4, 3, 2, 2, 1, 1, 0, ONE, TWO, group=2)


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (GROUPED, {"weight": (4, 3, 3, 2), "bias": (4,)}),
        (TRANSPOSED, {"weight": (6, 2, 3, 2), "bias": (4,)}),
        (InnerProduct(9, ONE, None), {"weight": (9, 210)}),
        (BatchNorm(ONE, TWO), {"scale": (6,), "shift": (6,)}),
        (BatchNorm(None, None), {}),
        (Scale(ONE, TWO), {"scale": (6,), "shift": (6,)}),
        (Scale(ONE, None), {"scale": (6,)}),
        (Bias(TWO), {"shift": (6,)}),
        (PReLU(ONE), {"slope": (6,)}),
        (PReLU(ONE, shared=True), {"slope": ()}),
        (ReLU(), {}),
    ],
)
def test_blobs_have_caffes_shapes(op: Op, shapes: dict[str, tuple[int, ...]]) -> None:
    """By name, in the order in which a caffemodel holds them."""
    assert dict(parameters(op, MAP)) == shapes
    assert list(blobs(op)) == list(shapes)
    assert set(blobs(op).values()) <= {ONE, TWO}


def chain(*ops: Op) -> Network:
    """The ops in a row."""
    nodes = [Node("data", Input(*MAP), (), MAP)]
    for op in ops:
        last = nodes[-1]
        name = f"op{len(nodes)}"
        nodes.append(Node(name, op, (last.name,), infer(op, [last.shape])))
    return Network(tuple(nodes))


@pytest.mark.parametrize(
    "op", [GROUPED, TRANSPOSED, InnerProduct(9, ONE, TWO), PReLU(ONE, shared=True)]
)
def test_forward_costs_of_foreign_ops_agree_with_torch(op: Op) -> None:
    """Groups, dilation and transposed convolutions, as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    network = chain(op)
    namespace: dict[str, object] = {"__name__": "emitted"}
    exec(emit_network(network, "test"), namespace)  # noqa: S102
    module = namespace["Network"]()  # type: ignore[operator]
    with FlopCounterMode(display=False) as forward:
        module(torch.rand(3, *MAP))
    counted = cost(network)
    assert forward.get_total_flops() == 3 * counted.forward_flops
    assert counted.parameters == sum(p.numel() for p in module.parameters())


def test_the_transpose_costs_as_much_backwards() -> None:
    """Without groups, which torch's counter forgets in the weights' gradient."""
    from torch.utils.flop_counter import FlopCounterMode

    network = chain(
        ReLU(),
        Deconvolution(4, 3, 2, 2, 1, 1, 0, ONE, TWO),
        Deconvolution(2, 2, 2, 1, 1, 0, 0, ONE, TWO),
    )
    namespace: dict[str, object] = {"__name__": "emitted"}
    exec(emit_network(network, "test"), namespace)  # noqa: S102
    module = namespace["Network"]()  # type: ignore[operator]
    with FlopCounterMode(display=False) as whole:
        module(torch.rand(3, *MAP)).sum().backward()
    assert whole.get_total_flops() == 3 * cost(network).training_flops


def test_other_ops_cost_one_operation_per_value_and_step() -> None:
    """A sum of three by coefficients takes five; what only moves values takes none."""
    nodes = [
        Node("data", Input(*MAP), (), MAP),
        Node("scale", Scale(ONE, None), ("data",), MAP),
        Node("max", Eltwise("MAX"), ("data", "scale"), MAP),
        Node("sum", Eltwise("SUM", (1.0,) * 3), ("data", "scale", "max"), MAP),
        Node("cut", Slice(0, 1), ("sum",), (1, 5, 7)),
        Node("crop", Crop(0), ("sum", "cut"), (1, 5, 7)),
        Node("reshape", Reshape((35,)), ("crop",), (35,)),
    ]
    rows = cost(Network(tuple(nodes))).rows
    assert [row.other_flops for row in rows] == [0, 210, 210, 5 * 210, 0, 0, 0]
