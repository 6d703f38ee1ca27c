"""Encode: what the space cannot express is refused, by name."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.genome.decode import decode
from ribosome.genome.encode import encode
from ribosome.genome.errors import EncodeError
from ribosome.genome.fit import canonical
from ribosome.genome.network import Model, Network
from ribosome.genome.ops import ELU, Convolution, Jitter
from ribosome.genome.solver import LearningRate, Solver
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS, Task
from tests.genome.build import Builder, inner_product, pooling, stripped
from tests.genome.conftest import TASKS, genomes
from tests.genome.foreign import cifar10_quick, lenet, nova
from tests.genome.space_files import spaces
from tests.genome.write import write_genes

MENNDL = load_space("menndl")
NOVA = Task("nova", 2, 100, 80, 8)

NOVA_LAYERS = [
    (
        "convolution",
        {
            "num_output": 32,
            "kernel_h": 7,
            "stride_h": 2,
            "pad": "half",
            "weight_filler": "gaussian(1)",
            "dropout": 0.7,
            "activation": "relu",
        },
    ),
    (
        "pooling",
        {
            "kernel_h": 37,
            "kernel_w": 3,
            "stride_h": 5,
            "stride_w": 3,
            "activation": "sigmoid",
        },
    ),
    ("convolution", {"num_output": 7, "kernel_w": 4, "pad": "half"}),
    ("convolution", {"num_output": 46, "dropout": 0.1}),
    (
        "convolution",
        {
            "num_output": 96,
            "kernel_w": 9,
            "pad": "half",
            "weight_filler": "positive_unitball",
            "activation": "relu",
        },
    ),
    (
        "convolution",
        {
            "num_output": 58,
            "weight_filler": "positive_unitball",
            "activation": "relu",
        },
    ),
    ("lrn", {"local_size": 1, "alpha": 0.0001, "beta": 0.75}),
    ("inception", {}),
    ("pooling", {"kernel_h": 1}),
    ("inception", {}),
    (
        "lrn",
        {"region": "WITHIN_CHANNEL", "local_size": 1, "alpha": 0.9, "beta": 0.25},
    ),
]
"""The layers of a network that MENNDL made for the NOvA experiment (2018)."""


def _model() -> Model:
    towers = ("cut", {"count": 2, "merge": 9})
    return decode(MENNDL, write_genes(MENNDL, NOVA_LAYERS, towers=towers), NOVA)


def test_menndl_holds_the_nova_network() -> None:
    """Eleven layers in two towers merged at the ninth: sizes as Caffe computes them."""
    shapes = {node.name: node.shape for node in _model().network.nodes}
    assert shapes["conv1_1"] == (32, 50, 40)
    assert shapes["pool2_1"] == (32, 4, 14)
    assert shapes["conv3_0"] == (7, 4, 13)
    assert shapes["conv5_1"] == (96, 4, 13)
    assert shapes["inception_8_0/output"] == (256, 4, 13)
    assert shapes["concat9_0"] == (512, 4, 13)
    assert shapes["norm11_0"] == (256, 4, 13)
    assert shapes["finalip"] == (8,)


def test_the_nova_network_has_menndls_names() -> None:
    """Names follow MENNDL's: layer, slot, tower."""
    names = [node.name for node in _model().network.nodes]
    for name in ("data0_1", "drop1_0", "sigmoid2_1", "inception_8_1/3x3_reduce"):
        assert name in names


def test_the_nova_network_survives_encode_and_decode() -> None:
    """What was decoded is encoded again without loss."""
    model = _model()
    assert decode(MENNDL, encode(MENNDL, model, NOVA), NOVA) == model


def _changed(model: Model, index: int, **fields: object) -> Model:
    nodes = list(model.network.nodes)
    nodes[index] = replace(nodes[index], op=replace(nodes[index].op, **fields))  # type: ignore[type-var]
    return replace(model, network=Network(tuple(nodes)))


def test_a_width_without_allele_is_named() -> None:
    """129 filters are more than menndl has."""
    model = decode(MENNDL, write_genes(MENNDL, [("convolution", {})]), DIGITS)
    with pytest.raises(EncodeError, match=r"conv1_0: num_output = 129.*is 128"):
        encode(MENNDL, _changed(model, 1, num_output=129), DIGITS)


def test_a_solver_without_allele_is_named() -> None:
    """A base_lr that menndl lacks."""
    model = decode(MENNDL, write_genes(MENNDL, []), DIGITS)
    wrong = replace(model, solver=replace(model.solver, base_lr=0.123))
    with pytest.raises(EncodeError, match=r"solver.*base_lr = 0\.123"):
        encode(MENNDL, wrong, DIGITS)


def test_a_policy_that_the_space_lacks_is_named() -> None:
    """Lenet has no step policy."""
    lenet = load_space("lenet")
    model = decode(lenet, write_genes(lenet, []), DIGITS)
    rate = LearningRate("step", gamma=0.1, fraction=0.5)
    wrong = replace(model, solver=replace(model.solver, learning_rate=rate))
    with pytest.raises(EncodeError, match="learning_rate: it has no step"):
        encode(lenet, wrong, DIGITS)


def test_towers_that_differ_are_refused() -> None:
    """All towers of a space are alike: a wider second tower cannot be expressed."""
    model = _model()
    index = next(
        i for i, node in enumerate(model.network.nodes) if node.name == "conv1_1"
    )
    assert isinstance(model.network.nodes[index].op, Convolution)
    with pytest.raises(EncodeError, match="conv1_1: num_output = 16"):
        encode(MENNDL, _changed(model, index, num_output=16), NOVA)


