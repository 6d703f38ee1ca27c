"""Six known networks in Caffe's language, written from their papers.

LeNet and CIFAR-10 quick in the forms that Caffe made known (LeCun et al. 1998, with max
pooling and ReLU; after Krizhevsky's cuda-convnet), AlexNet (Krizhevsky et al. 2012), VGG-16
(Simonyan and Zisserman, arXiv:1409.1556), GoogLeNet (Szegedy et al., arXiv:1409.4842) and
ResNet-50 (He et al., arXiv:1512.03385).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

LEARNED = "param { lr_mult: 1 decay_mult: 1 } "
LEARNED_TERM = LEARNED + "param { lr_mult: 2 decay_mult: 0 } "
XAVIER = 'type: "xavier"'
MSRA = 'type: "msra"'


@dataclass(frozen=True, slots=True)
class Known:
    """A network: the layers from the blob ``data`` to the blob ``logits``.

    ``shape`` is that of an image, (channels, height, width), ``transform`` what its data
    layers do to images. ``auxiliary`` are layers for training only, which lead to the
    blobs ``heads``; their losses count 0.3.
    """

    name: str
    shape: tuple[int, int, int]
    layers: str
    logits: str
    transform: str
    auxiliary: str = ""
    heads: tuple[str, ...] = ()

    def deploy(self) -> str:
        """The file for use: a batch of one in, probabilities out."""
        dims = " ".join(f"dim: {size}" for size in (1, *self.shape))
        shape = f"input_param {{ shape {{ {dims} }} }}"
        data = layer("data", "Input", (), ("data",), shape)
        prob = layer("prob", "Softmax", (self.logits,), ("prob",))
        return f'name: "{self.name}"\n{data}{self.layers}{prob}'

    def train_val(self) -> str:
        """The file for training: data layers of both phases, loss, accuracy in tests."""
        transform = f"transform_param {{ {self.transform} }}"
        data = ""
        for phase, source, batch in (("TRAIN", "train", 32), ("TEST", "val", 50)):
            fields = f'source: "{source}" batch_size: {batch} backend: LMDB'
            has = f"include {{ phase: {phase} }} {transform} data_param {{ {fields} }}"
            data += layer("data", "Data", (), ("data", "label"), has)
        ends = accuracy("accuracy", self.logits) + loss("loss", self.logits, 1.0)
        for head in self.heads:
            place = head.partition("/")[0]
            ends += loss(f"{place}/loss", head, 0.3) + accuracy(f"{place}/top-1", head)
        return f'name: "{self.name}"\n{data}{self.layers}{self.auxiliary}{ends}'


def layer(
    name: str, kind: str, bottoms: Iterable[str], tops: Iterable[str], has: str = ""
) -> str:
    """The text of a layer; ``has`` are fields beside its blobs."""
    blobs = [f'bottom: "{blob}"' for blob in bottoms] + [
        f'top: "{blob}"' for blob in tops
    ]
    head = f'name: "{name}" type: "{kind}" {" ".join(blobs)}'
    return f"layer {{\n  {head}\n  {has}\n}}\n" if has else f"layer {{ {head} }}\n"


def accuracy(name: str, logits: str) -> str:
    """A layer that measures in tests."""
    return layer(
        name, "Accuracy", (logits, "label"), (name,), "include { phase: TEST }"
    )


def loss(name: str, logits: str, weight: float) -> str:
    """A layer that is learned by."""
    has = f"loss_weight: {weight}"
    return layer(name, "SoftmaxWithLoss", (logits, "label"), (name,), has)


class Writer:
    """Writes layers, one behind the other; each method gives the blob that it leaves."""

    def __init__(self, filler: str) -> None:
        self.text = ""
        self._filler = filler

    def layer(
        self, kind: str, name: str, *bottoms: str, top: str = "", has: str = ""
    ) -> str:
        """A layer whose top is called as itself unless told."""
        self.text += layer(name, kind, bottoms, (top or name,), has)
        return top or name

    def conv(
        self,
        name: str,
        bottom: str,
        width: int,
        kernel: int,
        more: str = "",
        *,
        term: bool = True,
    ) -> str:
        """A convolution; ``more`` are fields such as its stride."""
        learned = LEARNED_TERM if term else LEARNED
        bias = 'bias_filler { type: "constant" }' if term else "bias_term: false"
        fields = f"num_output: {width} kernel_size: {kernel} {more}"
        fills = f"weight_filler {{ {self._filler} }} {bias}"
        has = f"{learned}convolution_param {{ {fields} {fills} }}"
        return self.layer("Convolution", name, bottom, has=has)

    def relu(self, name: str, blob: str) -> str:
        """A rectifier in place."""
        return self.layer("ReLU", name, blob, top=blob)

    def pool(self, name: str, bottom: str, fields: str) -> str:
        """A pooling; ``fields`` are its own."""
        return self.layer("Pooling", name, bottom, has=f"pooling_param {{ {fields} }}")

    def lrn(self, name: str, bottom: str) -> str:
        """AlexNet's normalisation."""
        has = "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }"
        return self.layer("LRN", name, bottom, has=has)

    def ip(self, name: str, bottom: str, width: int) -> str:
        """An inner product."""
        fills = f'weight_filler {{ {self._filler} }} bias_filler {{ type: "constant" }}'
        has = f"{LEARNED_TERM}inner_product_param {{ num_output: {width} {fills} }}"
        return self.layer("InnerProduct", name, bottom, has=has)

    def dropout(self, name: str, blob: str, ratio: float) -> str:
        """A dropout in place."""
        has = f"dropout_param {{ dropout_ratio: {ratio} }}"
        return self.layer("Dropout", name, blob, top=blob, has=has)


