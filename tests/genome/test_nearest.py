"""The nearest network that a space has: what is rounded is listed, and nothing else differs."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ribosome.genome.codec import pack
from ribosome.genome.decode import decode
from ribosome.genome.encode import encode
from ribosome.genome.errors import EncodeError, ShapeError
from ribosome.genome.fit import canonical
from ribosome.genome.nearest import Nearest, nearest
from ribosome.genome.network import Model, Network
from ribosome.genome.ops import (
    Blob,
    Convolution,
    Dropout,
    Filler,
    Jitter,
    Op,
    Pooling,
    ReLU,
)
from ribosome.genome.parameters import by_difference, by_limit, by_ratio
from ribosome.genome.recognise import recognise
from ribosome.genome.rounding import Rounding
from ribosome.genome.solver import LearningRate, Solver
from ribosome.genome.space import Space
from ribosome.genome.space_file import load_space, parse_space
from ribosome.genome.task import DIGITS, Task
from tests.genome.build import (
    BIAS,
    Builder,
    convolution,
    inner_product,
    pooling,
    stripped,
)
from tests.genome.conftest import TASKS, genomes
from tests.genome.foreign import cifar10_quick, nova
from tests.genome.space_files import spaces
from tests.genome.test_encode import LENET, MENNDL, NOVA, SOLVER

SPACES = st.one_of(st.sampled_from([MENNDL, LENET]), spaces())


def _one(op: Op, space: Space = MENNDL, task: Task = DIGITS) -> list[str]:
    """The roundings of a network of one layer, as text."""
    net = Builder(*task.shape)
    net.add("layer", op)
    net.add("ip", inner_product(task.classes))
    return [str(r) for r in nearest(space, Model(net.network, SOLVER), task).roundings]


def test_the_nova_network_is_64_bytes_of_menndl() -> None:
    """Every layer, kernel, stride, pad and width exact; six fields are rounded."""
    found = nearest(MENNDL, Model(nova(), SOLVER), NOVA)
    assert len(pack(MENNDL, found.genes)) == 64
    assert [str(rounding) for rounding in found.roundings] == [
        "drop2_0: ratio 0.680607 -> 0.7",
        "drop2_1: ratio 0.680607 -> 0.7",
        "norm11_0: alpha 0.906179 -> 0.9",
        "finalip: weight.filler constant(0.0) -> xavier",
        "finalip: bias.lr_mult 1.0 -> 2.0",
        "finalip: bias.decay_mult 1.0 -> 0.0",
    ]
    shapes = sorted(node.shape for node in nova().nodes)
    again = decode(MENNDL, found.genes, NOVA).network
    assert sorted(node.shape for node in again.nodes) == shapes


def test_cifar10_quick_is_nearly_exact_in_menndl() -> None:
    """Only two of its fillers are no alleles."""
    task = Task("cifar", 3, 32, 32, 10)
    found = nearest(MENNDL, Model(cifar10_quick(), SOLVER), task)
    assert [str(rounding) for rounding in found.roundings] == [
        "conv1: weight.filler gaussian(0.0001) -> gaussian(0.01)",
        "ip2: weight.filler gaussian(0.1) -> xavier",
    ]


@given(st.data(), st.sampled_from(TASKS), SPACES)
def test_what_a_space_decodes_needs_no_rounding(
    data: st.DataObject,
    task: Task,
    space,  # type: ignore[no-untyped-def]
) -> None:
    """The nearest to a decoded network is that network."""
    genes = data.draw(genomes(space))
    found = nearest(space, decode(space, genes, task), task)
    assert found == Nearest(canonical(space, genes, task), ())


_FILLERS = [
    Filler("constant"),
    Filler("uniform", low=-0.1, high=0.1),
    Filler("gaussian"),
]


def _disturbed(network: Network, rng: Random) -> Network:
    """A network with some fields that no allele has; as it was where they fit no more."""
    net = Builder(*network.input.shape, name=network.input.name)
    for node in network.nodes[1:]:
        op = node.op
        match op, rng.randrange(4):
            case Convolution(), 1:
                blob = Blob(rng.choice(_FILLERS), lr_mult=rng.uniform(0.0, 3.0))
                width, pad = rng.randint(1, 200), rng.randrange(op.kernel_h)
                op = replace(op, num_output=width, weight=blob, pad_h=pad)
            case Convolution(), 2:
                op = replace(op, bias=None, stride_w=rng.randint(1, 99))
            case Pooling(), 1:
                op = replace(op, stride_h=rng.randint(1, op.kernel_h))
            case Dropout(), 1:
                op = Dropout(rng.uniform(0.0, 0.9))
            case ReLU(), 1:
                op = ReLU(rng.uniform(0.0, 0.5))
        try:
            net.add(node.name, op, node.inputs)
        except ShapeError:
            return network
    return net.network


@given(st.data(), st.sampled_from(TASKS), SPACES, st.integers(0, 9999))
def test_nothing_differs_but_what_is_listed(
    data: st.DataObject,
    task: Task,
    space,  # type: ignore[no-untyped-def]
    seed: int,
) -> None:
    """The model with its roundings applied is what the nearest genes decode to.

    Where no slot may be empty, rounding can leave a map on which one too many takes effect.
    """
    rng = Random(seed)
    base = decode(space, data.draw(genomes(space)), task)
    rate = replace(base.solver.learning_rate, gamma=rng.uniform(0.01, 10.0))
    solver = replace(
        base.solver,
        learning_rate=rate,
        base_lr=10.0 ** rng.uniform(-5.0, 0.0),
        batch_size=rng.randint(2, 500),
    )
    network = _disturbed(stripped(base.network, seed), rng)
    model = Model(network, solver)
    try:
        found = nearest(space, model, task)
    except EncodeError as error:
        assume("cannot hold in this order" not in str(error))
        raise
    again = decode(space, found.genes, task)
    applied = _applied(model, found.roundings)
    assert _comparable(applied.network) == _comparable(again.network)
    unused = {"delta": 1e-8}
    if rate.policy in ("fixed", "poly"):
        unused["learning_rate"] = again.solver.learning_rate  # type: ignore[assignment]
    assert replace(applied.solver, **unused) == again.solver  # type: ignore[arg-type]
    # What is listed is a difference: a rounding to the same value is none.
    assert all(r.value != r.allele for r in found.roundings)


def _applied(model: Model, roundings: tuple[Rounding, ...]) -> Model:
    """A model with every rounding carried out, by the paths that they give."""
    ops: dict[str, object] = {node.name: node.op for node in model.network.nodes}
    solver: object = model.solver
    behind: dict[str, Op] = {}
    for rounding in roundings:
        if rounding.where == "solver":
            solver = _set(solver, rounding.field.split("."), rounding)
        elif rounding.field == "dropout":
            behind[rounding.where] = Dropout(rounding.allele)  # type: ignore[arg-type]
        elif rounding.field == "jitter":
            behind[rounding.where] = Jitter(rounding.allele)  # type: ignore[arg-type]
        else:
            old = ops[rounding.where]
            ops[rounding.where] = _set(old, rounding.field.split("."), rounding)
    images = model.network.input.name
    net = Builder(*model.network.input.shape, name=images)
    last_name = {images: images}
    if images in behind:
        last_name[images] = net.add(f"{images}+", behind[images])
    for node in model.network.nodes[1:]:
        inputs = [last_name[name] for name in node.inputs]
        last_name[node.name] = net.add(node.name, ops[node.name], inputs)  # type: ignore[arg-type]
        if node.name in behind:
            more = net.add(f"{node.name}+", behind[node.name], (node.name,))
            last_name[node.name] = more
    return Model(net.network, solver)  # type: ignore[arg-type]


def _set(old: object, path: list[str], rounding: Rounding) -> object:
    value = getattr(old, path[0])
    if len(path) == 1:
        assert value == rounding.value
        return replace(old, **{path[0]: rounding.allele})  # type: ignore[type-var]
    return replace(old, **{path[0]: _set(value, path[1:], rounding)})  # type: ignore[type-var]


def _comparable(network: Network) -> list[Op]:
    """The ops as recognised; a stride along an axis of one step is 1."""
    nodes = []
    for node in network.nodes:
        op = node.op
        if isinstance(op, Convolution | Pooling):
            strides = {
                field: 1
                for field, size in zip(
                    ("stride_h", "stride_w"), node.shape[1:], strict=True
                )
                if size == 1
            }
            op = replace(op, **strides)  # type: ignore[arg-type]
        nodes.append(replace(node, op=op))
    draft = recognise(Network(tuple(nodes)))
    assert draft.problems == ()
    return draft.ops


@pytest.mark.parametrize(
    ("op", "roundings"),
    [
        (convolution(200, 3), ["num_output 200 -> 128"]),
        (convolution(8, 3, pad=2), ["pad_h 2 -> 1", "pad_w 2 -> 1"]),
        (convolution(8, (5, 3), pad=(1, 1)), ["pad_h 1 -> 2"]),
        (convolution(8, 3, bias=0.15), ["bias.filler constant(0.15) -> constant(0.2)"]),
        (
            replace(convolution(8, 3), group=1, dilation_h=2),
            ["dilation_h 2 -> 1"],
        ),
        (
            replace(convolution(8, 3), bias=None),
            ["bias none -> constant(0.0) with lr_mult 2.0 and decay_mult 0.0"],
        ),
        (
            convolution(8, 3, filler=Filler("uniform", low=-0.01, high=0.01)),
            ["weight.filler uniform(-0.01, 0.01) -> gaussian(0.01)"],
        ),
        (
            convolution(8, 3, filler=Filler("constant")),
            ["weight.filler constant(0.0) -> xavier"],
        ),
        (replace(pooling(3, 2), pad_h=1), ["pad_h 1 -> 0"]),
        (
            replace(inner_product(99), bias=replace(BIAS, lr_mult=1.0)),
            ["num_output 99 -> 96", "bias.lr_mult 1.0 -> 2.0"],
        ),
    ],
)
def test_each_kind_of_value_goes_to_the_nearest(op: Op, roundings: list[str]) -> None:
    """One layer on 8 x 8 images in menndl; what is exact stays exact."""
    assert _one(op) == [f"layer: {rounding}" for rounding in roundings]


def test_sizes_go_by_their_ratio() -> None:
    """On menndl's kernels 192, 224 and 256, 240 is nearer to 256: 240 / 224 > 256 / 240."""
    assert _one(convolution(8, 240), task=Task("large", 1, 300, 300, 10)) == [
        "layer: kernel_h 240 -> 256",
        "layer: kernel_w 240 -> 256",
    ]


