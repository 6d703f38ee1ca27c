"""A network for digits: 1 x 8 x 8 images in 10 classes.

Written by Ribosome 0.1.0.

genome: menndl-1-0001nw333rns3xpgff0fv4k74h9qjahxyf6tgtd49ewyhydjj9h2pp4bfpz354yv6z4wv84cmf1dgjvh5ygy6mbswqgm0wc864xg000-mmmd
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


class WithinChannelLRN(nn.Module):
    """Caffe's LRN over a square of the same channel."""

    def __init__(self, size: int, alpha: float, beta: float) -> None:
        super().__init__()
        self.alpha, self.beta = alpha, beta
        self.mean = nn.AvgPool2d(size, stride=1, padding=size // 2)

    def forward(self, x: Tensor) -> Tensor:
        """The normalised maps."""
        return x * (1.0 + self.alpha * self.mean(x * x)) ** -self.beta


class Network(nn.Module):
    """Takes (batch, 1, 8, 8) images, gives (batch, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        # slot 1: Convolution, leaves 16 x 8 x 8
        self.conv1_0 = nn.Conv2d(1, 16, kernel_size=3, padding=1)
        self.relu1_0 = nn.ReLU()
        # slot 2: LRN, leaves 16 x 8 x 8
        self.norm2_0 = nn.LocalResponseNorm(5, alpha=0.0001, beta=0.25, k=1.0)
        # slot 3: Convolution, leaves 16 x 8 x 8
        self.conv3_0 = nn.Conv2d(16, 16, kernel_size=3, padding=1)
        self.elu3_0 = nn.ELU()
        # slot 4: LRN, leaves 16 x 8 x 8
        self.norm4_0 = WithinChannelLRN(3, 0.9, 0.25)
        # the head
        self.finalip = nn.Linear(1024, 10)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fill the parameters as Caffe's fillers do."""
        xavier_(self.conv1_0.weight)
        nn.init.constant_(self.conv1_0.bias, 0.0)
        xavier_(self.conv3_0.weight)
        nn.init.constant_(self.conv3_0.bias, 0.0)
        xavier_(self.finalip.weight)
        nn.init.constant_(self.finalip.bias, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of a batch of images."""
        # slot 1: Convolution, leaves 16 x 8 x 8
        x = self.conv1_0(x)
        x = self.relu1_0(x)
        # slot 2: LRN, leaves 16 x 8 x 8
        x = self.norm2_0(x)
        # slot 3: Convolution, leaves 16 x 8 x 8
        x = self.conv3_0(x)
        x = self.elu3_0(x)
        # slot 4: LRN, leaves 16 x 8 x 8
        x = self.norm4_0(x)
        # the head
        x = self.finalip(torch.flatten(x, 1))
        return x

    @staticmethod
    def multipliers() -> dict[str, tuple[float, float]]:
        """Multiples of learning rate and weight decay, where they are not both 1."""
        return {
            "conv1_0.bias": (2.0, 0.0),
            "conv3_0.bias": (2.0, 0.0),
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