def lenet() -> Known:
    """LeNet on handwritten digits."""
    write, blob = Writer(XAVIER), "data"
    for stage, width in ((1, 20), (2, 50)):
        blob = write.conv(f"conv{stage}", blob, width, 5)
        blob = write.pool(f"pool{stage}", blob, "pool: MAX kernel_size: 2 stride: 2")
    blob = write.relu("relu1", write.ip("ip1", blob, 500))
    logits = write.ip("ip2", blob, 10)
    return Known("LeNet", (1, 28, 28), write.text, logits, "scale: 0.00390625")


def cifar10_quick() -> Known:
    """The small network for CIFAR-10: the first rectifier stands behind its pooling."""
    write = Writer('type: "gaussian" std: 0.01')
    fields = "kernel_size: 3 stride: 2"
    blob = write.conv("conv1", "data", 32, 5, "pad: 2")
    blob = write.relu("relu1", write.pool("pool1", blob, f"pool: MAX {fields}"))
    for stage, width in ((2, 32), (3, 64)):
        blob = write.relu(
            f"relu{stage}", write.conv(f"conv{stage}", blob, width, 5, "pad: 2")
        )
        blob = write.pool(f"pool{stage}", blob, f"pool: AVE {fields}")
    logits = write.ip("ip2", write.ip("ip1", blob, 64), 10)
    transform = 'mean_file: "mean.binaryproto"'
    return Known("CIFAR10_quick", (3, 32, 32), write.text, logits, transform)


def alexnet() -> Known:
    """AlexNet in two groups, on 227 x 227 images.

    Its paper says 224, from which no 11 x 11 convolution of stride 4 leaves 55 x 55.
    """
    write = Writer('type: "gaussian" std: 0.01')
    pooling = "pool: MAX kernel_size: 3 stride: 2"
    blob = write.relu("relu1", write.conv("conv1", "data", 96, 11, "stride: 4"))
    blob = write.pool("pool1", write.lrn("norm1", blob), pooling)
    blob = write.relu("relu2", write.conv("conv2", blob, 256, 5, "pad: 2 group: 2"))
    blob = write.pool("pool2", write.lrn("norm2", blob), pooling)
    blob = write.relu("relu3", write.conv("conv3", blob, 384, 3, "pad: 1"))
    blob = write.relu("relu4", write.conv("conv4", blob, 384, 3, "pad: 1 group: 2"))
    blob = write.relu("relu5", write.conv("conv5", blob, 256, 3, "pad: 1 group: 2"))
    logits = _dense(write, write.pool("pool5", blob, pooling))
    return Known(
        "AlexNet", (3, 227, 227), write.text, logits, f"{_IMAGENET} crop_size: 227"
    )