def test_the_solver_goes_to_the_nearest() -> None:
    """Rates by their ratio, momentum by its difference, limits with 0 as none."""
    net = Builder(1, 8, 8)
    net.add("layer", convolution(8, 3))
    net.add("ip", inner_product(10))
    solver = Solver(
        "SGD",
        0.0149,
        LearningRate("step", gamma=0.2, fraction=0.3),
        20,
        momentum=0.97,
        weight_decay=1e-6,
        clip_gradients=1000.0,
    )
    found = nearest(MENNDL, Model(net.network, solver), DIGITS)
    assert [str(rounding) for rounding in found.roundings] == [
        "solver: base_lr 0.0149 -> 0.02",
        "solver: learning_rate.gamma 0.2 -> 0.3",
        "solver: learning_rate.fraction 0.3 -> 0.34",
        "solver: batch_size 20 -> 16",
        "solver: momentum 0.97 -> 0.98",
        "solver: weight_decay 1e-06 -> 1e-05",
        "solver: clip_gradients 1000.0 -> 35.0",
    ]


def _space(front: str, *slots: str) -> Space:
    """A space of slots that may be empty or hold a convolution of 8 channels."""
    lines = ["name = 'any'", "version = 1", front]
    for slot in slots:
        lines += ["[[slot]]", "[slot.none]", "[slot.convolution]", "num_output = [8]"]
        lines.append(slot)
    lines += [
        "[solver.SGD]",
        "base_lr = [0.01]",
        "[learning_rate.inv]",
        "gamma = [1.0]",
    ]
    lines += ["[training]", "batch_size = [64]", "weight_decay = [0.0005]"]
    return parse_space("\n".join(lines), source="any")


