"""A network for mnist: 1 x 28 x 28 images in 10 classes.

Written by Ribosome 0.1.0.

genome: lenet-1-02hz68wa-qjsf
space:  lenet 1

solver: SGD, base_lr 0.01, momentum 0.9, weight_decay 0.0005, batch_size 64
        learning rate inv gamma 1 power 0.75
"""

import math

import torch
from torch import Tensor, nn


def xavier_(weight: Tensor) -> None:
    """Caffe's xavier filler: uniform, variance 1 / fan-in."""
    bound = math.sqrt(3.0 / weight[0].numel())
    nn.init.uniform_(weight, -bound, bound)


class Network(nn.Module):
    """Takes (batch, 1, 28, 28) images, gives (batch, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        # slot 1: Convolution, leaves 20 x 24 x 24
        self.conv1_0 = nn.Conv2d(1, 20, kernel_size=5)
        # slot 2: Pooling, leaves 20 x 12 x 12
        self.pool2_0 = nn.MaxPool2d(2, stride=2)
        # slot 3: Convolution, leaves 50 x 8 x 8
        self.conv3_0 = nn.Conv2d(20, 50, kernel_size=5)
        # slot 4: Pooling, leaves 50 x 4 x 4
        self.pool4_0 = nn.MaxPool2d(2, stride=2)
        # slot 5: InnerProduct, leaves 500
        self.ip5_0 = nn.Linear(800, 500)
        self.relu5_0 = nn.ReLU()
        # the head
        self.finalip = nn.Linear(500, 10)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fill the parameters as Caffe's fillers do."""
        xavier_(self.conv1_0.weight)
        nn.init.constant_(self.conv1_0.bias, 0.0)
        xavier_(self.conv3_0.weight)
        nn.init.constant_(self.conv3_0.bias, 0.0)
        xavier_(self.ip5_0.weight)
        nn.init.constant_(self.ip5_0.bias, 0.0)
        xavier_(self.finalip.weight)
        nn.init.constant_(self.finalip.bias, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of a batch of images."""
        # slot 1: Convolution, leaves 20 x 24 x 24
        x = self.conv1_0(x)
        # slot 2: Pooling, leaves 20 x 12 x 12
        x = self.pool2_0(x)
        # slot 3: Convolution, leaves 50 x 8 x 8
        x = self.conv3_0(x)
        # slot 4: Pooling, leaves 50 x 4 x 4
        x = self.pool4_0(x)
        # slot 5: InnerProduct, leaves 500
        x = self.ip5_0(torch.flatten(x, 1))
        x = self.relu5_0(x)
        # the head
        x = self.finalip(x)
        return x

    @staticmethod
    def multipliers() -> dict[str, tuple[float, float]]:
        """Multiples of learning rate and weight decay, where they are not both 1."""
        return {
            "conv1_0.bias": (2.0, 0.0),
            "conv3_0.bias": (2.0, 0.0),
            "ip5_0.bias": (2.0, 0.0),
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
    network(torch.rand(2, 1, 28, 28))


if __name__ == "__main__":
    main()
