"""A network for digits: 1 x 8 x 8 images in 10 classes.

Written by Ribosome 0.1.0.

genome: menndl-1-0001nw333rhff8s3b6y2bvnzp6hyetw9t4w36vsy6mjn052ztzbvkcf1fyej2jwcs7gzrw4k0sd04z6z77k8dyas031gbm66726nmr0-6h71
space:  menndl 1

solver: RMSProp, base_lr 0.0005, rms_decay 0.98, weight_decay 0, batch_size 8
        learning rate step gamma 0.3 fraction 0.25
"""

import math

import torch
from torch import Tensor, nn


def xavier_(weight: Tensor) -> None:
    """Caffe's xavier filler: uniform, variance 1 / fan-in."""
    bound = math.sqrt(3.0 / weight[0].numel())
    nn.init.uniform_(weight, -bound, bound)


class BatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation with Caffe's bias-corrected running statistics."""

    def __init__(self, channels: int, eps: float, fraction: float) -> None:
        super().__init__(channels, eps=eps)
        self.fraction, self.batches = fraction, 0

    def forward(self, x: Tensor) -> Tensor:
        """The normalised batch."""
        if self.training:
            self.batches += 1
            self.momentum = (1.0 - self.fraction) / (1.0 - self.fraction**self.batches)
        return super().forward(x)


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with Caffe's bias-corrected running statistics."""

    def __init__(self, channels: int, eps: float, fraction: float) -> None:
        super().__init__(channels, eps=eps)
        self.fraction, self.batches = fraction, 0

    def forward(self, x: Tensor) -> Tensor:
        """The normalised batch."""
        if self.training:
            self.batches += 1
            self.momentum = (1.0 - self.fraction) / (1.0 - self.fraction**self.batches)
        return super().forward(x)


class Network(nn.Module):
    """Takes (batch, 1, 8, 8) images, gives (batch, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        # slot 1: Convolution, leaves 16 x 8 x 8
        self.conv1_0 = nn.Conv2d(1, 16, kernel_size=3, padding=1)
        # slot 2: BatchNorm, leaves 16 x 8 x 8
        self.bn2_0 = BatchNorm2d(16, eps=1e-05, fraction=0.9)
        self.relu2_0 = nn.ReLU()
        # slot 3: InnerProduct, leaves 64
        self.ip3_0 = nn.Linear(1024, 64)
        # slot 4: BatchNorm, leaves 64
        self.bn4_0 = BatchNorm1d(64, eps=1e-05, fraction=0.9)
        self.relu4_0 = nn.LeakyReLU(0.1)
        # the head
        self.finalip = nn.Linear(64, 10)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fill the parameters as Caffe's fillers do."""
        xavier_(self.conv1_0.weight)
        nn.init.constant_(self.conv1_0.bias, 0.0)
        nn.init.constant_(self.bn2_0.weight, 1.0)
        nn.init.constant_(self.bn2_0.bias, 0.0)
        xavier_(self.ip3_0.weight)
        nn.init.constant_(self.ip3_0.bias, 0.0)
        nn.init.constant_(self.bn4_0.weight, 1.0)
        nn.init.constant_(self.bn4_0.bias, 0.0)
        xavier_(self.finalip.weight)
        nn.init.constant_(self.finalip.bias, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of a batch of images."""
        # slot 1: Convolution, leaves 16 x 8 x 8
        x = self.conv1_0(x)
        # slot 2: BatchNorm, leaves 16 x 8 x 8
        x = self.bn2_0(x)
        x = self.relu2_0(x)
        # slot 3: InnerProduct, leaves 64
        x = self.ip3_0(torch.flatten(x, 1))
        # slot 4: BatchNorm, leaves 64
        x = self.bn4_0(x)
        x = self.relu4_0(x)
        # the head
        x = self.finalip(x)
        return x

    @staticmethod
    def multipliers() -> dict[str, tuple[float, float]]:
        """Multiples of learning rate and weight decay, where they are not both 1."""
        return {
            "conv1_0.bias": (2.0, 0.0),
            "bn2_0.weight": (1.0, 0.0),
            "bn2_0.bias": (1.0, 0.0),
            "ip3_0.bias": (2.0, 0.0),
            "bn4_0.weight": (1.0, 0.0),
            "bn4_0.bias": (1.0, 0.0),
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
