"""Weights by node and blob against torch's state_dict."""

import errno
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ribosome.backends.pytorch.emit import emit_module
from ribosome.backends.pytorch.weights import (
    from_state_dict,
    save_state,
    state_names,
    to_state_dict,
)
from ribosome.backends.weights import Weights
from ribosome.genome.decode import decode
from ribosome.genome.errors import ReadError
from ribosome.genome.network import Network, Node
from ribosome.genome.ops import (
    BatchNorm,
    Bias,
    Blob,
    Convolution,
    Deconvolution,
    Filler,
    InnerProduct,
    Input,
    Op,
    PReLU,
    ReLU,
    Scale,
)
from ribosome.genome.shapes import infer
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS
from tests.backends.pytorch.module_kit import load
from tests.backends.pytorch.test_emit import build
from tests.genome.write import write_genes

torch = pytest.importorskip("torch", reason="install the extra: pip install torch")

BLOB = Blob(Filler("xavier"))


def chain(**ops: Op) -> Network:
    """A network of ops in a row, by their names."""
    nodes = [Node("data", Input(4, 6, 6), (), (4, 6, 6))]
    for name, op in ops.items():
        last = nodes[-1]
        shape = infer(op, [last.shape], name=name)
        nodes.append(Node(name, op, (last.name,), shape))
    return Network(tuple(nodes))


EVERY = chain(
    convolution=Convolution(6, 3, 3, 1, 1, 0, 0, BLOB, BLOB, group=2),
    norm=BatchNorm(BLOB, BLOB),
    plain=BatchNorm(None, None),
    deconvolution=Deconvolution(8, 2, 3, 1, 1, 0, 0, BLOB, None, group=2),
    relu=ReLU(),
    slopes=PReLU(BLOB),
    slope=PReLU(BLOB, shared=True),
    scale=Scale(BLOB, BLOB),
    factor=Scale(BLOB, None),
    term=Bias(BLOB),
    ip=InnerProduct(5, BLOB, BLOB),
)


def random_weights(network: Network) -> Weights:
    """Other values for every blob of a network."""
    rng = np.random.default_rng(5)
    found = from_state_dict(network, load(network).state_dict())
    return {
        node: {
            name: rng.uniform(0.5, 1.5, blob.shape).astype(np.float32)
            for name, blob in blobs.items()
        }
        for node, blobs in found.items()
    }


def test_names_and_shapes_are_those_of_the_ir() -> None:
    """Every blob under its own name and in Caffe's shape, statistics of BatchNorm too."""
    weights = random_weights(EVERY)
    assert {
        node: {name: blob.shape for name, blob in blobs.items()}
        for node, blobs in weights.items()
    } == {
        "convolution": {"weight": (6, 2, 3, 3), "bias": (6,)},
        "norm": {"scale": (6,), "shift": (6,), "mean": (6,), "variance": (6,)},
        "plain": {"mean": (6,), "variance": (6,)},
        "deconvolution": {"weight": (6, 4, 2, 3)},
        "slopes": {"slope": (8,)},
        "slope": {"slope": ()},
        "scale": {"scale": (8,), "shift": (8,)},
        "factor": {"scale": (8,)},
        "term": {"shift": (8,)},
        "ip": {"weight": (5, 8 * 5 * 6), "bias": (5,)},
    }


def test_a_module_loads_what_it_is_given() -> None:
    """load_state_dict is strict: every key of the module, no other, and the way back."""
    weights = random_weights(EVERY)
    module = load(EVERY)
    module.load_state_dict(to_state_dict(EVERY, weights))
    again = from_state_dict(EVERY, module.state_dict())
    assert again.keys() == weights.keys()
    for node, blobs in weights.items():
        for name, blob in blobs.items():
            assert np.array_equal(again[node][name], blob), (node, name)


def test_the_statistics_of_a_batch_norm_are_its_running_ones() -> None:
    """Mean and variance go where torch keeps them."""
    weights = random_weights(EVERY)
    state = to_state_dict(EVERY, weights)
    assert np.array_equal(state["norm.running_mean"].numpy(), weights["norm"]["mean"])
    assert np.array_equal(
        state["norm.running_var"].numpy(), weights["norm"]["variance"]
    )
    assert np.array_equal(state["norm.weight"].numpy(), weights["norm"]["scale"])
    assert np.array_equal(state["norm.bias"].numpy(), weights["norm"]["shift"])


def test_names_that_python_refuses_are_found_too() -> None:
    """A node's key is its legal name, as in the module."""
    network = chain(**{"a/b": PReLU(BLOB), "a_b": PReLU(BLOB), "1": PReLU(BLOB)})
    assert state_names(network) == {
        "a/b": {"slope": "a_b.weight"},
        "a_b": {"slope": "a_b_2.weight"},
        "1": {"slope": "layer_1.weight"},
    }
    assert set(load(network).state_dict()) == {
        key for blobs in state_names(network).values() for key in blobs.values()
    }


def test_a_genome_s_network_gives_its_weights() -> None:
    """A module of the space: the same way there and back."""
    space = load_space("menndl")
    layers = [("convolution", {}), ("batch_norm", {}), ("inception", {})]
    model = decode(space, write_genes(space, layers), DIGITS)
    state = build(emit_module(model, DIGITS)).state_dict()
    weights = from_state_dict(model.network, state)
    again = to_state_dict(model.network, weights)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[key], state[key]) for key in state)


def test_weights_are_copies() -> None:
    """Neither way shares memory with what it was given."""
    network = chain(slope=PReLU(BLOB))
    weights: Weights = {"slope": {"slope": np.ones(4, np.float32)}}
    state = to_state_dict(network, weights)
    state["slope.weight"] += 1
    assert weights["slope"]["slope"].tolist() == [1.0] * 4
    found = from_state_dict(network, state)
    state["slope.weight"] += 1
    assert found["slope"]["slope"].tolist() == [2.0] * 4


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "here: its slope is missing"),
        ({"here": {}}, "here: its slope is missing"),
        ({"here": {"slope": np.ones(3)}}, r"shape \(3,\), the network wants \(4,\)"),
        ({"here": {"slope": np.ones(4), "bias": np.ones(4)}}, "here: .* no bias"),
        ({"there": {"slope": np.ones(4)}}, "there: the network has no slope"),
    ],
)
def test_weights_of_another_network_are_refused(weights: Any, message: str) -> None:
    """Missing, unknown and misshapen blobs are named."""
    with pytest.raises(ReadError, match=message):
        to_state_dict(chain(here=PReLU(BLOB)), weights)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "here.weight is missing"),
        ({"here.weight": 1.0}, "here.weight is missing"),
        ({"here.weight": torch.ones(3)}, r"shape \(3,\), the network wants \(4,\)"),
        ({"here.weight": torch.ones(4), "x": torch.ones(1)}, "has no x"),
    ],
)
def test_a_state_of_another_network_is_refused(state: Any, message: str) -> None:
    """Missing, unknown and misshapen tensors are named."""
    with pytest.raises(ReadError, match=message):
        from_state_dict(chain(here=PReLU(BLOB)), state)


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """A file that cannot be written is named with the system's reason, and is gone."""
    path = tmp_path / "w.pt"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            save_state({"w": torch.zeros(1 << 18)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert list(tmp_path.iterdir()) == []
