"""Caffe's solvers against Caffe's formulas, and against torch.optim where they agree."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from ribosome.backends.pytorch.updates import RULES, Updates
from ribosome.genome.solver import LearningRate, Solver

Array = NDArray[np.float64]
SHAPES = {"weight": (3, 2, 5, 5), "bias": (3,), "dense": (7, 4)}
MULTIPLIERS = {"bias": (2.0, 0.0), "dense": (0.5, 3.0)}
STEPS = 25


def caffe(
    solver: Solver, start: dict[str, Array], gradients: list[dict[str, Array]]
) -> Iterator[dict[str, Array]]:
    """Caffe's ApplyUpdate, blob by blob, in float64: the weights after every step."""
    w = {name: value.copy() for name, value in start.items()}
    history = {name: np.zeros_like(value) for name, value in w.items()}
    second = {name: np.zeros_like(value) for name, value in w.items()}
    schedule = solver.schedule(STEPS)
    for iteration, step in enumerate(gradients):
        diff = {name: value.copy() for name, value in step.items()}
        if solver.clip_gradients > 0:
            norm = math.sqrt(sum(float((g * g).sum()) for g in diff.values()))
            if norm > solver.clip_gradients:
                diff = {k: g * (solver.clip_gradients / norm) for k, g in diff.items()}
        for name in w:
            lr_mult, decay_mult = MULTIPLIERS.get(name, (1.0, 1.0))
            rate = schedule.rate(iteration) * lr_mult
            g = diff[name] + solver.weight_decay * decay_mult * w[name]
            h = history[name]
            if solver.type == "SGD":
                h = solver.momentum * h + rate * g
                update = h
            elif solver.type == "Nesterov":
                before = h
                h = solver.momentum * h + rate * g
                update = (1 + solver.momentum) * h - solver.momentum * before
            elif solver.type == "Adam":
                t = iteration + 1
                h = solver.momentum * h + (1 - solver.momentum) * g
                second[name] = (
                    solver.momentum2 * second[name] + (1 - solver.momentum2) * g * g
                )
                correction = math.sqrt(1 - solver.momentum2**t) / (
                    1 - solver.momentum**t
                )
                update = rate * correction * h / (np.sqrt(second[name]) + solver.delta)
            else:
                h = solver.rms_decay * h + (1 - solver.rms_decay) * g * g
                update = rate * g / (np.sqrt(h) + solver.delta)
            history[name] = h
            w[name] = w[name] - update
        yield {name: value.copy() for name, value in w.items()}