def test_a_layer_goes_to_the_slot_that_holds_its_shape() -> None:
    """Half a kernel that is rounded weighs more than a dropout and a bias."""
    oblong = "kernel_h = [3]\nkernel_w = [5]"
    space = _space("", oblong, "kernel_h = [5]\ndropout = [0.5]\nbias = [0.2]")
    assert _one(convolution(8, 5), space) == [
        "layer: bias.filler constant(0.0) -> constant(0.2)",
        "layer: dropout 0.0 -> 0.5",
    ]
    assert _one(convolution(8, (3, 5)), space) == []


def test_a_jitter_that_comes_is_listed() -> None:
    """A space whose input is always jittered adds it to a network without."""
    space = _space("[input]\njitter = [0.1]", "kernel_h = [5]")
    assert _one(convolution(8, 5), space) == ["data: jitter 0.0 -> 0.1"]


def test_a_stride_is_left_out_only_where_both_make_no_step() -> None:
    """3 x 3 on 8 x 8: a stride of 7 is as good as 6, a stride of 1 is not."""
    space = _space("", "kernel_h = [3]\nstride_h = [9]")
    assert _one(convolution(8, 3, stride=7), space) == []
    assert _one(convolution(8, 3), space) == [
        "layer: stride_h 1 -> 6",
        "layer: stride_w 1 -> 6",
    ]