def vgg16(shrunk: int = 1) -> Known:
    """VGG-16, configuration D; all its widths but the last divided by ``shrunk``."""
    write, blob = Writer('type: "gaussian" std: 0.01'), "data"
    for stage, (width, depth) in enumerate(
        ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1
    ):
        for number in range(1, depth + 1):
            place = f"{stage}_{number}"
            blob = write.conv(f"conv{place}", blob, width // shrunk, 3, "pad: 1")
            write.relu(f"relu{place}", blob)
        blob = write.pool(f"pool{stage}", blob, "pool: MAX kernel_size: 2 stride: 2")
    logits = _dense(write, blob, 4096 // shrunk)
    return Known(
        "VGG16", (3, 224, 224), write.text, logits, f"{_IMAGENET} crop_size: 224"
    )


def _dense(write: Writer, blob: str, width: int = 4096) -> str:
    """The inner products that AlexNet and VGG end in."""
    for number in (6, 7):
        blob = write.relu(f"relu{number}", write.ip(f"fc{number}", blob, width))
        write.dropout(f"drop{number}", blob, 0.5)
    return write.ip("fc8", blob, 1000)


def googlenet() -> Known:
    """GoogLeNet, with its two auxiliary classifiers in training."""
    write = Writer(XAVIER)
    pooling = "pool: MAX kernel_size: 3 stride: 2"
    blob = _rectified(write, "conv1/7x7_s2", "data", 64, 7, "pad: 3 stride: 2")
    blob = write.lrn("pool1/norm1", write.pool("pool1/3x3_s2", blob, pooling))
    blob = _rectified(write, "conv2/3x3_reduce", blob, 64, 1)
    blob = _rectified(write, "conv2/3x3", blob, 192, 3, "pad: 1")
    blob = write.pool("pool2/3x3_s2", write.lrn("conv2/norm2", blob), pooling)
    for name, widths in _INCEPTIONS.items():
        blob = _inception(write, f"inception_{name}", blob, widths)
        if name in ("3b", "4e"):
            blob = write.pool(f"pool{name[0]}/3x3_s2", blob, pooling)
    blob = write.pool("pool5/7x7_s1", blob, "pool: AVE kernel_size: 7 stride: 1")
    write.dropout("pool5/drop_7x7_s1", blob, 0.4)
    logits = write.ip("loss3/classifier", blob, 1000)
    aside = Writer(XAVIER)
    heads = tuple(
        _auxiliary(aside, f"loss{number}", f"inception_{block}/output")
        for number, block in ((1, "4a"), (2, "4d"))
    )
    return Known(
        "GoogLeNet",
        (3, 224, 224),
        write.text,
        logits,
        f"{_IMAGENET} crop_size: 224",
        aside.text,
        heads,
    )


def _rectified(
    write: Writer, name: str, bottom: str, width: int, kernel: int, more: str = ""
) -> str:
    place, _, part = name.partition("/")
    return write.relu(
        f"{place}/relu_{part}", write.conv(name, bottom, width, kernel, more)
    )


def _inception(write: Writer, name: str, source: str, widths: tuple[int, ...]) -> str:
    """Four branches: widths of 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5 and pool_proj."""
    one, three_reduce, three, five_reduce, five, projection = widths
    branches = [_rectified(write, f"{name}/1x1", source, one, 1)]
    blob = _rectified(write, f"{name}/3x3_reduce", source, three_reduce, 1)
    branches.append(_rectified(write, f"{name}/3x3", blob, three, 3, "pad: 1"))
    blob = _rectified(write, f"{name}/5x5_reduce", source, five_reduce, 1)
    branches.append(_rectified(write, f"{name}/5x5", blob, five, 5, "pad: 2"))
    blob = write.pool(
        f"{name}/pool", source, "pool: MAX kernel_size: 3 stride: 1 pad: 1"
    )
    branches.append(_rectified(write, f"{name}/pool_proj", blob, projection, 1))
    return write.layer("Concat", f"{name}/output", *branches)


def _auxiliary(write: Writer, name: str, source: str) -> str:
    """A classifier halfway."""
    blob = write.pool(f"{name}/ave_pool", source, "pool: AVE kernel_size: 5 stride: 3")
    blob = _rectified(write, f"{name}/conv", blob, 128, 1)
    blob = write.relu(f"{name}/relu_fc", write.ip(f"{name}/fc", blob, 1024))
    write.dropout(f"{name}/drop_fc", blob, 0.7)
    return write.ip(f"{name}/classifier", blob, 1000)


def resnet50() -> Known:
    """ResNet-50: batch norms with learned scale and shift, bottlenecks, sums."""
    write = Writer(MSRA)
    blob = _normed(write, "conv1", "bn_conv1", "data", 64, 7, "pad: 3 stride: 2")
    blob = write.relu("conv1_relu", blob)
    blob = write.pool("pool1", blob, "pool: MAX kernel_size: 3 stride: 2")
    for stage, (width, depth) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 2):
        for block in "abcdef"[:depth]:
            stride = 2 if block == "a" and stage > 2 else 1
            blob = _bottleneck(write, f"{stage}{block}", blob, width, stride)
    blob = write.pool("pool5", blob, "pool: AVE kernel_size: 7 stride: 1")
    logits = write.ip("fc1000", blob, 1000)
    return Known(
        "ResNet50", (3, 224, 224), write.text, logits, f"{_IMAGENET} crop_size: 224"
    )


def _normed(
    write: Writer, name: str, norm: str, bottom: str, width: int, kernel: int, more: str
) -> str:
    """A convolution without a term, batch norm and scale in place."""
    blob = write.conv(name, bottom, width, kernel, more, term=False)
    fixed = "param { lr_mult: 0 } " * 3
    has = f"{fixed}batch_norm_param {{ moving_average_fraction: 0.9 }}"
    write.layer("BatchNorm", norm, blob, top=blob, has=has)
    scale = norm.replace("bn", "scale", 1)
    return write.layer(
        "Scale", scale, blob, top=blob, has="scale_param { bias_term: true }"
    )


def _bottleneck(write: Writer, place: str, source: str, width: int, stride: int) -> str:
    def branch(part: str, blob: str, width: int, kernel: int, more: str) -> str:
        return _normed(
            write, f"res{place}_{part}", f"bn{place}_{part}", blob, width, kernel, more
        )

    strided = f"stride: {stride}"
    shortcut = source
    if place[1] == "a":
        shortcut = branch("branch1", source, 4 * width, 1, strided)
    blob = branch("branch2a", source, width, 1, strided)
    blob = write.relu(f"res{place}_branch2a_relu", blob)
    blob = branch("branch2b", blob, width, 3, "pad: 1")
    blob = write.relu(f"res{place}_branch2b_relu", blob)
    blob = branch("branch2c", blob, 4 * width, 1, "")
    return write.relu(
        f"res{place}_relu", write.layer("Eltwise", f"res{place}", shortcut, blob)
    )


_IMAGENET = "mirror: true mean_value: 104 mean_value: 117 mean_value: 123"

_INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""The widths of GoogLeNet's modules: table 1 of its paper."""

ZOO: dict[str, Callable[[], Known]] = {
    "lenet": lenet,
    "cifar10_quick": cifar10_quick,
    "alexnet": alexnet,
    "vgg16": vgg16,
    "googlenet": googlenet,
    "resnet50": resnet50,
}
