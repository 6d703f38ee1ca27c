"""The real Caffe beside ours: what it accepts, what it computes, how it learns."""

import itertools
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from ribosome.backends.caffe.data import prepared
from ribosome.backends.caffe.emit import TRAIN_VAL, emit
from ribosome.backends.data import find_data, read_info
from ribosome.genome.cost import cost
from ribosome.genome.network import Model, Network
from ribosome.genome.ops import (
    Blob,
    Convolution,
    Filler,
    InnerProduct,
    Input,
    Pooling,
    Slice,
    TanH,
)
from ribosome.genome.solver import LearningRate, Policy, Solver, SolverType
from ribosome.genome.task import DIGITS, Task, Training
from tests.backends.caffe.kit import RGB, model, random_models, run_caffe
from tests.backends.caffe.test_solver import POLICIES

torch = pytest.importorskip("torch", reason="install the extra: pip install torch")

from tests.backends.caffe.parity import (  # noqa: E402 - it imports torch
    by_caffe,
    by_opencv,
    by_torch,
    difference,
    losses_by_caffe,
    losses_by_torch,
    weights_of,
    without_noise,
)

TASKS = (DIGITS, RGB)
FORWARD = 1e-4  # relative to the largest logit
CURVE = 1e-3  # relative to the loss
AT_ONCE = 25  # networks of one test


def some(count: int, part: int, task: Task, seed: int) -> list[Model]:
    """The ``part``-th ``count`` of a fixed series of random models."""
    return random_models(count * (part + 1), task, seed)[count * part :]


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_opencv_computes_what_pytorch_computes(
    part: int, task: Task, tmp_path: Path
) -> None:
    """From our deploy file and our caffemodel: 200 random networks."""
    for number, drawn in enumerate(some(AT_ONCE, part, task, seed=11)):
        weights, images = weights_of(drawn, number), random_images(task, number)
        ours = by_torch(drawn, weights, images)
        theirs = by_opencv(tmp_path, drawn, task, weights, images)
        assert difference(ours, theirs) < FORWARD, (number, drawn.genome)


@pytest.mark.caffe
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_caffe_computes_what_pytorch_computes(
    part: int, task: Task, tmp_path: Path
) -> None:
    """The same 200 networks, by the real Caffe."""
    for number, drawn in enumerate(some(AT_ONCE, part, task, seed=11)):
        weights, images = weights_of(drawn, number), random_images(task, number)
        ours = by_torch(drawn, weights, images)
        theirs = by_caffe(tmp_path, drawn, task, weights, images)
        assert difference(ours, theirs) < FORWARD, (number, drawn.genome)


def random_images(task: Task, seed: int) -> np.ndarray:  # type: ignore[type-arg]
    """Three images of uniform noise."""
    return np.random.default_rng(seed).random((3, *task.shape), dtype=np.float32)


@lru_cache(maxsize=1)
def digits() -> Task:
    """The digits, in Caffe's form, for 100 iterations of which each is logged."""
    folder = find_data("digits")
    prepared(folder, "lmdb")
    return read_info(folder).task(Training(max_iterations=100, display=1))


@pytest.mark.caffe
@pytest.mark.parametrize("part", range(20))
def test_caffe_accepts_random_networks_with_the_inferred_shapes(
    part: int, tmp_path: Path
) -> None:
    """500 of them: `caffe time` builds and runs each; its log tells every blob's shape."""
    task = digits()
    for number, drawn in enumerate(some(AT_ONCE, part, task, seed=23)):
        text = emit(drawn, task, "caffe")[TRAIN_VAL]
        (tmp_path / TRAIN_VAL).write_text(text)
        log = run_caffe(["time", "-model", TRAIN_VAL, "-iterations", "1"], tmp_path)
        shapes = _shapes(log)
        for node in drawn.network.nodes:
            if not isinstance(node.op, Input | Slice):
                assert shapes[node.name] == node.shape, (number, drawn.genome)


