"""A network for colour: 3 x 32 x 32 images in 10 classes.

Written by Ribosome 0.1.0.

genome: menndl-1-000wn010px211cevvkfzr4gnyry523e2smsayhte8cwnmdm60rf4448n0cz792scdbmej5rq9wnesb0m0gp9ng38cy95a08j7yfp380-bz8h
space:  menndl 1

solver: Adam, base_lr 0.001, momentum 0.9, momentum2 0.999, weight_decay 0, batch_size 8
        learning rate poly power 2
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
        # slot 1, tower 0: Inception, leaves 256 x 32 x 32
        self.inception_1_0_1x1 = nn.Conv2d(1, 64, kernel_size=1)
        self.inception_1_0_relu_1x1 = nn.ReLU()
        self.inception_1_0_3x3_reduce = nn.Conv2d(1, 96, kernel_size=1)
        self.inception_1_0_relu_3x3_reduce = nn.ReLU()
        self.inception_1_0_3x3 = nn.Conv2d(96, 128, kernel_size=3, padding=1)
        self.inception_1_0_relu_3x3 = nn.ReLU()
        self.inception_1_0_5x5_reduce = nn.Conv2d(1, 16, kernel_size=1)
        self.inception_1_0_relu_5x5_reduce = nn.ReLU()
        self.inception_1_0_5x5 = nn.Conv2d(16, 32, kernel_size=5, padding=2)
        self.inception_1_0_relu_5x5 = nn.ReLU()
        self.inception_1_0_pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.inception_1_0_pool_proj = nn.Conv2d(1, 32, kernel_size=1)
        self.inception_1_0_relu_pool_proj = nn.ReLU()
        # slot 1, tower 1: Inception, leaves 256 x 32 x 32
        self.inception_1_1_1x1 = nn.Conv2d(2, 64, kernel_size=1)
        self.inception_1_1_relu_1x1 = nn.ReLU()
        self.inception_1_1_3x3_reduce = nn.Conv2d(2, 96, kernel_size=1)
        self.inception_1_1_relu_3x3_reduce = nn.ReLU()
        self.inception_1_1_3x3 = nn.Conv2d(96, 128, kernel_size=3, padding=1)
        self.inception_1_1_relu_3x3 = nn.ReLU()
        self.inception_1_1_5x5_reduce = nn.Conv2d(2, 16, kernel_size=1)
        self.inception_1_1_relu_5x5_reduce = nn.ReLU()
        self.inception_1_1_5x5 = nn.Conv2d(16, 32, kernel_size=5, padding=2)
        self.inception_1_1_relu_5x5 = nn.ReLU()
        self.inception_1_1_pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.inception_1_1_pool_proj = nn.Conv2d(2, 32, kernel_size=1)
        self.inception_1_1_relu_pool_proj = nn.ReLU()
        # slot 2, tower 0: GlobalPooling, leaves 512 x 1 x 1
        self.pool2_0 = nn.AdaptiveAvgPool2d(1)
        # slot 3, tower 0: Convolution, leaves 24 x 1 x 1
        self.conv3_0 = nn.Conv2d(512, 24, kernel_size=1)
        self.relu3_0 = nn.ReLU()
        # the head
        self.finalip = nn.Linear(24, 10)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fill the parameters as Caffe's fillers do."""
        xavier_(self.inception_1_0_1x1.weight)
        nn.init.constant_(self.inception_1_0_1x1.bias, 0.2)
        xavier_(self.inception_1_0_3x3_reduce.weight)
        nn.init.constant_(self.inception_1_0_3x3_reduce.bias, 0.2)
        xavier_(self.inception_1_0_3x3.weight)
        nn.init.constant_(self.inception_1_0_3x3.bias, 0.2)
        xavier_(self.inception_1_0_5x5_reduce.weight)
        nn.init.constant_(self.inception_1_0_5x5_reduce.bias, 0.2)
        xavier_(self.inception_1_0_5x5.weight)
        nn.init.constant_(self.inception_1_0_5x5.bias, 0.2)
        xavier_(self.inception_1_0_pool_proj.weight)
        nn.init.constant_(self.inception_1_0_pool_proj.bias, 0.2)
        xavier_(self.inception_1_1_1x1.weight)
        nn.init.constant_(self.inception_1_1_1x1.bias, 0.2)
        xavier_(self.inception_1_1_3x3_reduce.weight)
        nn.init.constant_(self.inception_1_1_3x3_reduce.bias, 0.2)
        xavier_(self.inception_1_1_3x3.weight)
        nn.init.constant_(self.inception_1_1_3x3.bias, 0.2)
        xavier_(self.inception_1_1_5x5_reduce.weight)
        nn.init.constant_(self.inception_1_1_5x5_reduce.bias, 0.2)
        xavier_(self.inception_1_1_5x5.weight)
        nn.init.constant_(self.inception_1_1_5x5.bias, 0.2)
        xavier_(self.inception_1_1_pool_proj.weight)
        nn.init.constant_(self.inception_1_1_pool_proj.bias, 0.2)
        xavier_(self.conv3_0.weight)
        nn.init.constant_(self.conv3_0.bias, 0.0)
        xavier_(self.finalip.weight)
        nn.init.constant_(self.finalip.bias, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of a batch of images."""
        x_1 = x[:, 0:1]
        x_2 = x[:, 1:3]
        # slot 1, tower 0: Inception, leaves 256 x 32 x 32
        x_1_1 = self.inception_1_0_1x1(x_1)
        x_1_1 = self.inception_1_0_relu_1x1(x_1_1)
        x_1_2 = self.inception_1_0_3x3_reduce(x_1)
        x_1_2 = self.inception_1_0_relu_3x3_reduce(x_1_2)
        x_1_2 = self.inception_1_0_3x3(x_1_2)
        x_1_2 = self.inception_1_0_relu_3x3(x_1_2)
        x_1_3 = self.inception_1_0_5x5_reduce(x_1)
        x_1_3 = self.inception_1_0_relu_5x5_reduce(x_1_3)
        x_1_3 = self.inception_1_0_5x5(x_1_3)
        x_1_3 = self.inception_1_0_relu_5x5(x_1_3)
        x_1_4 = self.inception_1_0_pool(x_1)
        x_1_4 = self.inception_1_0_pool_proj(x_1_4)
        x_1_4 = self.inception_1_0_relu_pool_proj(x_1_4)
        x_1 = torch.cat((x_1_1, x_1_2, x_1_3, x_1_4), dim=1)
        # slot 1, tower 1: Inception, leaves 256 x 32 x 32
        x_2_1 = self.inception_1_1_1x1(x_2)
        x_2_1 = self.inception_1_1_relu_1x1(x_2_1)
        x_2_2 = self.inception_1_1_3x3_reduce(x_2)
        x_2_2 = self.inception_1_1_relu_3x3_reduce(x_2_2)
        x_2_2 = self.inception_1_1_3x3(x_2_2)
        x_2_2 = self.inception_1_1_relu_3x3(x_2_2)
        x_2_3 = self.inception_1_1_5x5_reduce(x_2)
        x_2_3 = self.inception_1_1_relu_5x5_reduce(x_2_3)
        x_2_3 = self.inception_1_1_5x5(x_2_3)
        x_2_3 = self.inception_1_1_relu_5x5(x_2_3)
        x_2_4 = self.inception_1_1_pool(x_2)
        x_2_4 = self.inception_1_1_pool_proj(x_2_4)
        x_2_4 = self.inception_1_1_relu_pool_proj(x_2_4)
        x_2 = torch.cat((x_2_1, x_2_2, x_2_3, x_2_4), dim=1)
        x = torch.cat((x_1, x_2), dim=1)
        # slot 2, tower 0: GlobalPooling, leaves 512 x 1 x 1
        x = self.pool2_0(x)
        # slot 3, tower 0: Convolution, leaves 24 x 1 x 1
        x = self.conv3_0(x)
        x = self.relu3_0(x)
        # the head
        x = self.finalip(torch.flatten(x, 1))
        return x

    @staticmethod
    def multipliers() -> dict[str, tuple[float, float]]:
        """Multiples of learning rate and weight decay, where they are not both 1."""
        return {
            "inception_1_0_1x1.bias": (2.0, 0.0),
            "inception_1_0_3x3_reduce.bias": (2.0, 0.0),
            "inception_1_0_3x3.bias": (2.0, 0.0),
            "inception_1_0_5x5_reduce.bias": (2.0, 0.0),
            "inception_1_0_5x5.bias": (2.0, 0.0),
            "inception_1_0_pool_proj.bias": (2.0, 0.0),
            "inception_1_1_1x1.bias": (2.0, 0.0),
            "inception_1_1_3x3_reduce.bias": (2.0, 0.0),
            "inception_1_1_3x3.bias": (2.0, 0.0),
            "inception_1_1_5x5_reduce.bias": (2.0, 0.0),
            "inception_1_1_5x5.bias": (2.0, 0.0),
            "inception_1_1_pool_proj.bias": (2.0, 0.0),
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
    network(torch.rand(2, 3, 32, 32))


if __name__ == "__main__":
    main()
