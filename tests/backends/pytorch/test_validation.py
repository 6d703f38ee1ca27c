"""Loss and accuracy, as Caffe's layers have them."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ribosome.backends.pytorch.device import choose_device
from ribosome.backends.pytorch.images import Images
from ribosome.backends.pytorch.validation import (
    CAP,
    Verdict,
    capped_loss,
    finite_state,
    right,
    validate,
)


class Scores(nn.Module):
    """Leaves the scores that it was given for the images numbered by their one pixel."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.scores = scores

    def forward(self, x: Tensor) -> Tensor:
        """The scores of the images."""
        return self.scores[x.flatten().long()]


def judge(scores: list[list[float]], labels: list[int], batch_size: int = 2) -> Verdict:
    """Validate a network that leaves these scores."""
    numbers = torch.arange(len(labels), dtype=torch.float32).view(-1, 1, 1, 1)
    data = Images(numbers, torch.tensor(labels))
    network = Scores(torch.tensor(scores))
    return validate(network, data, choose_device(None, "auto"), batch_size=batch_size)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1.0, 3.0, 2.0], True),
        ([1.0, 2.0, 3.0], False),
        ([3.0, 3.0, 1.0], False),
        ([1.0, 3.0, 3.0], False),
        ([0.0, 0.0, 0.0], False),
        ([0.0, 0.0 + 1e-6, 0.0], True),
    ],
)
def test_a_tie_counts_against_the_network(scores: list[float], expected: bool) -> None:
    """Class 1 is right only if no other class has its score or more."""
    assert right(torch.tensor([scores]), torch.tensor([1])).tolist() == [expected]


def test_accuracy_and_loss_are_those_of_all_images() -> None:
    """A smaller last batch weighs as much as its images do."""
    scores = [[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    verdict = judge(scores, [0, 1, 1])
    expected = functional.cross_entropy(torch.tensor(scores), torch.tensor([0, 1, 1]))
    assert verdict.accuracy == pytest.approx(2 / 3)
    assert verdict.loss == pytest.approx(expected.item(), rel=1e-6)
    assert verdict.finite


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_seen(bad: float) -> None:
    """One is enough, in whatever batch it stands."""
    scores = [[1.0, 0.0], [1.0, 0.0], [1.0, bad], [1.0, 0.0], [1.0, 0.0]]
    assert not judge(scores, [0] * 5).finite


def test_the_loss_of_a_sample_is_capped_as_in_caffe() -> None:
    """Caffe clips the probability of the true class at the smallest normal float32."""
    losses = capped_loss(torch.tensor([[500.0, 0.0], [0.0, 1.0]]), torch.tensor([1, 1]))
    assert losses[0].item() == pytest.approx(-math.log(torch.finfo(torch.float32).tiny))
    assert losses[0].item() == pytest.approx(CAP)
    assert losses[1].item() == pytest.approx(math.log1p(math.exp(-1.0)))


def test_a_nan_loss_is_not_capped() -> None:
    """The cap must not turn NaN into a number."""
    assert capped_loss(torch.tensor([[math.nan, 0.0]]), torch.tensor([0])).isnan().all()


@pytest.mark.parametrize("name", ["weight", "running_var"])
def test_a_parameter_or_buffer_that_is_not_finite_is_seen(name: str) -> None:
    """Also what batch normalisation has gathered."""
    network = nn.BatchNorm2d(3)
    assert finite_state(network)
    with torch.no_grad():
        network.state_dict()[name][1] = math.nan
    assert not finite_state(network)
