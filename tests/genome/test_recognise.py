"""Recognition by structure: what is a slot, and what is none and why."""

from collections.abc import Sequence

import pytest

from ribosome.genome.network import Node
from ribosome.genome.ops import (
    ELU,
    LRN,
    Concat,
    Dropout,
    Eltwise,
    Flatten,
    GlobalPooling,
    Jitter,
    Op,
    ReLU,
    Sigmoid,
    Slice,
    Softmax,
    TanH,
)
from ribosome.genome.recognise import Draft, recognise
from tests.genome.build import Builder, convolution, inner_product, pooling
from tests.genome.foreign import nova


def _chain(*ops: Op) -> Draft:
    """The draft of a chain of ops on 8 x 8 images, which an inner product ends."""
    net = Builder(2, 8, 8)
    for number, op in enumerate(ops):
        net.add(f"n{number}", op)
    net.add("end", inner_product(3))
    return recognise(net.network)


def _ops(nodes: Sequence[Node]) -> list[Op]:
    return [node.op for node in nodes]


def test_the_nova_network_is_towers_a_trunk_and_a_head() -> None:
    """Nine layers in each of two towers, two in the trunk, numbered by structure alone."""
    draft = recognise(nova())
    assert draft.problems == ()
    assert [part.case for part in draft.parts] == [
        "convolution",
        "pooling",
        *["convolution"] * 4,
        "lrn",
        "inception",
        "pooling",
        "inception",
        "lrn",
    ]
    assert [len(tower) for tower in draft.towers] == [9, 9]
    assert draft.head is not None
    assert (draft.head.name, draft.join and draft.join.name) == ("finalip", "concat9_0")


def test_a_dropout_belongs_to_the_layer_before_it() -> None:
    """NOvA's drop2_0 is a companion of conv1_0, whatever its name says."""
    part = recognise(nova()).towers[0][0]
    assert [node.name for node in part.nodes] == ["conv1_0", "drop2_0", "relu1_0"]


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_a_dropout_behind_a_relu_is_one_before_it(slope: float) -> None:
    """AlexNet's order: a ReLU and a factor that is not negative commute."""
    dense = inner_product(4)
    draft = _chain(dense, ReLU(slope), Dropout(0.5))
    assert draft.problems == ()
    assert _ops(draft.trunk[0].nodes) == [dense, Dropout(0.5), ReLU(slope)]


@pytest.mark.parametrize("activation", [Sigmoid(), TanH(), ELU()])
def test_a_dropout_behind_another_activation_is_refused(activation: Op) -> None:
    """sigmoid(0) is not 0, and tanh(2 x) not 2 tanh(x)."""
    (problem,) = _chain(inner_product(4), activation, Dropout(0.5)).problems
    assert problem.startswith("n2: drops out behind")


@pytest.mark.parametrize(
    "ops",
    [
        (Jitter(0.0), convolution(4, 3), inner_product(5)),
        (convolution(4, 3), Dropout(0.0), inner_product(5)),
        (convolution(4, 3), Flatten(), inner_product(5)),
    ],
)
def test_what_does_nothing_is_left_out(ops: tuple[Op, ...]) -> None:
    """A jitter or dropout of 0, and a Flatten before an inner product."""
    draft = _chain(*ops)
    assert draft.problems == ()
    kept = [op for op in ops if op not in (Jitter(0.0), Dropout(0.0), Flatten())]
    assert draft.ops[1:-1] == kept


def test_a_softmax_at_the_end_is_left_out() -> None:
    """Deploy files end in probabilities."""
    net = Builder(1, 8, 8)
    net.add("ip", inner_product(10))
    net.add("prob", Softmax())
    draft = recognise(net.network)
    assert (draft.problems, draft.head and draft.head.name) == ((), "ip")


@pytest.mark.parametrize(
    ("ops", "problem"),
    [
        ((ReLU(),), "n0: no slot holds a ReLU behind the image"),
        ((LRN("ACROSS_CHANNELS", 5, 1.0, 0.75), TanH()), "n1: no slot holds a TanH"),
        ((pooling(2, 2), Dropout(0.5)), "n1: no slot holds a Dropout behind n0"),
        ((convolution(4, 3), ReLU(), ELU()), "n2: a slot holds one activation: n1"),
        (
            (inner_product(4), Dropout(0.1), Dropout(0.2)),
            "n2: a slot holds one dropout",
        ),
        ((Slice(0, 1),), "n0: no slot of any space holds a Slice"),
        ((Flatten(), Softmax()), "n0: no slot of any space holds a Flatten"),
        ((convolution(4, 3), Jitter(0.1)), "n1: no slot of any space holds a Jitter"),
    ],
)
def test_a_layer_without_a_slot_is_told(ops: tuple[Op, ...], problem: str) -> None:
    """Each one by the name of its node."""
    assert any(told.startswith(problem) for told in _chain(*ops).problems)


def test_recognition_goes_on_behind_a_problem() -> None:
    """All problems are told: a residual block, and a Softmax behind it."""
    net = Builder(1, 8, 8)
    first = net.add("conv1", convolution(4, 3))
    second = net.add("conv2", convolution(4, 3, pad=1))
    net.add("sum", Eltwise("SUM"), (first, second))
    net.add("conv3", convolution(4, 3))
    net.add("prob", Softmax())
    net.add("ip", inner_product(10))
    draft = recognise(net.network)
    assert [problem.split(" ")[0] for problem in draft.problems] == ["sum:", "prob:"]
    assert [part.nodes[0].name for part in draft.trunk] == ["conv1", "conv3"]


def test_a_network_without_an_inner_product_at_its_end_is_refused() -> None:
    """Nothing but an inner product leaves the logits of a space."""
    net = Builder(1, 8, 8)
    net.add("conv1", convolution(10, 3))
    net.add("pool1", GlobalPooling("AVE"))
    assert recognise(net.network).problems[0].startswith("pool1: ends the network")


def test_an_inception_module_in_another_order_is_a_fork() -> None:
    """The order of the branches is that of the channels."""
    net = Builder(1, 8, 8)
    net.inception("inception", "data")
    join = net.nodes.pop()
    net.add("output", Concat(), join.inputs[::-1])
    net.add("ip", inner_product(10))
    (problem,) = recognise(net.network).problems
    assert problem.startswith("output: ends a fork of 14 layers behind data")


def test_towers_joined_in_another_order_are_refused() -> None:
    """The join has the channels of the first tower first."""
    net = Builder(2, 8, 8)
    for t in (0, 1):
        net.add(f"data{t}", Slice(t, t + 1), ("data",))
    for t in (0, 1):
        net.add(f"conv{t}", convolution(4, 3), (f"data{t}",))
    net.add("join", Concat(), ("conv1", "conv0"))
    net.add("ip", inner_product(10))
    (problem,) = recognise(net.network).problems
    assert problem.startswith("join: does not join the towers")


def test_a_branch_that_leads_nowhere_is_told() -> None:
    """A node that the output does not depend on is a problem, and no more than that."""
    net = Builder(1, 8, 8)
    net.add("conv1", convolution(4, 3))
    net.add("aux", inner_product(10))
    net.add("conv2", convolution(4, 3), ("conv1",))
    net.add("ip", inner_product(10))
    draft = recognise(net.network)
    assert draft.problems == ("aux: does not lead to the output",)
    assert len(draft.trunk) == 2
