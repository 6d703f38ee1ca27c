"""Networks with names, orders and fields as files have them, and no slots.

NOvA's is one that MENNDL made; LeNet and CIFAR-10 quick are those of Caffe's examples, by
their papers and their published hyperparameters.
"""

from ribosome.genome.network import Network
from ribosome.genome.ops import (
    LRN,
    Blob,
    Concat,
    Dropout,
    Filler,
    InnerProduct,
    Jitter,
    Op,
    Pooling,
    ReLU,
    Sigmoid,
    Slice,
)
from tests.genome.build import Builder, convolution, inner_product, pooling


def nova() -> Network:
    """The network of `tests.genome.test_encode.NOVA_LAYERS`, tower by tower in each layer."""
    net = Builder(2, 100, 80)
    net.add("jitteredData", Jitter(0.01))
    ends = {
        t: net.add(f"data0_{t}", Slice(t, t + 1), ("jitteredData",)) for t in (0, 1)
    }

    def both(name: str, op: Op) -> None:
        for t in (0, 1):
            ends[t] = net.add(f"{name}_{t}", op, (ends[t],))

    unitball = Filler("positive_unitball")
    both("conv1", convolution(32, 7, stride=2, pad=3, filler=Filler("gaussian")))
    both("drop2", Dropout(0.680607))
    both("relu1", ReLU())
    both("pool2", Pooling("MAX", 37, 3, 5, 3))
    both("sigmoid2", Sigmoid())
    both("conv3", convolution(7, (1, 4), pad=(0, 1)))
    both("conv4", convolution(46, 1))
    both("drop5", Dropout(0.1))
    both("conv5", convolution(96, (1, 9), pad=(0, 4), filler=unitball))
    both("relu5", ReLU())
    both("conv6", convolution(58, 1, filler=unitball))
    both("relu6", ReLU())
    both("norm7", LRN("ACROSS_CHANNELS", 1, 0.0001, 0.75))
    for t in (0, 1):
        ends[t] = net.inception(f"inception_8_{t}", ends[t])
    both("pool9", pooling(1, 1))
    last = net.add("concat9_0", Concat(), (ends[0], ends[1]))
    net.inception("inception_10_0", last)
    net.add("norm11_0", LRN("WITHIN_CHANNEL", 1, 0.906179, 0.25))
    # No fillers and no multiples are given there, so Caffe's defaults hold.
    nothing = Blob(Filler("constant"))
    net.add("finalip", InnerProduct(8, nothing, nothing))
    return net.network


def lenet() -> Network:
    """LeNet as Caffe's MNIST example has it: 28 x 28 images, ten classes."""
    net = Builder(1, 28, 28)
    net.add("conv1", convolution(20, 5))
    net.add("pool1", pooling(2, 2))
    net.add("conv2", convolution(50, 5))
    net.add("pool2", pooling(2, 2))
    net.add("ip1", inner_product(500))
    net.add("relu1", ReLU())
    net.add("ip2", inner_product(10))
    return net.network


def cifar10_quick() -> Network:
    """CIFAR-10 quick (Krizhevsky's cuda-convnet, as in Caffe's example)."""
    net = Builder(3, 32, 32)
    net.add("conv1", convolution(32, 5, pad=2, filler=Filler("gaussian", std=0.0001)))
    net.add("pool1", pooling(3, 2))
    net.add("relu1", ReLU())
    net.add("conv2", convolution(32, 5, pad=2, filler=Filler("gaussian", std=0.01)))
    net.add("relu2", ReLU())
    net.add("pool2", pooling(3, 2, "AVE"))
    net.add("conv3", convolution(64, 5, pad=2, filler=Filler("gaussian", std=0.01)))
    net.add("relu3", ReLU())
    net.add("pool3", pooling(3, 2, "AVE"))
    net.add("ip1", inner_product(64, Filler("gaussian", std=0.1)))
    net.add("ip2", inner_product(10, Filler("gaussian", std=0.1)))
    return net.network
