"""Encode: what the space cannot express is refused, by name."""

from dataclasses import replace

import pytest

from ribosome.genome.decode import decode
from ribosome.genome.encode import encode
from ribosome.genome.errors import EncodeError
from ribosome.genome.network import Model, Network
from ribosome.genome.ops import Convolution, Jitter
from ribosome.genome.solver import LearningRate
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS, Task
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
    with pytest.raises(EncodeError, match=r"slot 1.*num_output = 129"):
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
    with pytest.raises(EncodeError, match="cannot express conv1_1"):
        encode(MENNDL, _changed(model, index, num_output=16), NOVA)


def test_a_jitter_that_the_space_lacks_is_named() -> None:
    """The standard deviation is an allele too."""
    genes = write_genes(MENNDL, [], input=("input", {"jitter": 0.01}))
    model = decode(MENNDL, genes, DIGITS)
    assert isinstance(model.network.nodes[1].op, Jitter)
    with pytest.raises(EncodeError, match=r"jitter = 0\.5"):
        encode(MENNDL, _changed(model, 1, std=0.5), DIGITS)


def test_another_task_is_refused() -> None:
    """A network for other images cannot be encoded for this task."""
    with pytest.raises(
        EncodeError, match="give the task that the network was made for"
    ):
        encode(MENNDL, _model(), DIGITS)