def problem() -> tuple[dict[str, Array], list[dict[str, Array]]]:
    """Weights to start from, and the gradients of every step."""
    rng = np.random.default_rng(5)
    start = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    gradients = [
        {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
        for _ in range(STEPS)
    ]
    return start, gradients


def parameters(start: dict[str, Array]) -> dict[str, nn.Parameter]:
    """The same weights as parameters, those of a convolution in channels_last."""
    made = {}
    for name, value in start.items():
        tensor = torch.tensor(value, dtype=torch.float32)
        if tensor.dim() == 4:
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        made[name] = nn.Parameter(tensor)
    return made


def give(parameter: nn.Parameter, gradient: Array) -> None:
    """Set a gradient as the backward pass does: laid out as its parameter."""
    parameter.grad = torch.empty_like(parameter).copy_(torch.tensor(gradient))


def ours(
    solver: Solver, start: dict[str, Array], gradients: list[dict[str, Array]]
) -> Iterator[dict[str, nn.Parameter]]:
    """The parameters after every step of `Updates`."""
    made = parameters(start)
    updates = Updates(solver, made, MULTIPLIERS)
    schedule = solver.schedule(STEPS)
    for iteration, step in enumerate(gradients):
        for name, parameter in made.items():
            give(parameter, step[name])
        updates.step(schedule.rate(iteration), iteration)
        updates.forget()
        yield made


FALLING = LearningRate("exp", gamma=0.01)
SOLVERS = {
    "SGD": Solver("SGD", 0.1, FALLING, 1, momentum=0.9, weight_decay=0.02),
    "SGD without momentum": Solver("SGD", 0.1, FALLING, 1, weight_decay=0.02),
    "SGD, a rate that steps": Solver(
        "SGD", 0.1, LearningRate("step", gamma=0.1, fraction=0.3), 1, momentum=0.95
    ),
    "SGD, a rate that falls to nothing": Solver(
        "SGD", 0.1, LearningRate("step", gamma=1e-6, fraction=0.1), 1, momentum=0.9
    ),
    "Nesterov": Solver("Nesterov", 0.1, FALLING, 1, momentum=0.9, weight_decay=0.02),
    "Adam": Solver("Adam", 0.1, FALLING, 1, momentum=0.9, weight_decay=0.02),
    "Adam, a large delta": Solver(
        "Adam", 0.1, FALLING, 1, momentum=0.8, momentum2=0.99, delta=0.5
    ),
    "RMSProp": Solver("RMSProp", 0.01, FALLING, 1, rms_decay=0.9, weight_decay=0.02),
    "RMSProp, a large delta": Solver("RMSProp", 0.05, FALLING, 1, delta=0.5),
}


@pytest.mark.parametrize("clip", [0.0, 3.0, 1000.0])
@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
def test_every_step_is_caffes(solver: Solver, clip: float) -> None:
    """Weights agree with Caffe's formulas after each step of a rate that changes."""
    solver = replace(solver, clip_gradients=clip)
    start, gradients = problem()
    pairs = zip(
        ours(solver, start, gradients), caffe(solver, start, gradients), strict=True
    )
    for made, expected in pairs:
        for name, value in expected.items():
            got = made[name].detach().numpy()
            np.testing.assert_allclose(got, value, rtol=2e-5, atol=2e-6, err_msg=name)


def test_every_solver_type_is_compared() -> None:
    """A solver that is added needs its formula here."""
    assert {solver.type for solver in SOLVERS.values()} == set(RULES)


Optimizer = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


@pytest.mark.parametrize(
    ("solver", "optimizer"),
    [
        (
            Solver("SGD", 0.1, LearningRate(), 1, momentum=0.9, weight_decay=0.02),
            lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.02),
        ),
        (
            Solver("Nesterov", 0.1, LearningRate(), 1, momentum=0.9),
            lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
        ),
        (
            Solver("Adam", 0.01, LearningRate(), 1, momentum=0.9, weight_decay=0.02),
            lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.02),
        ),
        (
            Solver("RMSProp", 0.01, LearningRate(), 1, rms_decay=0.99),
            lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.99),
        ),
    ],
    ids=["SGD", "Nesterov", "Adam", "RMSProp"],
)
def test_with_a_fixed_rate_a_solver_is_torchs(
    solver: Solver, optimizer: Optimizer
) -> None:
    """Without multipliers, and with the default delta, torch.optim does the same."""
    start, gradients = problem()
    mine, theirs = parameters(start), parameters(start)
    updates = Updates(solver, mine, {})
    other = optimizer(list(theirs.values()))
    for iteration, step in enumerate(gradients):
        for name in SHAPES:
            give(mine[name], step[name])
            give(theirs[name], step[name])
        updates.step(solver.base_lr, iteration)
        other.step()
    for name in SHAPES:
        torch.testing.assert_close(mine[name], theirs[name], rtol=2e-5, atol=2e-6)


def test_a_blob_of_lr_mult_0_is_frozen_and_not_clipped_by() -> None:
    """It has no gradient in Caffe, so the norm of all gradients is the norm of the rest."""
    solver = Solver("SGD", 1.0, LearningRate(), 1, clip_gradients=1.0)
    made = {name: nn.Parameter(torch.ones(1)) for name in ("kept", "learned")}
    updates = Updates(solver, made, {"kept": (0.0, 1.0)})
    assert not made["kept"].requires_grad
    made["learned"].grad = torch.full((1,), 0.75)
    updates.step(1.0, 0)
    assert made["kept"].item() == 1.0
    assert made["learned"].item() == 0.25


@pytest.mark.parametrize("kind", ["SGD", "Nesterov"])
def test_at_rate_0_momentum_goes_on(kind: str) -> None:
    """V = m v + 0 g: what was gathered before still moves the weight."""
    solver = replace(SOLVERS[kind], momentum=0.5, weight_decay=0.0)
    weight = nn.Parameter(torch.zeros(1))
    updates = Updates(solver, {"w": weight}, {})
    weight.grad = torch.ones(1)
    updates.step(1.0, 0)
    before = weight.item()
    weight.grad = torch.ones(1)
    updates.step(0.0, 1)
    # SGD: v = 0.5; Nesterov: (1 + 0.5) 0.5 - 0.5 * 1.
    assert before - weight.item() == {"SGD": 0.5, "Nesterov": 0.25}[kind]


def test_what_the_loss_does_not_reach_is_decayed() -> None:
    """A blob without a gradient has the gradient 0 in Caffe."""
    solver = Solver("SGD", 0.5, LearningRate(), 1, weight_decay=0.5)
    weight = nn.Parameter(torch.ones(1))
    Updates(solver, {"w": weight}, {}).step(0.5, 0)
    assert weight.item() == 0.75
