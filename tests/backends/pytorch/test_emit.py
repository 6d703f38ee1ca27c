"""The generated module: formatted, self-contained, and shaped as inferred."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ribosome.backends.pytorch.emit import emit, emit_module
from ribosome.backends.pytorch.source import legal_names
from ribosome.genome.decode import decode
from ribosome.genome.errors import EmitError
from ribosome.genome.network import Model, Network, Node
from ribosome.genome.ops import (
    Blob,
    Concat,
    Convolution,
    Filler,
    InnerProduct,
    Input,
    Slice,
)
from ribosome.genome.shapes import infer
from ribosome.genome.solver import LearningRate, Solver
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS, Task
from ribosome.genome.version import __version__
from ribosome.search.variation import draw
from tests.genome.write import write_genes

torch = pytest.importorskip("torch", reason="install the extra: pip install torch")

MENNDL = load_space("menndl")
TASKS = (DIGITS, Task("colour", 3, 14, 17, 5), Task("pixel", 1, 1, 1, 2))


def build(source: str):  # type: ignore[no-untyped-def]
    """The network of a module's source."""
    namespace: dict[str, object] = {"__name__": "emitted"}
    exec(compile(source, "network.py", "exec"), namespace)  # noqa: S102
    return namespace["Network"]()  # type: ignore[operator]


def random_models(count: int, task: Task) -> list[Model]:
    """Random models of the menndl space for a task."""
    rng = np.random.default_rng(7)
    return [decode(MENNDL, draw(MENNDL.groups, rng), task) for _ in range(count)]


def test_100_random_networks_have_the_inferred_shapes() -> None:
    """Each builds, runs forward and backward, and leaves every shape as inferred."""
    for number, model in enumerate(random_models(100, TASKS[1])):
        network = build(emit_module(model, TASKS[1])).train()
        shapes: dict[str, tuple[int, ...]] = {}
        for name, layer in network.named_children():
            layer.register_forward_hook(
                lambda _l, _i, output, name=name, shapes=shapes: shapes.update(
                    {name: tuple(output.shape[1:])}
                )
            )
        logits = network(torch.rand(3, *TASKS[1].shape))
        logits.logsumexp(1).sum().backward()
        inferred = {
            node.name.replace("/", "_"): node.shape for node in model.network.nodes
        }
        assert shapes == {name: inferred[name] for name in shapes}, number
        assert tuple(logits.shape) == (3, 5)
        assert all(p.grad is not None for p in network.parameters())


def test_random_modules_are_formatted_and_clean(tmp_path: Path) -> None:
    """Ruff format --check and ruff check pass on whatever is emitted, by default settings."""
    for task in TASKS:
        for number, model in enumerate(random_models(40, task)):
            (tmp_path / f"{task.name}_{number}.py").write_text(emit_module(model, task))
    for command in (["format", "--check"], ["check"]):
        ruff = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--quiet", "."],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert ruff.returncode == 0, ruff.stdout


def test_the_module_imports_only_torch() -> None:
    """Nothing but torch and the standard library's math."""
    for model in random_models(40, DIGITS):
        tree = ast.parse(emit_module(model, DIGITS))
        imported = {
            name.name if isinstance(node, ast.Import) else node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in node.names
        }
        assert imported <= {"torch", "math"}


def test_the_header_names_genome_space_and_version() -> None:
    """The docstring says where the module came from."""
    (model,) = random_models(1, DIGITS)
    header = ast.get_docstring(ast.parse(emit_module(model, DIGITS)))
    assert header is not None
    assert f"genome: {model.genome}" in header
    assert "space:  menndl 1" in header
    assert f"Ribosome {__version__}" in header


def test_every_slot_has_a_comment() -> None:
    """Each slot of each tower is announced above its layers."""
    task = Task("two", 2, 9, 9, 3)
    genes = write_genes(
        MENNDL,
        [("convolution", {"activation": "relu"}), ("inception", {})],
        towers=("cut", {"count": 2, "merge": 1}),
    )
    source = emit_module(decode(MENNDL, genes, task), task)
    for comment in (
        "# slot 1, tower 0: Convolution, leaves 1 x 9 x 9",
        "# slot 1, tower 1: Convolution, leaves 1 x 9 x 9",
        "# slot 2, tower 0: Inception, leaves 256 x 9 x 9",
    ):
        assert source.count(comment) == 2, comment


def test_main_prints_the_shapes(tmp_path: Path) -> None:
    """Run as a program, the module lists what every layer leaves."""
    path = tmp_path / "network.py"
    genes = write_genes(MENNDL, [("convolution", {"num_output": 5})])
    path.write_text(emit_module(decode(MENNDL, genes, DIGITS), DIGITS))
    run = subprocess.run(
        [sys.executable, "-P", str(path)], capture_output=True, text=True, check=True
    )
    printed = [line.split(maxsplit=1) for line in run.stdout.splitlines()]
    assert printed == [["conv1_0", "(2, 5, 8, 8)"], ["finalip", "(2, 10)"]]


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
def test_a_task_name_cannot_inject_code(name: str) -> None:
    """Whatever a task is called, the module differs only in its docstring."""
    (model,) = random_models(1, DIGITS)
    named = Task(name, 1, 8, 8, 10)
    trees = [ast.parse(emit_module(model, task)) for task in (DIGITS, named)]
    for tree in trees:
        del tree.body[0]
    assert ast.dump(trees[0]) == ast.dump(trees[1])


