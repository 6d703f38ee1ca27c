"""A network for nova: 2 x 100 x 80 images in 8 classes.

Written by Ribosome 0.1.0.

genome: menndl-1-0000ng5b0w9v0m5br3h81p9xxda1ekc7fd52zb7w3dx03w9k3bxa4zdcbyp5yyd93cerajdfmvskphw348ek5nqypwjx02gbkp26d80-nt98
space:  menndl 1

solver: Nesterov, base_lr 0.02, momentum 0.95, weight_decay 0, batch_size 8
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
    """Takes (batch, 2, 100, 80) images, gives (batch, 8) logits."""

    def __init__(self) -> None:
        super().__init__()
        # slot 1: Convolution, leaves 7 x 100 x 80
        self.conv1_0 = nn.Conv2d(2, 7, kernel_size=(1, 9), padding=(0, 4))
        # slot 2: Pooling, leaves 7 x 14 x 27
        self.pool2_0 = nn.MaxPool2d((37, 3), stride=(5, 3), ceil_mode=True)
        # slot 3: Convolution, leaves 96 x 1 x 14
        self.conv3_0 = nn.Conv2d(7, 96, kernel_size=14)
        # the head
        self.finalip = nn.Linear(1344, 8)
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
        # slot 1: Convolution, leaves 7 x 100 x 80
        x = self.conv1_0(x)
        # slot 2: Pooling, leaves 7 x 14 x 27
        x = self.pool2_0(x)
        # slot 3: Convolution, leaves 96 x 1 x 14
        x = self.conv3_0(x)
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
    network(torch.rand(2, 2, 100, 80))


if __name__ == "__main__":
    main()
