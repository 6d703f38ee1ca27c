"""A network for digits: 1 x 8 x 8 images in 10 classes.

Written by Ribosome 0.1.0.

genome: menndl-1-0003f617xq87zhyap2wg25b3jmcpxzppdkkpenbvrdy9zx2t0xk10wez5v0kp335wm40bdkyytqf01q2cxqwtm1cmk4qa3mec0vdjac-2s8x
space:  menndl 1

solver: SGD, base_lr 0.01, momentum 0.9, weight_decay 0.0005, batch_size 32
        learning rate inv gamma 10 power 0.75
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
        # slot 1: Convolution, leaves 32 x 8 x 8
        self.conv1_0 = nn.Conv2d(1, 32, kernel_size=3, padding=1)
        self.relu1_0 = nn.ReLU()
        # slot 2: Pooling, leaves 32 x 4 x 4
        self.pool2_0 = nn.MaxPool2d(2, stride=2)
        # slot 3: Convolution, leaves 64 x 4 x 4
        self.conv3_0 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.relu3_0 = nn.ReLU()
        # slot 4: InnerProduct, leaves 128
        self.ip4_0 = nn.Linear(1024, 128)
        # the head
        self.finalip = nn.Linear(128, 10)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fill the parameters as Caffe's fillers do."""
        xavier_(self.conv1_0.weight)
        nn.init.constant_(self.conv1_0.bias, 0.0)
        xavier_(self.conv3_0.weight)
        nn.init.constant_(self.conv3_0.bias, 0.0)
        xavier_(self.ip4_0.weight)
        nn.init.constant_(self.ip4_0.bias, 0.0)
        xavier_(self.finalip.weight)
        nn.init.constant_(self.finalip.bias, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of a batch of images."""
        # slot 1: Convolution, leaves 32 x 8 x 8
        x = self.conv1_0(x)
        x = self.relu1_0(x)
        # slot 2: Pooling, leaves 32 x 4 x 4
        x = self.pool2_0(x)
        # slot 3: Convolution, leaves 64 x 4 x 4
        x = self.conv3_0(x)
        x = self.relu3_0(x)
        # slot 4: InnerProduct, leaves 128
        x = self.ip4_0(torch.flatten(x, 1))
        # the head
        x = self.finalip(x)
        return x

    @staticmethod
    def multipliers() -> dict[str, tuple[float, float]]:
        """Multiples of learning rate and weight decay, where they are not both 1."""
        return {
            "conv1_0.bias": (2.0, 0.0),
            "conv3_0.bias": (2.0, 0.0),
            "ip4_0.bias": (2.0, 0.0),
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
