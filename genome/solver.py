"""The solver: Caffe's update rules and learning rate policies, and the numbers they take.

A policy is held relative to the length of the run, so that one genome means the same for 300
iterations and for 30,000; `Solver.schedule` turns it into Caffe's absolute fields.
"""

import math
from dataclasses import dataclass
from typing import Literal

SolverType = Literal["SGD", "Nesterov", "Adam", "RMSProp"]
Policy = Literal["fixed", "step", "exp", "inv", "poly", "sigmoid"]


@dataclass(frozen=True, slots=True)
class LearningRate:
    """A learning rate policy, relative to the length of the run.

    ============ ==========================================================================
    fixed        base_lr
    step         base_lr * gamma after every ``fraction`` of the run
    exp          falls evenly (in the logarithm) to base_lr * gamma at the end of the run
    inv          base_lr * (1 + gamma * share of the run done) ^ -power
    poly         base_lr * (1 - share of the run done) ^ power
    sigmoid      base_lr / (1 + exp(-gamma * (share done - fraction))); gamma < 0 falls
    ============ ==========================================================================
    """

    policy: Policy = "fixed"
    gamma: float = 0.0
    power: float = 0.0
    fraction: float = 0.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """A learning rate policy in Caffe's absolute fields; `rate` is Caffe's formula."""

    base_lr: float
    policy: Policy
    gamma: float
    power: float
    stepsize: int
    max_iterations: int

    def rate(self, iteration: int) -> float:
        """The learning rate at an iteration, counted from 0."""
        match self.policy:
            case "fixed":
                return self.base_lr
            case "step":
                return self.base_lr * math.pow(self.gamma, iteration // self.stepsize)
            case "exp":
                return self.base_lr * math.pow(self.gamma, iteration)
            case "inv":
                return self.base_lr * math.pow(
                    1.0 + self.gamma * iteration, -self.power
                )
            case "poly":
                left = 1.0 - iteration / self.max_iterations
                return self.base_lr * math.pow(left, self.power)
            case "sigmoid":
                exponent = -self.gamma * (iteration - self.stepsize)
                # Beyond 709 math.exp raises, where Caffe's rate is 0.
                return self.base_lr / (1.0 + math.exp(min(exponent, 709.0)))


@dataclass(frozen=True, slots=True)
class Solver:
    """How a network is trained; the fields and their meanings are Caffe's SolverParameter's.

    ``momentum`` is Adam's beta1; RMSProp has none. ``clip_gradients`` is the largest L2
    norm of all gradients together, 0 for none. ``batch_size`` counts training images.
    """

    type: SolverType
    base_lr: float
    learning_rate: LearningRate
    batch_size: int
    momentum: float = 0.0
    momentum2: float = 0.999
    rms_decay: float = 0.99
    delta: float = 1e-8
    weight_decay: float = 0.0
    clip_gradients: float = 0.0

    def schedule(self, max_iterations: int) -> Schedule:
        """The policy in Caffe's fields for a run of that many iterations."""
        policy = self.learning_rate
        gamma = policy.gamma
        if policy.policy == "exp":
            gamma = policy.gamma ** (1.0 / max_iterations)
        elif policy.policy in ("inv", "sigmoid"):
            gamma = policy.gamma / max_iterations
        return Schedule(
            base_lr=self.base_lr,
            policy=policy.policy,
            gamma=gamma,
            power=policy.power,
            stepsize=max(1, math.ceil(policy.fraction * max_iterations)),
            max_iterations=max_iterations,
        )
