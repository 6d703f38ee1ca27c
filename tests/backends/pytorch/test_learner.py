"""One batch: forward, backward, update, in every number format."""

import pytest
import torch
from torch import Tensor, nn

from ribosome.backends.pytorch.device import Device
from ribosome.backends.pytorch.images import Images
from ribosome.backends.pytorch.learner import Learner
from ribosome.backends.pytorch.trial import Trial
from ribosome.genome.solver import LearningRate, Solver
from ribosome.genome.task import Task

CPU = torch.device("cpu")
TRIAL = Trial(
    Solver("SGD", 0.1, LearningRate(), 8, momentum=0.9), Task("t", 2, 6, 6, 3)
)


def network() -> nn.Module:
    """A convolution and an inner product, the same at every call."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


def images() -> Images:
    """Eight images, the same at every call."""
    generator = torch.Generator().manual_seed(4)
    pixels = torch.randn(8, 2, 6, 6, generator=generator)
    return Images(pixels, torch.arange(8) % 3, layout=torch.channels_last)


def losses(half: torch.dtype | None) -> list[float]:
    """The losses of ten steps in a number format."""
    device = Device(CPU, half, torch.channels_last)
    learner = Learner(network(), TRIAL, images(), device)
    return [learner.step(i, 0.1).loss.item() for i in range(10)]


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_mixed_precision_learns_the_same(half: torch.dtype) -> None:
    """Gradients are scaled back, weights and update are float32."""
    single, mixed = losses(None), losses(half)
    assert mixed == pytest.approx(single, abs=0.02)
    assert mixed != single
    assert mixed[-1] < mixed[0] / 2


class Overflowing(nn.Module):
    """Its gradients are infinite in its first step, and 1 after that."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.weight.register_hook(self.gradient)
        self.steps = 0

    def gradient(self, gradient: Tensor) -> Tensor:
        """What the weight's gradient is taken for, whatever the scale of the loss."""
        self.steps += 1
        return torch.full_like(gradient, torch.inf if self.steps == 1 else 1024.0)

    def forward(self, x: Tensor) -> Tensor:
        """The weights as the scores of every image."""
        return self.weight.expand(len(x), 3)


def test_a_step_that_overflows_in_float16_is_left_out() -> None:
    """Its gradients are gone before the next step, which is scaled less."""
    module = Overflowing()
    device = Device(CPU, torch.float16, torch.channels_last)
    learner = Learner(module, TRIAL, images(), device)
    learner.step(0, 1.0)
    assert module.weight.tolist() == [0.0, 0.0, 0.0]
    learner.step(1, 1.0)
    # The scale begins at 2^16, and is halved once: 1024 / 2^15.
    assert module.weight.tolist() == [-0.03125] * 3
