"""What is done to a network on the side, and leaves no trace in its training.

A batch forward and backward before the first iteration tells in milliseconds what would cost
a whole training: a network whose loss is not finite, one that is dead (no gradient comes
to its first layer) or blind (the same scores for every image) learns nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from ribosome.backends.pytorch.device import Device
from ribosome.backends.pytorch.endings import Rejected
from ribosome.backends.pytorch.images import Images

_ALIKE = 1e-6
"""Scores that differ by less than this share of the largest are the same but for rounding."""


@contextmanager
def undisturbed(network: nn.Module, device: Device) -> Iterator[None]:
    """What is done in here with a network leaves random numbers and modes as they were."""
    modes = [(module, module.training) for module in network.modules()]
    random, gpu = torch.default_generator.get_state(), None
    if device.device.type == "cuda":
        gpu = torch.cuda.get_rng_state(device.device)
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        torch.default_generator.set_state(random)
        if gpu is not None:
            torch.cuda.set_rng_state(gpu, device.device)


def try_first(network: nn.Module, images: Images, device: Device, *, size: int) -> None:
    """Send the first batch, of ``size`` images, through a network and back.

    In single precision: mixed precision finds the scale of its gradients in some iterations,
    and may overflow before. Raises Rejected where the network cannot learn. Parameters,
    buffers and random numbers are afterwards as they were before, and no gradient is left.
    """
    buffers = [(buffer, buffer.detach().clone()) for buffer in network.buffers()]
    try:
        with undisturbed(network, device):
            why = _why_not(network, *images.batch(0, size))
    finally:
        network.zero_grad(set_to_none=True)
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
    if why:
        raise Rejected(f"rejected before training: {why}")


def _why_not(network: nn.Module, pixels: Tensor, labels: Tensor) -> str:
    """Why a network cannot learn from a batch; empty if it can, or if it has no scores."""
    pixels.requires_grad_()
    logits = network(pixels)
    if logits.shape[:1] != labels.shape or logits.dim() != 2:
        return ""  # the first iteration says what is wrong
    loss = functional.cross_entropy(logits.float(), labels)
    if not loss.isfinite():
        return f"the loss of its first batch is {loss.item()}"
    if len(logits) > 1 and _alike(logits.detach()):
        return "its scores are the same for every image of the first batch"
    torch.autograd.backward(loss)
    weights = [p for p in network.parameters() if p.dim() > 1]
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    if gradients and not torch.stack([g.isfinite().all() for g in gradients]).all():
        return "a gradient of its first batch is not finite"
    first = [pixels.grad, weights[0].grad if weights else None]
    if not any(gradient is not None and gradient.any() for gradient in first):
        return "no gradient of its first batch reaches the first layer"
    return ""


def _alike(logits: Tensor) -> bool:
    """Whether all rows of scores, shape (batch, classes), are the same."""
    spread = (logits.amax(0) - logits.amin(0)).max()
    return bool(spread <= _ALIKE * logits.abs().max())
