"""A network for digits: 1 x 8 x 8 images in 10 classes.

Written by Ribosome 0.1.0.

genome: menndl-1-0000s740pt29fkpa7vctdxa8fajckw5phj68pc1pnbaqbtq1wpq775t86xj1c8eb8h7r030c0an0s3m0ehkyj2fzsgy1nm8ww2dc800-y8xa
space:  menndl 1

solver: SGD, base_lr 0.0001, momentum 0, weight_decay 0, batch_size 8
        learning rate sigmoid gamma -20 fraction 0.75
"""

import math

import torch
from torch import Tensor, nn


def xavier_(weight: Tensor) -> None:
    """Caffe's xavier filler: uniform, variance 1 / fan-in."""
    bound = math.sqrt(3.0 / weight[0].numel())
    nn.init.uniform_(weight, -bound, bound)


def msra_(weight: Tensor) -> None:
    """Caffe's msra filler: normal, variance 2 / fan-in."""
    nn.init.normal_(weight, 0.0, math.sqrt(2.0 / weight[0].numel()))


def positive_unitball_(weight: Tensor) -> None:
    """Caffe's positive_unitball filler: uniform, each output's weights sum to 1."""
    nn.init.uniform_(weight, 0.0, 1.0)
    with torch.no_grad():
        rows = weight.view(len(weight), -1)
        rows /= rows.sum(dim=1, keepdim=True)


class Network(nn.Module):
    """Takes (batch, 1, 8, 8) images, gives (batch, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        # slot 1: Convolution, leaves 8 x 8 x 8
        self.conv1_0 = nn.Conv2d(1, 8, kernel_size=3, padding=1)
        self.drop1_0 = nn.Dropout(0.1)
        self.relu1_0 = nn.ReLU()
        # slot 2: Convolution, leaves 8 x 8 x 8
        self.conv2_0 = nn.Conv2d(8, 8, kernel_size=3, padding=1)
        self.drop2_0 = nn.Dropout(0.2)
        self.relu2_0 = nn.LeakyReLU(0.1)
        # slot 3: Convolution, leaves 8 x 8 x 8
        self.conv3_0 = nn.Conv2d(8, 8, kernel_size=3, padding=1)
        self.drop3_0 = nn.Dropout(0.3)
        self.elu3_0 = nn.ELU()
        # slot 4: Convolution, leaves 8 x 8 x 8
        self.conv4_0 = nn.Conv2d(8, 8, kernel_size=3, padding=1)
        self.drop4_0 = nn.Dropout(0.4)
        self.tanh4_0 = nn.Tanh()
        # slot 5: Convolution, leaves 8 x 8 x 8
        self.conv5_0 = nn.Conv2d(8, 8, kernel_size=3, padding=1)
        self.drop5_0 = nn.Dropout(0.5)
        self.sigmoid5_0 = nn.Sigmoid()
        # slot 6: Convolution, leaves 8 x 8 x 8
        self.conv6_0 = nn.Conv2d(8, 8, kernel_size=3, padding=1)
        self.drop6_0 = nn.Dropout(0.9)
        # the head
        self.finalip = nn.Linear(512, 10)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fill the parameters as Caffe's fillers do."""
        xavier_(self.conv1_0.weight)
        nn.init.constant_(self.conv1_0.bias, 0.0)
        msra_(self.conv2_0.weight)
        nn.init.constant_(self.conv2_0.bias, 0.2)
        positive_unitball_(self.conv3_0.weight)
        nn.init.constant_(self.conv3_0.bias, 0.0)
        nn.init.normal_(self.conv4_0.weight, 0.0, 0.01)
        nn.init.constant_(self.conv4_0.bias, 0.0)
        nn.init.normal_(self.conv5_0.weight, 0.0, 0.1)
        nn.init.constant_(self.conv5_0.bias, 0.0)
        nn.init.normal_(self.conv6_0.weight, 0.0, 1.0)
        nn.init.constant_(self.conv6_0.bias, 0.0)
        xavier_(self.finalip.weight)
        nn.init.constant_(self.finalip.bias, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of a batch of images."""
        # slot 1: Convolution, leaves 8 x 8 x 8
        x = self.conv1_0(x)
        x = self.drop1_0(x)
        x = self.relu1_0(x)
        # slot 2: Convolution, leaves 8 x 8 x 8
        x = self.conv2_0(x)
        x = self.drop2_0(x)
        x = self.relu2_0(x)
        # slot 3: Convolution, leaves 8 x 8 x 8
        x = self.conv3_0(x)
        x = self.drop3_0(x)
        x = self.elu3_0(x)
        # slot 4: Convolution, leaves 8 x 8 x 8
        x = self.conv4_0(x)
        x = self.drop4_0(x)
        x = self.tanh4_0(x)
        # slot 5: Convolution, leaves 8 x 8 x 8
        x = self.conv5_0(x)
        x = self.drop5_0(x)
        x = self.sigmoid5_0(x)
        # slot 6: Convolution, leaves 8 x 8 x 8
        x = self.conv6_0(x)
        x = self.drop6_0(x)
        # the head
        x = self.finalip(torch.flatten(x, 1))
        return x

    @staticmethod
    def multipliers() -> dict[str, tuple[float, float]]:
        """Multiples of learning rate and weight decay, where they are not both 1."""
        return {
            "conv1_0.bias": (2.0, 0.0),
            "conv2_0.bias": (2.0, 0.0),
            "conv3_0.bias": (2.0, 0.0),
            "conv4_0.bias": (2.0, 0.0),
            "conv5_0.bias": (2.0, 0.0),
            "conv6_0.bias": (2.0, 0.0),
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