def test_a_jitter_that_the_space_lacks_is_named() -> None:
    """The standard deviation is an allele too."""
    genes = write_genes(MENNDL, [], input=("input", {"jitter": 0.01}))
    model = decode(MENNDL, genes, DIGITS)
    assert isinstance(model.network.nodes[1].op, Jitter)
    with pytest.raises(EncodeError, match=r"jitteredData: std = 0\.5"):
        encode(MENNDL, _changed(model, 1, std=0.5), DIGITS)


def test_another_task_is_refused() -> None:
    """A network for other images cannot be encoded for this task."""
    with pytest.raises(
        EncodeError, match="give the task that the network was made for"
    ):
        encode(MENNDL, _model(), DIGITS)


LENET = load_space("lenet")
SPACES = st.one_of(st.sampled_from([MENNDL, LENET]), spaces())
MNIST = Task("mnist", 1, 28, 28, 10)
SOLVER = Solver(
    "SGD",
    0.01,
    LearningRate("inv", gamma=1.0, power=0.75),
    64,
    momentum=0.9,
    weight_decay=0.0005,
)


@given(st.data(), st.sampled_from(TASKS), SPACES, st.integers(0, 1000))
def test_names_slots_and_order_are_nothing_to_go_by(
    data: st.DataObject,
    task: Task,
    space,  # type: ignore[no-untyped-def]
    seed: int,
) -> None:
    """A decoded network with other names, without slots, in another order: the same genome."""
    genes = data.draw(genomes(space))
    model = decode(space, genes, task)
    bare = Model(stripped(model.network, seed), model.solver)
    assert encode(space, bare, task) == canonical(space, genes, task)


def test_lenet_of_caffe_is_a_genome_of_lenet() -> None:
    """LeNet with Caffe's published solver: 5 bytes, nothing rounded."""
    genes = encode(LENET, Model(lenet(), SOLVER), MNIST)
    ops = [node.op for node in decode(LENET, genes, MNIST).network.nodes]
    assert ops == [node.op for node in lenet().nodes]


def test_every_problem_is_told_with_its_node() -> None:
    """CIFAR-10 quick in lenet: each activation, method, filler and the order of layers."""
    with pytest.raises(
        EncodeError, match="cannot express the network: relu1"
    ) as caught:
        encode(LENET, Model(cifar10_quick(), SOLVER), Task("cifar", 3, 32, 32, 10))
    problems = caught.value.problems
    for start in (
        "relu1: a ReLU behind pool1",
        "relu2: a ReLU behind conv2",
        "relu3: ",
        "pool2: method = AVE; the space has MAX",
        "pool3: method",
        "ip1: no activation",
        "ip1: ends 7 layers",
        "conv1: weight.filler = gaussian(0.0001); the nearest is xavier",
        "conv2: weight.filler",
        "ip2: weight.filler",
    ):
        assert any(problem.startswith(start) for problem in problems), start
    assert "\n" not in str(caught.value)


def test_what_the_nova_network_lacks_is_all_there_is_to_say() -> None:
    """The real network differs from menndl's in six fields of four nodes."""
    with pytest.raises(EncodeError) as caught:
        encode(MENNDL, Model(nova(), SOLVER), NOVA)
    assert [problem.split(";")[0] for problem in caught.value.problems] == [
        "drop2_0: ratio = 0.680607",
        "drop2_1: ratio = 0.680607",
        "norm11_0: alpha = 0.906179",
        "finalip: weight.filler = constant(0.0)",
        "finalip: bias.lr_mult = 1.0",
        "finalip: bias.decay_mult = 1.0",
    ]


def test_towers_that_differ_in_kind_are_refused() -> None:
    """A tower with another activation is another layer, not another value."""
    model = _model()
    nodes = list(model.network.nodes)
    index = next(i for i, node in enumerate(nodes) if node.name == "relu1_1")
    nodes[index] = replace(nodes[index], op=ELU())
    other = replace(model, network=Network(tuple(nodes)))
    with pytest.raises(EncodeError, match="conv1_1: differs in kind from conv1_0"):
        encode(MENNDL, other, NOVA)


def test_a_stride_that_makes_no_step_is_any_stride() -> None:
    """Pooling over the whole map: Caffe's stride of 2 is our 1, and nothing to tell."""
    net = Builder(1, 2, 2)
    net.add("pool1", pooling(2, 2))
    net.add("ip1", inner_product(10))
    task = Task("tiny", 1, 2, 2, 10)
    genes = encode(MENNDL, Model(net.network, SOLVER), task)
    assert decode(MENNDL, genes, task).network.nodes[1].op == pooling(2, 1)


def test_another_number_of_classes_is_refused() -> None:
    """The last inner product must have the task's classes."""
    with pytest.raises(EncodeError, match="ip2: num_output = 10, the task mnist has 7"):
        encode(LENET, Model(lenet(), SOLVER), replace(MNIST, classes=7))


def test_solver_fields_that_the_type_does_not_use_do_not_matter() -> None:
    """SGD has no momentum2 and no delta; momentum it has."""
    genes = encode(LENET, Model(lenet(), SOLVER), MNIST)
    idle = replace(SOLVER, momentum2=0.5, delta=1.0, rms_decay=0.1)
    assert encode(LENET, Model(lenet(), idle), MNIST) == genes
    wrong = replace(SOLVER, momentum=0.123)
    with pytest.raises(
        EncodeError, match=r"solver: momentum = 0\.123.*nearest is 0\.0"
    ):
        encode(LENET, Model(lenet(), wrong), MNIST)