@pytest.mark.parametrize(
    "name",
    [
        "class",
        "forward",
        "train",
        "x",
        "1x1",
        "a b",
        "a/b",
        "é",
        "",
        "import os",
        "state_dict",
    ],
)
def test_any_layer_name_becomes_a_legal_one(name: str) -> None:
    """Names from elsewhere end as identifiers that hide nothing of nn.Module."""
    weight = random_models(1, DIGITS)[0].network.output.op
    assert isinstance(weight, InnerProduct)
    nodes = (
        Node("data", Input(1, 8, 8), (), (1, 8, 8)),
        Node(name, weight, ("data",), (10,)),
    )
    solver = Solver("SGD", 0.1, LearningRate(), 8)
    network = build(emit_module(Model(Network(nodes), solver), DIGITS))
    (child,) = dict(network.named_children())
    assert child.isidentifier()
    assert not hasattr(torch.nn.Module(), child)
    assert network(torch.rand(2, 1, 8, 8)).shape == (2, 10)


def test_layers_of_one_legal_name_stay_apart() -> None:
    """a/b and a_b are two layers."""
    weight = random_models(1, DIGITS)[0].network.output.op
    nodes = (
        Node("data", Input(1, 8, 8), (), (1, 8, 8)),
        Node("a/b", weight, ("data",), (10,)),
        Node("a_b", weight, ("a/b",), (10,)),
    )
    solver = Solver("SGD", 0.1, LearningRate(), 8)
    network = build(emit_module(Model(Network(nodes), solver), DIGITS))
    assert list(dict(network.named_children())) == ["a_b", "a_b_2"]


MAP = (2, 5, 5)


@st.composite
def branching(draw: st.DrawFn) -> Network:
    """Convolutions, slices and concats, each of any nodes before it."""
    nodes = [Node("data", Input(*MAP), (), MAP)]
    blob = Blob(Filler("gaussian", std=1 / 3))
    for number in range(draw(st.integers(1, 9))):
        ops = (
            Convolution(2, 3, 3, 1, 1, 1, 1, blob, None),
            Slice(0, 1),
            Concat(),
        )
        op = draw(st.sampled_from(ops))
        many = draw(st.integers(1, 3)) if isinstance(op, Concat) else 1
        read = draw(st.lists(st.sampled_from(nodes), min_size=many, max_size=many))
        shape = infer(op, [node.shape for node in read])
        names = tuple(node.name for node in read)
        nodes.append(
            Node(f"{number} of a long, long, long, long name", op, names, shape)
        )
    last = nodes[-1]
    nodes.append(Node("head", InnerProduct(3, blob, blob), (last.name,), (3,)))
    return Network(tuple(nodes))


@settings(max_examples=60)
@given(branching())
def test_branches_read_what_the_nodes_name(network: Network) -> None:
    """No variable is written over while a later node reads it: skips, concats of concats."""
    solver = Solver("SGD", 0.1, LearningRate(), 8)
    module = build(emit_module(Model(network, solver), Task("skips", *MAP, 3)))
    names = legal_names(node.name for node in network.nodes)
    x = torch.rand(2, *MAP)
    left = {"data": x}
    for node in network.nodes[1:]:
        read = [left[name] for name in node.inputs]
        if isinstance(node.op, Concat):
            left[node.name] = torch.cat(read, dim=1)
        elif isinstance(node.op, Slice):
            left[node.name] = read[0][:, node.op.begin : node.op.end]
        else:
            flat = read[0].flatten(1) if node.name == "head" else read[0]
            left[node.name] = module.get_submodule(names[node.name])(flat)
    assert torch.equal(module(x), left["head"])


def test_long_names_and_numbers_are_formatted(tmp_path: Path) -> None:
    """Ruff's format of a filler's line that does not fit."""
    weight = Blob(Filler("uniform", low=-1 / 3, high=1 / 3))
    nodes = (
        Node("data", Input(1, 8, 8), (), (1, 8, 8)),
        Node("9" * 60, InnerProduct(10, weight, None), ("data",), (10,)),
    )
    solver = Solver("SGD", 0.1, LearningRate(), 8)
    path = tmp_path / "network.py"
    path.write_text(emit_module(Model(Network(nodes), solver), DIGITS))
    ruff = [sys.executable, "-m", "ruff", "format", "--check", "--isolated", str(path)]
    assert subprocess.run(ruff, capture_output=True).returncode == 0


def test_a_layer_name_cannot_inject_code() -> None:
    """A name behind a slot's comment stays in the comment."""
    blob = Blob(Filler("xavier"))
    nodes = (
        Node("data", Input(1, 8, 8), (), (1, 8, 8)),
        Node("cut", Slice(0, 1), ("data",), (1, 8, 8)),
        Node("a_\nimport os", InnerProduct(10, blob, None), ("cut",), (10,), slot=1),
        Node("head", InnerProduct(10, blob, None), ("a_\nimport os",), (10,)),
    )
    solver = Solver("SGD", 0.1, LearningRate(), 8)
    source = emit_module(Model(Network(nodes), solver), DIGITS)
    assert "\nimport os" not in source


def test_a_network_for_another_task_is_refused() -> None:
    """The task's shape must be the network's."""
    (model,) = random_models(1, DIGITS)
    with pytest.raises(EmitError, match="decode it for this task"):
        emit(model, TASKS[1])
