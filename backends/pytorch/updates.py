"""Caffe's solvers: how the gradients of one batch change the parameters.

Per iteration, in Caffe's order: clip all gradients together by their L2 norm, add weight
decay (L2: g += decay w), update. With r the rate of the iteration times the blob's
lr_mult, and m the momentum::

    SGD       v = m v + r g;  w -= v
    Nesterov  v = m v + r g;  w -= (1 + m) v - m v_before
    Adam      a = m a + (1 - m) g;  b = m2 b + (1 - m2) g^2
              w -= r sqrt(1 - m2^t) / (1 - m^t) a / (sqrt(b) + delta),  t from 1
    RMSProp   h = d h + (1 - d) g^2;  w -= r g / (sqrt(h) + delta)

The rate stands inside v: torch.optim keeps it outside, which is the same only while the
rate does not change. See CAFFE's SGDSolver, NesterovSolver, AdamSolver, RMSPropSolver.

A small network is bound by the overhead of each call, so all tensors of a kind go through
one call, and where torch has a fused kernel, one pass over memory does it all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ribosome.genome.solver import Solver


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters with the same multipliers, and what the solver remembers of each.

    ``history`` holds one or two tensors per parameter, in lists of one kind. ``scalar`` is
    a place for a number that a fused kernel reads on the device.
    """

    parameters: list[Tensor]
    lr_mult: float
    decay: float
    history: tuple[list[Tensor], ...]
    scalar: Tensor


_SMALLEST_RATE = torch.finfo(torch.float32).tiny
"""A rate below moves no parameter, and 1 / r is beyond float32."""

Rule = Callable[[Solver, Group, list[Tensor], float, int], None]
"""Updates a group: its gradients, its rate, and the iteration, counted from 0."""


class Updates:
    """The solver of one network.

    ``parameters`` are the network's by name, ``multipliers`` their (lr_mult, decay_mult),
    (1, 1) for a name that is not in it. As in Caffe, a blob whose lr_mult is 0 has no
    gradient: neither is it changed, nor does it count when gradients are clipped.
    """

    def __init__(
        self,
        solver: Solver,
        parameters: Mapping[str, nn.Parameter],
        multipliers: Mapping[str, tuple[float, float]],
    ) -> None:
        self._solver = solver
        kinds, self._rule = RULES[solver.type]
        by_multipliers: dict[tuple[float, float], list[Tensor]] = {}
        for name, parameter in parameters.items():
            pair = multipliers.get(name, (1.0, 1.0))
            if pair[0] == 0.0:
                parameter.requires_grad_(False)
            else:
                by_multipliers.setdefault(pair, []).append(parameter)
        self._groups = tuple(
            Group(
                parameters=members,
                lr_mult=lr_mult,
                decay=solver.weight_decay * decay_mult,
                history=tuple(
                    [torch.zeros_like(member) for member in members]
                    for _ in range(kinds)
                ),
                scalar=torch.zeros((), device=members[0].device),
            )
            for (lr_mult, decay_mult), members in by_multipliers.items()
        )

    @property
    def param_groups(self) -> list[dict[str, list[Tensor]]]:
        """The parameters, by the name that torch's GradScaler asks for."""
        return [{"params": group.parameters} for group in self._groups]

    @torch.no_grad()
    def step(self, rate: float, iteration: int) -> None:
        """Update all parameters by their gradients, at the schedule's rate.

        ``iteration`` is counted from 0. The gradients are not what they were after it.
        """
        gradients = [
            [_gradient(parameter) for parameter in group.parameters]
            for group in self._groups
        ]
        if self._solver.clip_gradients > 0.0:
            _clip([g for some in gradients for g in some], self._solver.clip_gradients)
        for group, some in zip(self._groups, gradients, strict=True):
            self._rule(self._solver, group, some, rate * group.lr_mult, iteration)

    def forget(self) -> None:
        """Drop the gradients, so that the next backward pass starts from none."""
        for group in self._groups:
            for parameter in group.parameters:
                parameter.grad = None


def sgd(
    solver: Solver,
    group: Group,
    gradients: list[Tensor],
    rate: float,
    iteration: int,
    *,
    nesterov: bool = False,
) -> None:
    """SGD, and Nesterov's, by torch's fused kernel.

    The kernel runs at rate 1 on r g: it divides gradients by ``grad_scale`` first, which
    is 1 / r here, and adds weight decay, r times as large, after that.
    """
    del iteration
    if abs(rate) < _SMALLEST_RATE:
        # 1 / r has no value, and g times 0 is what it stands for.
        rate = 0.0
        torch._foreach_zero_(gradients)
    torch._fused_sgd_(
        group.parameters,
        gradients,
        # The kernel takes no buffers where there is no momentum.
        group.history[0] if solver.momentum else [],
        weight_decay=rate * group.decay,
        momentum=solver.momentum,
        lr=1.0,
        dampening=0.0,
        nesterov=nesterov,
        maximize=False,
        is_first_step=False,
        grad_scale=group.scalar.fill_(1.0 / rate if rate else 1.0),
    )


def nesterov(
    solver: Solver,
    group: Group,
    gradients: list[Tensor],
    rate: float,
    iteration: int,
) -> None:
    """Nesterov's: (1 + m) v - m v_before is r g + m v, as torch has it."""
    sgd(solver, group, gradients, rate, iteration, nesterov=True)


def adam(
    solver: Solver,
    group: Group,
    gradients: list[Tensor],
    rate: float,
    iteration: int,
) -> None:
    """Adam by torch's fused kernel.

    Torch divides sqrt(b) by sqrt(1 - m2^t) before it adds its epsilon, so Caffe's delta
    is divided by the same.
    """
    step = iteration + 1
    first, second = group.history
    torch._fused_adam_(
        group.parameters,
        gradients,
        first,
        second,
        [],
        [group.scalar.fill_(step)] * len(group.parameters),
        lr=rate,
        beta1=solver.momentum,
        beta2=solver.momentum2,
        weight_decay=group.decay,
        eps=solver.delta / (1.0 - solver.momentum2**step) ** 0.5,
        amsgrad=False,
        maximize=False,
    )


def rmsprop(
    solver: Solver,
    group: Group,
    gradients: list[Tensor],
    rate: float,
    iteration: int,
) -> None:
    """RMSProp, for which torch has no fused kernel."""
    del iteration
    if group.decay:
        torch._foreach_add_(gradients, group.parameters, alpha=group.decay)
    squares = group.history[0]
    torch._foreach_mul_(squares, solver.rms_decay)
    torch._foreach_addcmul_(squares, gradients, gradients, 1.0 - solver.rms_decay)
    roots = torch._foreach_sqrt(squares)
    torch._foreach_add_(roots, solver.delta)
    torch._foreach_addcdiv_(group.parameters, gradients, roots, -rate)


RULES: dict[str, tuple[int, Rule]] = {
    "SGD": (1, sgd),
    "Nesterov": (1, nesterov),
    "Adam": (2, adam),
    "RMSProp": (1, rmsprop),
}
"""By the solver's type: how many kinds of history it keeps, and its rule."""


def _gradient(parameter: Tensor) -> Tensor:
    # What the loss does not reach has the gradient 0 in Caffe, and is still decayed.
    gradient = parameter.grad
    return torch.zeros_like(parameter) if gradient is None else gradient


def _clip(gradients: list[Tensor], largest: float) -> None:
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    # The factor is exactly 1 below the limit; nothing waits for the device to say so.
    torch._foreach_mul_(gradients, largest / norm.clamp(min=largest))
