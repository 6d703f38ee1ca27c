"""What the tests of the Caffe backend share: models, protobuf's parser, and caffe itself."""

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format

from ribosome.backends.caffe.binary import caffe_environment, find_caffe
from ribosome.backends.caffe.schema import Flavour, message
from ribosome.genome.decode import decode
from ribosome.genome.network import Model, Network, Node
from ribosome.genome.ops import Blob, Filler, InnerProduct, Input, Op
from ribosome.genome.shapes import infer
from ribosome.genome.solver import LearningRate, Solver
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS, Task
from ribosome.search.variation import draw

MENNDL = load_space("menndl")
RGB = Task("colour", 3, 14, 17, 5, mean=(125.0, 123.5, 114.0), scale=0.017, val=40)
SGD = Solver("SGD", 0.01, LearningRate(), 16, momentum=0.9)
XAVIER = Blob(Filler("xavier"))


def random_models(count: int, task: Task, seed: int = 7) -> list[Model]:
    """Random models of the menndl space for a task."""
    rng = np.random.default_rng(seed)
    return [decode(MENNDL, draw(MENNDL.groups, rng), task) for _ in range(count)]


def model(
    *layers: tuple[str, Op, str], task: Task = DIGITS, solver: Solver = SGD
) -> Model:
    """A network of layers (name, op, names of its inputs), from ``data`` to the head."""
    shapes = {"data": task.shape}
    nodes = [Node("data", Input(*task.shape), (), task.shape)]
    head = ("finalip", InnerProduct(task.classes, XAVIER, None), "")
    for name, op, inputs in (*layers, head):
        names = tuple(inputs.split()) or (nodes[-1].name,)
        shapes[name] = infer(op, [shapes[source] for source in names], name=name)
        nodes.append(Node(name, op, names, shapes[name]))
    return Model(Network(tuple(nodes)), solver)


def parsed(text: str, name: str = "NetParameter", flavour: Flavour = "caffe") -> Any:
    """A text as protobuf itself reads it, with the schema of a flavour."""
    return text_format.Parse(text, message(name, flavour)())


def layers(net: Any, kind: str) -> list[Any]:
    """The layers of a type."""
    return [layer for layer in net.layer if layer.type == kind]


def run_caffe(arguments: list[str], folder: Path) -> str:
    """Caffe's log of a command that must succeed, run in a folder."""
    done = subprocess.run(
        [find_caffe(), *arguments],
        cwd=folder,
        env=os.environ | caffe_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr
