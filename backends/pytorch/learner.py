"""A network that learns: forward, backward and update of one batch."""

from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from ribosome.backends.pytorch.device import Device
from ribosome.backends.pytorch.endings import Invalid
from ribosome.backends.pytorch.images import Images
from ribosome.backends.pytorch.loop import Trained
from ribosome.backends.pytorch.trial import Trial, read_multipliers
from ribosome.backends.pytorch.updates import Updates


class Learner:
    """A network on a device, with its solver and its training images."""

    def __init__(
        self, network: nn.Module, trial: Trial, images: Images, device: Device
    ) -> None:
        # The stubs of Module.to lack memory_format.
        self.network: nn.Module = cast(Any, network).to(
            device.device, memory_format=device.layout
        )
        self._images = images
        self._size = trial.solver.batch_size
        self._scores = (self._size, trial.task.classes)
        self._device = device
        self._scaler = device.scaler()
        self._updates = Updates(
            trial.solver, dict(network.named_parameters()), read_multipliers(network)
        )

    def step(self, iteration: int, rate: float) -> Trained:
        """Train the batch of an iteration, counted from 0, at a learning rate.

        Raises Invalid unless the network leaves one score per image and class.
        """
        pixels, labels = self._images.batch(iteration, self._size)
        with self._device.autocast():
            logits = self.network(pixels)
        if logits.shape != self._scores:
            raise Invalid(
                f"the network leaves scores of shape {tuple(logits.shape)}, not "
                f"{self._scores} (batch, classes): its last layer must leave one per class"
            )
        logits = logits.float()
        loss = functional.cross_entropy(logits, labels)
        torch.autograd.backward(self._scaler.scale(loss))
        # Where float16 overflowed, the scaler leaves the step out. It asks of an optimiser
        # only what Updates has.
        self._scaler.step(cast(Any, self._updates), rate, iteration)
        self._scaler.update()
        self._updates.forget()
        return Trained(loss.detach(), logits.detach(), labels)
