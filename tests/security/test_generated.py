"""Generated code: names from files never become code, whatever is in them."""

import ast
import re
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.backends.caffe import prototxt
from ribosome.backends.caffe.emit import emit as emit_caffe
from ribosome.backends.caffe.emit import emit_deploy
from ribosome.backends.pytorch.emit import emit_module, emit_network, emit_trial
from ribosome.backends.pytorch.trial import _decode as read_trial
from ribosome.backends.registry import backend
from ribosome.genome.codec import unpack
from ribosome.genome.decode import decode
from ribosome.genome.network import Model, Network, Node
from ribosome.genome.ops import InnerProduct, PReLU
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS, Task
from ribosome.tools import export
from tests.genome.build import BIAS, Builder, convolution

from .nasty import HARMFUL, NASTY, texts


def network(names: list[str]) -> Network:
    """An input, a convolution, a PReLU and a head, of these names."""
    net = Builder(1, 8, 8, name=names[0])
    net.add(names[1], convolution(4, 3))
    net.add(names[2], PReLU(BIAS))
    net.add(names[3], InnerProduct(10, BIAS, BIAS))
    return net.network


PLAIN = network(["data", "conv", "slope", "head"])


def four_names() -> st.SearchStrategy[list[str]]:
    """Different names of four layers."""
    return st.lists(texts(), min_size=4, max_size=4, unique=True)


def skeleton(source: str) -> str:
    """A module's syntax tree without its docstring and the names of its layers."""
    tree = ast.parse(source)
    docstring = tree.body.pop(0)
    assert isinstance(docstring, ast.Expr)
    assert isinstance(docstring.value, ast.Constant)
    layers: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            target = node.targets[0]
            if isinstance(target.value, ast.Name) and target.value.id == "self":
                layers.setdefault(target.attr, f"layer {len(layers)}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("__") or node.attr == "__init__"
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                node.attr = layers.get(node.attr, node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            layer, dot, part = node.value.partition(".")
            if dot and layer in layers:
                node.value = f"{layers[layer]}.{part}"
    return ast.dump(tree)


@given(four_names())
def test_names_of_layers_change_nothing_but_names(names: list[str]) -> None:
    """The module of a network with hostile names is that of the same one with tame names."""
    source = emit_network(network(names), "A network")
    assert skeleton(source) == skeleton(emit_network(PLAIN, "A network"))
    assert not set(HARMFUL) & set(source)


@given(texts())
def test_a_title_stays_in_its_docstring(title: str) -> None:
    """The name of a file or a task is a part of a docstring's line."""
    source = emit_network(PLAIN, title)
    assert skeleton(source) == skeleton(emit_network(PLAIN, "A network"))
    assert source.count("\n") == emit_network(PLAIN, "A network").count("\n")
    assert not set(HARMFUL) & set(source)


@pytest.mark.parametrize("name", NASTY, ids=ascii)
def test_a_hostile_network_is_made_and_used(name: str) -> None:
    """Such a module does not only parse: its class is made, and computes."""
    import torch

    others = [f"{name}{i}" for i in range(3)]
    space: dict[str, object] = {"__name__": "network"}
    exec(emit_network(network([name, *others]), name), space)  # noqa: S102
    made = space["Network"]()  # type: ignore[operator]
    assert made.eval()(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


@lru_cache
def model() -> Model:
    """A network that a search proposes."""
    space = load_space("menndl")
    return decode(space, unpack(space, bytes(space.genome_bytes)), DIGITS)


@given(texts())
def test_the_name_of_a_task_is_no_code(name: str) -> None:
    """A module, and trial.json, of a task with a hostile name."""
    task = replace(DIGITS, name=name)
    source = emit_module(model(), task)
    assert skeleton(source) == skeleton(emit_module(model(), DIGITS))
    assert not set(HARMFUL) & set(source)
    assert read_trial(emit_trial(model(), task).encode()).task.name == name


def messages(text: str) -> tuple[list[str], list[str]]:
    """The types and the names of the layers of a prototxt."""
    net = prototxt.parse(text, "NetParameter", "nvcaffe", path="net")
    return [layer.type for layer in net.layer], [layer.name for layer in net.layer]


@given(texts(), st.sampled_from(["caffe", "nvcaffe"]))
def test_prototxt_has_the_layers_that_it_should(name: str, flavour: str) -> None:
    """A hostile name of a task adds no layer, and is read back where it is a string."""
    plain = emit_caffe(model(), DIGITS, flavour)  # type: ignore[arg-type]
    task = replace(DIGITS, name=name)
    hostile = emit_caffe(model(), task, flavour)  # type: ignore[arg-type]
    for file in ("train_val.prototxt", "deploy.prototxt"):
        assert messages(hostile[file]) == messages(plain[file])
        assert not set(HARMFUL) & set(hostile[file])
    assert hostile["solver.prototxt"].count("\n") == plain["solver.prototxt"].count(
        "\n"
    )


@given(four_names(), st.sampled_from(["caffe", "nvcaffe"]))
def test_names_of_layers_are_strings_of_prototxt(
    names: list[str], flavour: str
) -> None:
    """Each name is read back as it was, and no layer is there that should not be."""
    made = Model(network(names), model().solver, None, None)
    text = emit_deploy(made, replace(DIGITS, name=names[0]), flavour)  # type: ignore[arg-type]
    types, found = messages(text)
    assert types == ["Input", "Convolution", "PReLU", "InnerProduct", "Softmax"]
    assert found[:4] == names
    assert not set(HARMFUL) & set(text)
    net = prototxt.parse(text, "NetParameter", "nvcaffe", path="net")
    assert net.name == names[0]


def readme(backend_name: str, name: str, classes: tuple[str, ...]) -> str:
    """The README of an export, of a data set and a genome of that name."""
    sizes = {"val": 3, "channels": 1, "height": 8, "width": 8, "mean": (), "scale": 1.0}
    info = SimpleNamespace(name=name, classes=2, class_names=classes, **sizes)
    run = SimpleNamespace(
        config=None, target=backend(backend_name), trial=SimpleNamespace(genome=name)
    )
    with patch.object(export, "data_info", lambda _: info):
        return export.readme(run, export.Trained(b"", 0.5))  # type: ignore[arg-type]


def blocks(text: str) -> list[str]:
    """The blocks of code in a README."""
    return re.findall("```.*?```", text, re.DOTALL)


@given(texts(), st.lists(texts(), max_size=3), st.sampled_from(["caffe", "pytorch"]))
def test_a_readme_holds_the_code_that_it_should(
    name: str, classes: list[str], backend_name: str
) -> None:
    """Names of data sets and classes make no block of code, and no link."""
    text, plain = (
        readme(backend_name, name, tuple(classes)),
        readme(backend_name, "a", ()),
    )
    assert blocks(text) == blocks(plain)
    assert text.count("\n") == plain.count("\n")
    assert text.count("`") == plain.count("`")
    for letter in "<>[]":
        assert text.count(letter) == plain.count(letter)
    assert not set(HARMFUL) & set(text)


def test_a_node_of_the_ir_is_what_these_tests_rename() -> None:
    """Guard: the hostile names do reach the network."""
    assert [node.name for node in network(list("abcd")).nodes] == list("abcd")
    assert isinstance(PLAIN.nodes[0], Node)
    assert isinstance(DIGITS, Task)
