"""Modules of networks from files: any ops, any output, no solver."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ribosome.backends.pytorch.emit import emit_network
from ribosome.genome.errors import ShapeError
from ribosome.genome.network import Network, Node
from ribosome.genome.ops import (
    LRN,
    ArgMax,
    BatchNorm,
    Bias,
    Blob,
    Concat,
    Convolution,
    Crop,
    Deconvolution,
    Eltwise,
    Filler,
    Flatten,
    InnerProduct,
    Input,
    Op,
    Pooling,
    Power,
    PReLU,
    ReLU,
    Reshape,
    Scale,
    Slice,
    Softmax,
)
from ribosome.genome.shapes import infer
from ribosome.genome.version import __version__
from tests.backends.pytorch.test_emit import build

torch = pytest.importorskip("torch", reason="install the extra: pip install torch")

BLOB = Blob(Filler("xavier"), 1 / 3, 2.0)
ONE_INPUT: tuple[Op, ...] = (
    Convolution(4, 3, 3, 1, 1, 1, 1, BLOB, BLOB, group=2, dilation_h=2),
    Deconvolution(4, 4, 4, 2, 2, 1, 1, Blob(Filler("bilinear")), BLOB, group=4),
    Pooling("MAX", 3, 3, 2, 2, 2, 2),
    Pooling("AVE", 3, 3, 2, 2, 2, 2),
    Pooling("MAX", 1, 1, 3, 3),
    LRN("ACROSS_CHANNELS", 3, 1e-4, 0.75, k=2.0),
    LRN("WITHIN_CHANNEL", 3, 1e-4, 0.75),
    BatchNorm(None, None),
    BatchNorm(BLOB, BLOB),
    InnerProduct(8, BLOB, None),
    ReLU(1 / 3),
    PReLU(BLOB),
    PReLU(BLOB, shared=True),
    Power(2.0),
    Power(-1 / 3, 1 / 3, 1 / 7),
    Power(1.0, 0.1, -1.0),
    Power(0.5, 0.0, 1 / 3),
    Power(float("inf"), 0.5),
    Power(float("inf")),
    Power(0.0),
    Scale(BLOB, BLOB),
    Scale(BLOB, None),
    Bias(BLOB),
    Flatten(),
    Flatten(1, 1),
    Reshape((-1, 2, 2)),
    Reshape((4, 1, -1)),
    Slice(0, 2, axis=1),
    Softmax(),
    ArgMax(2, axis=1),
    ArgMax(2, values=True),
)
SEVERAL: tuple[Op, ...] = (
    Concat(),
    Concat(1),
    Crop(1, (0, 1)),
    Eltwise("SUM"),
    Eltwise("MAX"),
    Eltwise("PROD"),
)


def random_network(rng: np.random.Generator) -> Network:
    """Up to 25 nodes, each of any nodes before it that it fits; long names."""
    nodes = [Node("data", Input(4, 6, 6), (), (4, 6, 6))]
    while len(nodes) < rng.integers(2, 26):
        several = rng.random() < 0.5
        op = (SEVERAL if several else ONE_INPUT)[
            rng.integers(len(SEVERAL if several else ONE_INPUT))
        ]
        count = int(rng.integers(2, 9)) if several else 1
        if isinstance(op, Crop):
            count = 2
        if op == Eltwise("SUM") and rng.random() < 0.5:
            factors = rng.choice([1.0, -1.0, -1 / 3], count).tolist()
            op = Eltwise("SUM", tuple(factors))
        read = [nodes[rng.integers(len(nodes))]]
        others = [node for node in nodes if node.shape == read[0].shape]
        read += [others[rng.integers(len(others))] for _ in range(count - 1)]
        try:
            shape = infer(op, [node.shape for node in read])
        except ShapeError:
            continue
        if np.prod(shape) > 5000:
            continue
        name = f"{len(nodes)}/a rather long name of a layer"[: rng.integers(3, 40)]
        nodes.append(Node(name, op, tuple(node.name for node in read), shape))
    return Network(tuple(nodes))


NETWORKS = [random_network(np.random.default_rng(seed)) for seed in range(120)]


def test_random_networks_give_every_op() -> None:
    """The tests below see each op of files."""
    seen = {node.op for network in NETWORKS for node in network.nodes}
    assert seen >= set(ONE_INPUT) | set(SEVERAL) - {Crop(1, (0, 1))}


def test_random_networks_have_the_inferred_shapes() -> None:
    """Each builds and runs, and every module leaves what was inferred."""
    for number, network in enumerate(NETWORKS):
        module = build(emit_network(network, "random")).eval()
        shapes: dict[str, tuple[int, ...]] = {}
        for name, layer in module.named_children():
            layer.register_forward_hook(
                lambda _l, _i, output, name=name, shapes=shapes: shapes.update(
                    {name: tuple(output.shape[1:])}
                )
            )
        out = module(torch.rand(2, 4, 6, 6))
        assert tuple(out.shape) == (2, *network.output.shape), number
        inferred = {node.name.partition("/")[0]: node.shape for node in network.nodes}
        for name, shape in shapes.items():
            assert shape == inferred[name.split("_")[1]], number


def test_random_networks_are_formatted(tmp_path: Path) -> None:
    """Ruff's formatter leaves them as they are, and its linter finds no error in them.

    A value that no node reads, as random networks have, is their own fault.
    """
    for number, network in enumerate(NETWORKS):
        path = tmp_path / f"network_{number}.py"
        path.write_text(emit_network(network, "random"))
    for command in (["format", "--check"], ["check", "--ignore", "F841"]):
        ruff = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--quiet", "."],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert ruff.returncode == 0, ruff.stdout


def test_the_header_says_what_goes_in_and_out() -> None:
    """Title, input and output; a title cannot end the docstring."""
    nodes = (Node("data", Input(3, 4, 5), (), (3, 4, 5)),)
    source = emit_network(Network(nodes), 'FCN, read from "x".prototxt')
    header = ast.get_docstring(ast.parse(source))
    assert header == (
        "FCN, read from  x .prototxt: 3 x 4 x 5 images to 3 x 4 x 5.\n\n"
        f"Written by Ribosome {__version__}."
    )


def test_a_network_of_nothing_gives_its_input_back() -> None:
    """No layers, no parameters: still a module."""
    nodes = (Node("data", Input(3, 4, 5), (), (3, 4, 5)),)
    x = torch.rand(2, 3, 4, 5)
    assert torch.equal(build(emit_network(Network(nodes), "nothing"))(x), x)


def residual(blocks: int) -> Network:
    """A chain of blocks, each the sum of its input and of a convolution of it."""
    nodes = [Node("data", Input(2, 3, 3), (), (2, 3, 3))]
    for block in range(blocks):
        before = nodes[-1].name
        convolution = Convolution(2, 3, 3, 1, 1, 1, 1, BLOB, None)
        nodes.append(Node(f"conv{block}", convolution, (before,), (2, 3, 3)))
        inputs = (before, f"conv{block}")
        nodes.append(Node(f"sum{block}", Eltwise("SUM"), inputs, (2, 3, 3)))
    return Network(tuple(nodes))


def test_a_sum_goes_back_to_the_variable_of_its_trunk() -> None:
    """However many blocks, two variables do."""
    lines = emit_network(residual(50), "residual").splitlines()
    written = [line.strip() for line in lines if "self.conv49(" in line]
    assert written == ["x_1 = self.conv49(x)"]
    assert "        x = x + x_1" in lines


def test_a_deep_tree_has_short_variables() -> None:
    """A hundred values that all wait to be read: no name grows with the depth."""
    nodes = [Node("data", Input(1, 2, 2), (), (1, 2, 2))]
    for depth in range(100):
        nodes.append(Node(f"power{depth}", Power(2.0), (nodes[-1].name,), (1, 2, 2)))
    inputs = tuple(node.name for node in nodes)
    nodes.append(Node("all", Eltwise("SUM"), inputs, (1, 2, 2)))
    network = Network(tuple(nodes))
    source = emit_network(network, "deep")
    assert max(map(len, source.splitlines())) <= 88
    x = torch.full((1, 1, 2, 2), 1.0)
    assert torch.equal(build(source)(x), 101 * x)
