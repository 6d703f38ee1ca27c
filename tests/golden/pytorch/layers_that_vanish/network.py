"""A network for pixel: 1 x 1 x 1 images in 2 classes.

Written by Ribosome 0.1.0.

genome: menndl-1-0000aqvmww4bq5cgz0mex3jkvfv2fv5f0vxxnawap9mw7eft27kreyxgd8dqh7nfqpdzm04w0ykrdek40p1pxgjb2kkmrw0dgj40000-44bn
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
    """Takes (batch, 1, 1, 1) images, gives (batch, 2) logits."""

    def __init__(self) -> None:
        super().__init__()
        # slot 1: Convolution, leaves 4 x 1 x 1
        self.conv1_0 = nn.Conv2d(1, 4, kernel_size=1)
        self.relu1_0 = nn.ReLU()
        # slot 2: InnerProduct, leaves 8
        self.ip2_0 = nn.Linear(4, 8)
        # the head
        self.finalip = nn.Linear(8, 2)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fill the parameters as Caffe's fillers do."""
        xavier_(self.conv1_0.weight)
        nn.init.constant_(self.conv1_0.bias, 0.0)
        xavier_(self.ip2_0.weight)
        nn.init.constant_(self.ip2_0.bias, 0.0)
        xavier_(self.finalip.weight)
        nn.init.constant_(self.finalip.bias, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of a batch of images."""
        # slot 1: Convolution, leaves 4 x 1 x 1
        x = self.conv1_0(x)
        x = self.relu1_0(x)
        # slot 2: InnerProduct, leaves 8
        x = self.ip2_0(torch.flatten(x, 1))
        # the head
        x = self.finalip(x)
        return x

    @staticmethod
    def multipliers() -> dict[str, tuple[float, float]]:
        """Multiples of learning rate and weight decay, where they are not both 1."""
        return {
            "conv1_0.bias": (2.0, 0.0),
            "ip2_0.bias": (2.0, 0.0),
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
    network(torch.rand(2, 1, 1, 1))


if __name__ == "__main__":
    main()
