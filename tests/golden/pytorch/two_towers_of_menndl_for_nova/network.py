"""A network for nova: 2 x 100 x 80 images in 8 classes.

Written by Ribosome 0.1.0.

genome: menndl-1-00p1j0d857aczc6z2v4szsvk4xd36yzdb0v9db6s3kh38x5tamf07nccp6kf3nyrcxmjdbqb7pa1bkbkc3e5zmyt4haacbay2t2fc00-tg1q
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


def positive_unitball_(weight: Tensor) -> None:
    """Caffe's positive_unitball filler: uniform, each output's weights sum to 1."""
    nn.init.uniform_(weight, 0.0, 1.0)
    with torch.no_grad():
        rows = weight.view(len(weight), -1)
        rows /= rows.sum(dim=1, keepdim=True)


class Jitter(nn.Module):
    """In training, every value times its own draw of N(1, std)."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """The jittered images."""
        return x * (1.0 + self.std * torch.randn_like(x)) if self.training else x


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
    """Takes (batch, 2, 100, 80) images, gives (batch, 8) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.jitteredData = Jitter(0.01)
        # slot 1, tower 0: Convolution, leaves 32 x 50 x 40
        self.conv1_0 = nn.Conv2d(1, 32, kernel_size=7, stride=2, padding=3)
        self.drop1_0 = nn.Dropout(0.7)
        self.relu1_0 = nn.ReLU()
        # slot 2, tower 0: Pooling, leaves 32 x 4 x 14
        self.pool2_0 = nn.MaxPool2d((37, 3), stride=(5, 3), ceil_mode=True)
        self.sigmoid2_0 = nn.Sigmoid()
        # slot 3, tower 0: Convolution, leaves 7 x 4 x 13
        self.conv3_0 = nn.Conv2d(32, 7, kernel_size=(1, 4), padding=(0, 1))
        # slot 4, tower 0: Convolution, leaves 46 x 4 x 13
        self.conv4_0 = nn.Conv2d(7, 46, kernel_size=1)
        self.drop4_0 = nn.Dropout(0.1)
        # slot 5, tower 0: Convolution, leaves 96 x 4 x 13
        self.conv5_0 = nn.Conv2d(46, 96, kernel_size=(1, 9), padding=(0, 4))
        self.relu5_0 = nn.ReLU()
        # slot 6, tower 0: Convolution, leaves 58 x 4 x 13
        self.conv6_0 = nn.Conv2d(96, 58, kernel_size=1)
        self.relu6_0 = nn.ReLU()
        # slot 7, tower 0: LRN, leaves 58 x 4 x 13
        self.norm7_0 = nn.LocalResponseNorm(1, alpha=0.0001, beta=0.75, k=1.0)
        # slot 8, tower 0: Inception, leaves 256 x 4 x 13
        self.inception_8_0_1x1 = nn.Conv2d(58, 64, kernel_size=1)
        self.inception_8_0_relu_1x1 = nn.ReLU()
        self.inception_8_0_3x3_reduce = nn.Conv2d(58, 96, kernel_size=1)
        self.inception_8_0_relu_3x3_reduce = nn.ReLU()
        self.inception_8_0_3x3 = nn.Conv2d(96, 128, kernel_size=3, padding=1)
        self.inception_8_0_relu_3x3 = nn.ReLU()
        self.inception_8_0_5x5_reduce = nn.Conv2d(58, 16, kernel_size=1)
        self.inception_8_0_relu_5x5_reduce = nn.ReLU()
        self.inception_8_0_5x5 = nn.Conv2d(16, 32, kernel_size=5, padding=2)
        self.inception_8_0_relu_5x5 = nn.ReLU()
        self.inception_8_0_pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.inception_8_0_pool_proj = nn.Conv2d(58, 32, kernel_size=1)
        self.inception_8_0_relu_pool_proj = nn.ReLU()
        # slot 9, tower 0: Pooling, leaves 256 x 4 x 13
        self.pool9_0 = nn.MaxPool2d(1, stride=1)
        # slot 1, tower 1: Convolution, leaves 32 x 50 x 40
        self.conv1_1 = nn.Conv2d(1, 32, kernel_size=7, stride=2, padding=3)
        self.drop1_1 = nn.Dropout(0.7)
        self.relu1_1 = nn.ReLU()
        # slot 2, tower 1: Pooling, leaves 32 x 4 x 14
        self.pool2_1 = nn.MaxPool2d((37, 3), stride=(5, 3), ceil_mode=True)
        self.sigmoid2_1 = nn.Sigmoid()
        # slot 3, tower 1: Convolution, leaves 7 x 4 x 13
        self.conv3_1 = nn.Conv2d(32, 7, kernel_size=(1, 4), padding=(0, 1))
        # slot 4, tower 1: Convolution, leaves 46 x 4 x 13
        self.conv4_1 = nn.Conv2d(7, 46, kernel_size=1)
        self.drop4_1 = nn.Dropout(0.1)
        # slot 5, tower 1: Convolution, leaves 96 x 4 x 13
        self.conv5_1 = nn.Conv2d(46, 96, kernel_size=(1, 9), padding=(0, 4))
        self.relu5_1 = nn.ReLU()
        # slot 6, tower 1: Convolution, leaves 58 x 4 x 13
        self.conv6_1 = nn.Conv2d(96, 58, kernel_size=1)
        self.relu6_1 = nn.ReLU()
        # slot 7, tower 1: LRN, leaves 58 x 4 x 13
        self.norm7_1 = nn.LocalResponseNorm(1, alpha=0.0001, beta=0.75, k=1.0)
        # slot 8, tower 1: Inception, leaves 256 x 4 x 13
        self.inception_8_1_1x1 = nn.Conv2d(58, 64, kernel_size=1)
        self.inception_8_1_relu_1x1 = nn.ReLU()
        self.inception_8_1_3x3_reduce = nn.Conv2d(58, 96, kernel_size=1)
        self.inception_8_1_relu_3x3_reduce = nn.ReLU()
        self.inception_8_1_3x3 = nn.Conv2d(96, 128, kernel_size=3, padding=1)
        self.inception_8_1_relu_3x3 = nn.ReLU()
        self.inception_8_1_5x5_reduce = nn.Conv2d(58, 16, kernel_size=1)
        self.inception_8_1_relu_5x5_reduce = nn.ReLU()
        self.inception_8_1_5x5 = nn.Conv2d(16, 32, kernel_size=5, padding=2)
        self.inception_8_1_relu_5x5 = nn.ReLU()
        self.inception_8_1_pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.inception_8_1_pool_proj = nn.Conv2d(58, 32, kernel_size=1)
        self.inception_8_1_relu_pool_proj = nn.ReLU()
        # slot 9, tower 1: Pooling, leaves 256 x 4 x 13
        self.pool9_1 = nn.MaxPool2d(1, stride=1)
        # slot 10, tower 0: Inception, leaves 256 x 4 x 13
        self.inception_10_0_1x1 = nn.Conv2d(512, 64, kernel_size=1)
        self.inception_10_0_relu_1x1 = nn.ReLU()
        self.inception_10_0_3x3_reduce = nn.Conv2d(512, 96, kernel_size=1)
        self.inception_10_0_relu_3x3_reduce = nn.ReLU()
        self.inception_10_0_3x3 = nn.Conv2d(96, 128, kernel_size=3, padding=1)
        self.inception_10_0_relu_3x3 = nn.ReLU()
        self.inception_10_0_5x5_reduce = nn.Conv2d(512, 16, kernel_size=1)
        self.inception_10_0_relu_5x5_reduce = nn.ReLU()
        self.inception_10_0_5x5 = nn.Conv2d(16, 32, kernel_size=5, padding=2)
        self.inception_10_0_relu_5x5 = nn.ReLU()
        self.inception_10_0_pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.inception_10_0_pool_proj = nn.Conv2d(512, 32, kernel_size=1)
        self.inception_10_0_relu_pool_proj = nn.ReLU()
        # slot 11, tower 0: LRN, leaves 256 x 4 x 13
        self.norm11_0 = WithinChannelLRN(1, 0.9, 0.25)
        # the head
        self.finalip = nn.Linear(13312, 8)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fill the parameters as Caffe's fillers do."""
        nn.init.normal_(self.conv1_0.weight, 0.0, 1.0)
        nn.init.constant_(self.conv1_0.bias, 0.0)
        xavier_(self.conv3_0.weight)
        nn.init.constant_(self.conv3_0.bias, 0.0)
        xavier_(self.conv4_0.weight)
        nn.init.constant_(self.conv4_0.bias, 0.0)
        positive_unitball_(self.conv5_0.weight)
        nn.init.constant_(self.conv5_0.bias, 0.0)
        positive_unitball_(self.conv6_0.weight)
        nn.init.constant_(self.conv6_0.bias, 0.0)
        xavier_(self.inception_8_0_1x1.weight)
        nn.init.constant_(self.inception_8_0_1x1.bias, 0.2)
        xavier_(self.inception_8_0_3x3_reduce.weight)
        nn.init.constant_(self.inception_8_0_3x3_reduce.bias, 0.2)
        xavier_(self.inception_8_0_3x3.weight)
        nn.init.constant_(self.inception_8_0_3x3.bias, 0.2)
        xavier_(self.inception_8_0_5x5_reduce.weight)
        nn.init.constant_(self.inception_8_0_5x5_reduce.bias, 0.2)
        xavier_(self.inception_8_0_5x5.weight)
        nn.init.constant_(self.inception_8_0_5x5.bias, 0.2)
        xavier_(self.inception_8_0_pool_proj.weight)
        nn.init.constant_(self.inception_8_0_pool_proj.bias, 0.2)
        nn.init.normal_(self.conv1_1.weight, 0.0, 1.0)
        nn.init.constant_(self.conv1_1.bias, 0.0)
        xavier_(self.conv3_1.weight)
        nn.init.constant_(self.conv3_1.bias, 0.0)
        xavier_(self.conv4_1.weight)
        nn.init.constant_(self.conv4_1.bias, 0.0)
        positive_unitball_(self.conv5_1.weight)
        nn.init.constant_(self.conv5_1.bias, 0.0)
        positive_unitball_(self.conv6_1.weight)
        nn.init.constant_(self.conv6_1.bias, 0.0)
        xavier_(self.inception_8_1_1x1.weight)
        nn.init.constant_(self.inception_8_1_1x1.bias, 0.2)
        xavier_(self.inception_8_1_3x3_reduce.weight)
        nn.init.constant_(self.inception_8_1_3x3_reduce.bias, 0.2)
        xavier_(self.inception_8_1_3x3.weight)
        nn.init.constant_(self.inception_8_1_3x3.bias, 0.2)
        xavier_(self.inception_8_1_5x5_reduce.weight)
        nn.init.constant_(self.inception_8_1_5x5_reduce.bias, 0.2)
        xavier_(self.inception_8_1_5x5.weight)
        nn.init.constant_(self.inception_8_1_5x5.bias, 0.2)
        xavier_(self.inception_8_1_pool_proj.weight)
        nn.init.constant_(self.inception_8_1_pool_proj.bias, 0.2)
        xavier_(self.inception_10_0_1x1.weight)
        nn.init.constant_(self.inception_10_0_1x1.bias, 0.2)
        xavier_(self.inception_10_0_3x3_reduce.weight)
        nn.init.constant_(self.inception_10_0_3x3_reduce.bias, 0.2)
        xavier_(self.inception_10_0_3x3.weight)
        nn.init.constant_(self.inception_10_0_3x3.bias, 0.2)
        xavier_(self.inception_10_0_5x5_reduce.weight)
        nn.init.constant_(self.inception_10_0_5x5_reduce.bias, 0.2)
        xavier_(self.inception_10_0_5x5.weight)
        nn.init.constant_(self.inception_10_0_5x5.bias, 0.2)
        xavier_(self.inception_10_0_pool_proj.weight)
        nn.init.constant_(self.inception_10_0_pool_proj.bias, 0.2)
        xavier_(self.finalip.weight)
        nn.init.constant_(self.finalip.bias, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of a batch of images."""
        x = self.jitteredData(x)
        x_1 = x[:, 0:1]
        x_2 = x[:, 1:2]
        # slot 1, tower 0: Convolution, leaves 32 x 50 x 40
        x_1 = self.conv1_0(x_1)
        x_1 = self.drop1_0(x_1)
        x_1 = self.relu1_0(x_1)
        # slot 2, tower 0: Pooling, leaves 32 x 4 x 14
        x_1 = self.pool2_0(x_1)
        x_1 = self.sigmoid2_0(x_1)
        # slot 3, tower 0: Convolution, leaves 7 x 4 x 13
        x_1 = self.conv3_0(x_1)
        # slot 4, tower 0: Convolution, leaves 46 x 4 x 13
        x_1 = self.conv4_0(x_1)
        x_1 = self.drop4_0(x_1)
        # slot 5, tower 0: Convolution, leaves 96 x 4 x 13
        x_1 = self.conv5_0(x_1)
        x_1 = self.relu5_0(x_1)
        # slot 6, tower 0: Convolution, leaves 58 x 4 x 13
        x_1 = self.conv6_0(x_1)
        x_1 = self.relu6_0(x_1)
        # slot 7, tower 0: LRN, leaves 58 x 4 x 13
        x_1 = self.norm7_0(x_1)
        # slot 8, tower 0: Inception, leaves 256 x 4 x 13
        x_1_1 = self.inception_8_0_1x1(x_1)
        x_1_1 = self.inception_8_0_relu_1x1(x_1_1)
        x_1_2 = self.inception_8_0_3x3_reduce(x_1)
        x_1_2 = self.inception_8_0_relu_3x3_reduce(x_1_2)
        x_1_2 = self.inception_8_0_3x3(x_1_2)
        x_1_2 = self.inception_8_0_relu_3x3(x_1_2)
        x_1_3 = self.inception_8_0_5x5_reduce(x_1)
        x_1_3 = self.inception_8_0_relu_5x5_reduce(x_1_3)
        x_1_3 = self.inception_8_0_5x5(x_1_3)
        x_1_3 = self.inception_8_0_relu_5x5(x_1_3)
        x_1_4 = self.inception_8_0_pool(x_1)
        x_1_4 = self.inception_8_0_pool_proj(x_1_4)
        x_1_4 = self.inception_8_0_relu_pool_proj(x_1_4)
        x_1 = torch.cat((x_1_1, x_1_2, x_1_3, x_1_4), dim=1)
        # slot 9, tower 0: Pooling, leaves 256 x 4 x 13
        x_1 = self.pool9_0(x_1)
        # slot 1, tower 1: Convolution, leaves 32 x 50 x 40
        x_2 = self.conv1_1(x_2)
        x_2 = self.drop1_1(x_2)
        x_2 = self.relu1_1(x_2)
        # slot 2, tower 1: Pooling, leaves 32 x 4 x 14
        x_2 = self.pool2_1(x_2)
        x_2 = self.sigmoid2_1(x_2)
        # slot 3, tower 1: Convolution, leaves 7 x 4 x 13
        x_2 = self.conv3_1(x_2)
        # slot 4, tower 1: Convolution, leaves 46 x 4 x 13
        x_2 = self.conv4_1(x_2)
        x_2 = self.drop4_1(x_2)
        # slot 5, tower 1: Convolution, leaves 96 x 4 x 13
        x_2 = self.conv5_1(x_2)
        x_2 = self.relu5_1(x_2)
        # slot 6, tower 1: Convolution, leaves 58 x 4 x 13
        x_2 = self.conv6_1(x_2)
        x_2 = self.relu6_1(x_2)
        # slot 7, tower 1: LRN, leaves 58 x 4 x 13
        x_2 = self.norm7_1(x_2)
        # slot 8, tower 1: Inception, leaves 256 x 4 x 13
        x_2_1 = self.inception_8_1_1x1(x_2)
        x_2_1 = self.inception_8_1_relu_1x1(x_2_1)
        x_2_2 = self.inception_8_1_3x3_reduce(x_2)
        x_2_2 = self.inception_8_1_relu_3x3_reduce(x_2_2)
        x_2_2 = self.inception_8_1_3x3(x_2_2)
        x_2_2 = self.inception_8_1_relu_3x3(x_2_2)
        x_2_3 = self.inception_8_1_5x5_reduce(x_2)
        x_2_3 = self.inception_8_1_relu_5x5_reduce(x_2_3)
        x_2_3 = self.inception_8_1_5x5(x_2_3)
        x_2_3 = self.inception_8_1_relu_5x5(x_2_3)
        x_2_4 = self.inception_8_1_pool(x_2)
        x_2_4 = self.inception_8_1_pool_proj(x_2_4)
        x_2_4 = self.inception_8_1_relu_pool_proj(x_2_4)
        x_2 = torch.cat((x_2_1, x_2_2, x_2_3, x_2_4), dim=1)
        # slot 9, tower 1: Pooling, leaves 256 x 4 x 13
        x_2 = self.pool9_1(x_2)
        x = torch.cat((x_1, x_2), dim=1)
        # slot 10, tower 0: Inception, leaves 256 x 4 x 13
        x_1 = self.inception_10_0_1x1(x)
        x_1 = self.inception_10_0_relu_1x1(x_1)
        x_2 = self.inception_10_0_3x3_reduce(x)
        x_2 = self.inception_10_0_relu_3x3_reduce(x_2)
        x_2 = self.inception_10_0_3x3(x_2)
        x_2 = self.inception_10_0_relu_3x3(x_2)
        x_3 = self.inception_10_0_5x5_reduce(x)
        x_3 = self.inception_10_0_relu_5x5_reduce(x_3)
        x_3 = self.inception_10_0_5x5(x_3)
        x_3 = self.inception_10_0_relu_5x5(x_3)
        x_4 = self.inception_10_0_pool(x)
        x_4 = self.inception_10_0_pool_proj(x_4)
        x_4 = self.inception_10_0_relu_pool_proj(x_4)
        x = torch.cat((x_1, x_2, x_3, x_4), dim=1)
        # slot 11, tower 0: LRN, leaves 256 x 4 x 13
        x = self.norm11_0(x)
        # the head
        x = self.finalip(torch.flatten(x, 1))
        return x

    @staticmethod
    def multipliers() -> dict[str, tuple[float, float]]:
        """Multiples of learning rate and weight decay, where they are not both 1."""
        return {
            "conv1_0.bias": (2.0, 0.0),
            "conv3_0.bias": (2.0, 0.0),
            "conv4_0.bias": (2.0, 0.0),
            "conv5_0.bias": (2.0, 0.0),
            "conv6_0.bias": (2.0, 0.0),
            "inception_8_0_1x1.bias": (2.0, 0.0),
            "inception_8_0_3x3_reduce.bias": (2.0, 0.0),
            "inception_8_0_3x3.bias": (2.0, 0.0),
            "inception_8_0_5x5_reduce.bias": (2.0, 0.0),
            "inception_8_0_5x5.bias": (2.0, 0.0),
            "inception_8_0_pool_proj.bias": (2.0, 0.0),
            "conv1_1.bias": (2.0, 0.0),
            "conv3_1.bias": (2.0, 0.0),
            "conv4_1.bias": (2.0, 0.0),
            "conv5_1.bias": (2.0, 0.0),
            "conv6_1.bias": (2.0, 0.0),
            "inception_8_1_1x1.bias": (2.0, 0.0),
            "inception_8_1_3x3_reduce.bias": (2.0, 0.0),
            "inception_8_1_3x3.bias": (2.0, 0.0),
            "inception_8_1_5x5_reduce.bias": (2.0, 0.0),
            "inception_8_1_5x5.bias": (2.0, 0.0),
            "inception_8_1_pool_proj.bias": (2.0, 0.0),
            "inception_10_0_1x1.bias": (2.0, 0.0),
            "inception_10_0_3x3_reduce.bias": (2.0, 0.0),
            "inception_10_0_3x3.bias": (2.0, 0.0),
            "inception_10_0_5x5_reduce.bias": (2.0, 0.0),
            "inception_10_0_5x5.bias": (2.0, 0.0),
            "inception_10_0_pool_proj.bias": (2.0, 0.0),
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
