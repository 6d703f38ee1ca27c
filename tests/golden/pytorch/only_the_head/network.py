"""A network for digits: 1 x 8 x 8 images in 10 classes.

Written by Ribosome 0.1.0.

genome: menndl-1-0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000-tagj
space:  menndl 1

solver: SGD, base_lr 0.0001, momentum 0, weight_decay 0, batch_size 8
        learning rate fixed
"""

import math

import torch
from torch import Tensor, nn


def xavier_(weight: Tensor) -> None:
    """Caffe's xavier filler: uniform, variance 1 / fan-in."""
    bound = math.sqrt(3.0 / weight[0].numel())
    nn.init.uniform_(weight, -bound, bound)


class Network(nn.Module):
    """Takes (batch, 1, 8, 8) images, gives (batch, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        # the head
        self.finalip = nn.Linear(64, 10)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fill the parameters as Caffe's fillers do."""
        xavier_(self.finalip.weight)
        nn.init.constant_(self.finalip.bias, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of a batch of images."""
        # the head
        x = self.finalip(torch.flatten(x, 1))
        return x

    @staticmethod
    def multipliers() -> dict[str, tuple[float, float]]:
        """Multiples of learning rate and weight decay, where they are not both 1."""
        return {
            "finalip.bias": (2.0, 0.0),
        }


def main() -> None:
    """Print the shape that every layer leaves of a random batch."""
    network = Network().eval()
    for name, layer in network.named_children():
        layer.register_forward_hook(
            lambda _layer, _inputs, output, name=name: print(
                f"{name:<28} {tuple(output.shape)}"
            )
        )
    network(torch.rand(2, 1, 8, 8))


if __name__ == "__main__":
    main()