@pytest.mark.parametrize(
    ("poolings", "problem"),
    [
        (3, "ip: ends 4 layers that the space's 5 slots cannot hold in this order: "),
        (1, "order without leaving one empty that may not be: pooling, inner_product"),
    ],
)
def test_an_order_that_no_slots_have_is_refused(poolings: int, problem: str) -> None:
    """LeNet's has two poolings, and convolutions that stay as long as there is a map."""
    net = Builder(*DIGITS.shape)
    for number in range(poolings):
        net.add(f"pool{number}", pooling(2, 2))
    net.add("ip", inner_product(500))
    net.add("relu", ReLU())
    net.add("head", inner_product(DIGITS.classes))
    with pytest.raises(EncodeError, match=problem):
        nearest(LENET, Model(net.network, SOLVER), DIGITS)


@pytest.mark.parametrize(
    ("op", "problem"),
    [
        (pooling(2, 2, "AVE"), "layer: method = AVE; the space has MAX"),
        (inner_product(500), "layer: no activation stands behind it"),
        (Jitter(0.1), "layer: the space has no jitter of its input"),
    ],
)
def test_names_are_not_rounded(op: Op, problem: str) -> None:
    """What has no nearest is refused, with all there is to say."""
    with pytest.raises(EncodeError) as caught:
        _one(op, LENET)
    assert any(told.startswith(problem) for told in caught.value.problems)


def test_a_bare_network_takes_the_place_of_nothing() -> None:
    """Slots that may not be empty do not take a network without layers."""
    net = Builder(1, 8, 8)
    net.add("ip", inner_product(10))
    with pytest.raises(EncodeError, match="has no layer"):
        nearest(LENET, Model(net.network, SOLVER), DIGITS)
    assert nearest(MENNDL, Model(net.network, SOLVER), DIGITS).roundings == ()


def test_nearest_is_encode_where_nothing_is_rounded() -> None:
    """Both give the canonical genes."""
    space = load_space("menndl")
    model = decode(space, canonical(space, _zero(space), DIGITS), DIGITS)
    assert nearest(space, model, DIGITS).genes == encode(space, model, DIGITS)


def _zero(space: Space) -> tuple[tuple[int, ...], ...]:
    return tuple(
        (0, *[0] * len(space.groups[i].cases[0].genes))
        for i in range(len(space.groups))
    )


def test_distances_of_closed_form() -> None:
    """Zero where equal, never near across a change of sign, 0 as no limit."""
    assert by_difference(0.5, 0.75) == 0.25
    assert by_ratio(2.0, 8.0) == by_ratio(8.0, 2.0) == by_ratio(-2.0, -8.0) > 0.0
    assert by_ratio(0.0, 0.0) == 0.0
    assert by_ratio(0.0, 1e-9) == by_ratio(-1.0, 1.0) == float("inf")
    assert by_limit(0.0, 35.0) < by_limit(0.0, 1.0)