def _shapes(log: str) -> dict[str, tuple[int, ...]]:
    """The shape of every layer's first top, without the batch, by the layer's name."""
    shapes: dict[str, tuple[int, ...]] = {}
    name = ""
    for line in log.splitlines():
        if setting := re.search(r"Setting up (\S+)$", line):
            name = setting[1]
        elif (top := re.search(r"Top shape: ([\d ]+)\(", line)) and name not in shapes:
            shapes[name] = tuple(map(int, top[1].split()))[1:]
    return shapes


def is_stable(drawn: Model, task: Task, seed: int) -> bool:
    """Whether rounding does not decide how training goes.

    Two programs add in another order, so their outputs differ by some 1e-6 from the first
    batch on. Weights that are changed by as much must give the same curve; where they do
    not (a batch norm of a channel that hardly varies, say), no two programs agree.
    """
    weights = weights_of(drawn, seed)
    rng = np.random.default_rng(seed)
    nudged = {
        name: {
            blob: values
            * (1 + 2e-6 * rng.choice((-1, 1), values.shape)).astype(np.float32)
            for blob, values in blobs.items()
        }
        for name, blobs in weights.items()
    }
    curves = [losses_by_torch(drawn, task, each) for each in (weights, nudged)]
    return relative(*curves) < CURVE / 10


def relative(ours: np.ndarray, theirs: np.ndarray) -> float:  # type: ignore[type-arg]
    """The largest difference of two loss curves, relative to the loss there."""
    return float(np.max(np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1e-3)))


@pytest.mark.caffe
@pytest.mark.parametrize("part", range(4))
def test_pytorch_learns_as_caffe_does(part: int, tmp_path: Path) -> None:
    """20 random networks: the loss of each of 100 iterations, from the same weights."""
    task = digits()
    small = (
        without_noise(drawn)
        for drawn in random_models(120, task, seed=31 + part)
        if cost(drawn.network).training_flops * drawn.solver.batch_size < 2e8
    )
    stable = (drawn for drawn in small if is_stable(drawn, task, seed=1))
    for number, drawn in enumerate(itertools.islice(stable, 5)):
        weights = weights_of(drawn, seed=1)
        ours = losses_by_torch(drawn, task, weights)
        theirs = losses_by_caffe(tmp_path, drawn, task, weights)
        assert relative(ours, theirs) < CURVE, (number, drawn.genome)


def trainable() -> Network:
    """A small network that trains well: convolution, pooling, a hidden layer."""
    weight, bias = Blob(Filler("xavier")), Blob(Filler("constant"), 2.0, 0.0)
    return model(
        ("conv1_0", Convolution(6, 3, 3, 1, 1, 1, 1, weight, bias), ""),
        ("tanh1_0", TanH(), ""),
        ("pool2_0", Pooling("AVE", 2, 2, 2, 2), ""),
        ("ip3_0", InnerProduct(16, weight, bias), ""),
        ("tanh3_0", TanH(), ""),
    ).network


@pytest.mark.caffe
@pytest.mark.parametrize("policy", get_args(Policy))
@pytest.mark.parametrize("kind", get_args(SolverType))
def test_every_update_rule_and_policy_is_caffes(
    kind: SolverType, policy: Policy, tmp_path: Path
) -> None:
    """With weight decay, multipliers and, for every second policy, clipped gradients."""
    rate: LearningRate = POLICIES[policy]
    solver = Solver(
        kind,
        base_lr=0.05 if kind in ("SGD", "Nesterov") else 0.005,
        learning_rate=rate,
        batch_size=16,
        momentum=0.0 if kind == "RMSProp" else 0.9,
        rms_decay=0.95,
        weight_decay=0.005,
        clip_gradients=1.0 if policy in ("step", "inv", "sigmoid") else 0.0,
    )
    made = replace(model(solver=solver), network=trainable())
    weights = weights_of(made, seed=3)
    ours = losses_by_torch(made, digits(), weights)
    theirs = losses_by_caffe(tmp_path, made, digits(), weights)
    assert relative(ours, theirs) < CURVE
