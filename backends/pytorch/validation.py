"""Loss and accuracy as Caffe's SoftmaxWithLoss and Accuracy layers have them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ribosome.backends.pytorch.device import Device
from ribosome.backends.pytorch.images import Images

CAP = 87.3365
"""Caffe's largest loss of one sample: it clips the probability at FLT_MIN."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The share of images that are right, their mean loss, and whether to believe it."""

    accuracy: float
    loss: float
    finite: bool


def capped_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Caffe's loss of each sample, shape (batch,): cross entropy, at most `CAP`."""
    losses = functional.cross_entropy(logits, labels, reduction="none")
    return losses.clamp(max=CAP)


def is_capped(loss: float) -> bool:
    """Whether a mean loss is Caffe's largest: every sample is as wrong as can be."""
    return loss > CAP - 1e-3


def right(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether each sample is right, shape (batch,): no other class reaches its score.

    A tie counts against the network, so one whose logits are all equal is never right.
    """
    own = logits.gather(1, labels[:, None])
    return (logits >= own).sum(1) == 1


@torch.no_grad()
def validate(
    network: nn.Module, images: Images, device: Device, *, batch_size: int
) -> Verdict:
    """Judge a network by every image once, in evaluation mode.

    Not finite: some logit is NaN or infinite, and the accuracy means nothing, whatever it
    is. Caffe prints accuracy 1 for a network whose outputs are NaN.
    """
    network.eval()
    count = torch.zeros((), dtype=torch.int64, device=device.device)
    loss = torch.zeros((), dtype=torch.float64, device=device.device)
    finite = torch.ones((), dtype=torch.bool, device=device.device)
    for pixels, labels in images.once(batch_size):
        with device.autocast():
            logits = network(pixels)
        logits = logits.float()
        count += right(logits, labels).sum()
        loss += capped_loss(logits, labels).sum()
        finite &= logits.isfinite().all()
    return Verdict(
        accuracy=count.item() / len(images),
        loss=loss.item() / len(images),
        finite=bool(finite),
    )


def finite_state(network: nn.Module) -> bool:
    """Whether every parameter and every buffer of a network is finite."""
    state = [
        tensor for tensor in network.state_dict().values() if tensor.is_floating_point()
    ]
    return bool(torch.stack([tensor.isfinite().all() for tensor in state]).all())
