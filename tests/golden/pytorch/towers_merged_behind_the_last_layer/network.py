"""A network for colour: 3 x 32 x 32 images in 10 classes.

Written by Ribosome 0.1.0.

genome: menndl-1-006rkh3yaxa7jc34hz348kmnwrxr4mh7s60eh4qzys558qyr87h2tezmtq3pckpg46eam824c30gpcxa2t0ehda2t1mb9039rq40000-r6rd
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
    """Takes (batch, 3, 32, 32) images, gives (batch, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        # slot 1, tower 0: Convolution, leaves 16 x 32 x 32
        self.conv1_0 = nn.Conv2d(1, 16, kernel_size=5, padding=2)
        self.relu1_0 = nn.ReLU()
        # slot 2, tower 0: InnerProduct, leaves 64
        self.ip2_0 = nn.Linear(16384, 64)
        self.tanh2_0 = nn.Tanh()
        # slot 1, tower 1: Convolution, leaves 16 x 32 x 32
        self.conv1_1 = nn.Conv2d(1, 16, kernel_size=5, padding=2)
        self.relu1_1 = nn.ReLU()
        # slot 2, tower 1: InnerProduct, leaves 64
        self.ip2_1 = nn.Linear(16384, 64)
        self.tanh2_1 = nn.Tanh()
        # slot 1, tower 2: Convolution, leaves 16 x 32 x 32
        self.conv1_2 = nn.Conv2d(1, 16, kernel_size=5, padding=2)
        self.relu1_2 = nn.ReLU()
        # slot 2, tower 2: InnerProduct, leaves 64
        self.ip2_2 = nn.Linear(16384, 64)
        self.tanh2_2 = nn.Tanh()
        # the head
        self.finalip = nn.Linear(192, 10)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fill the parameters as Caffe's fillers do."""
        xavier_(self.conv1_0.weight)
        nn.init.constant_(self.conv1_0.bias, 0.0)
        xavier_(self.ip2_0.weight)
        nn.init.constant_(self.ip2_0.bias, 0.0)
        xavier_(self.conv1_1.weight)
        nn.init.constant_(self.conv1_1.bias, 0.0)
        xavier_(self.ip2_1.weight)
        nn.init.constant_(self.ip2_1.bias, 0.0)
        xavier_(self.conv1_2.weight)
        nn.init.constant_(self.conv1_2.bias, 0.0)
        xavier_(self.ip2_2.weight)
        nn.init.constant_(self.ip2_2.bias, 0.0)
        xavier_(self.finalip.weight)
        nn.init.constant_(self.finalip.bias, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of a batch of images."""
        x_1 = x[:, 0:1]
        x_2 = x[:, 1:2]
        x_3 = x[:, 2:3]
        # slot 1, tower 0: Convolution, leaves 16 x 32 x 32
        x_1 = self.conv1_0(x_1)
        x_1 = self.relu1_0(x_1)
        # slot 2, tower 0: InnerProduct, leaves 64
        x_1 = self.ip2_0(torch.flatten(x_1, 1))
        x_1 = self.tanh2_0(x_1)
        # slot 1, tower 1: Convolution, leaves 16 x 32 x 32
        x_2 = self.conv1_1(x_2)
        x_2 = self.relu1_1(x_2)
        # slot 2, tower 1: InnerProduct, leaves 64
        x_2 = self.ip2_1(torch.flatten(x_2, 1))
        x_2 = self.tanh2_1(x_2)
        # slot 1, tower 2: Convolution, leaves 16 x 32 x 32
        x_3 = self.conv1_2(x_3)
        x_3 = self.relu1_2(x_3)
        # slot 2, tower 2: InnerProduct, leaves 64
        x_3 = self.ip2_2(torch.flatten(x_3, 1))
        x_3 = self.tanh2_2(x_3)
        x = torch.cat((x_1, x_2, x_3), dim=1)
        # the head
        x = self.finalip(x)
        return x

    @staticmethod
    def multipliers() -> dict[str, tuple[float, float]]:
        """Multiples of learning rate and weight decay, where they are not both 1."""
        return {
            "conv1_0.bias": (2.0, 0.0),
            "ip2_0.bias": (2.0, 0.0),
            "conv1_1.bias": (2.0, 0.0),
            "ip2_1.bias": (2.0, 0.0),
            "conv1_2.bias": (2.0, 0.0),
            "ip2_2.bias": (2.0, 0.0),
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
    network(torch.rand(2, 3, 32, 32))


if __name__ == "__main__":
    main()
