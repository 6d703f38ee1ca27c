"""Networks in the forms that Caffe took before 2015, made into the form of today.

V1 ``layers`` become ``layer``, ``input`` with ``input_dim`` or ``input_shape`` becomes Input
layers, and what data layers once said of the transformation goes into transform_param. The
form before that, V0, is refused as it has fields that the schema does not know.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from ribosome.backends.caffe.lexer import short
from ribosome.backends.caffe.prototxt import Parsed
from ribosome.backends.caffe.schema import Message, message
from ribosome.genome.errors import ReadError


@dataclass(frozen=True, slots=True)
class Layer:
    """A LayerParameter, and where it stands: ``line`` of the file ``path``."""

    message: Message
    line: int
    path: str

    @property
    def name(self) -> str:
        """The layer's name; where it has none, its first top's."""
        found: str = self.message.name
        return found or next(iter(self.message.top), "")

    @property
    def type(self) -> str:
        """The layer's type, such as Convolution."""
        found: str = self.message.type
        return found

    def fail(self, field: str, what: str) -> NoReturn:
        """Raise ReadError that names the file, the line, the layer and the field."""
        raise ReadError(
            f"{self.path}:{self.line}: layer {short(self.name)} ({short(self.type)}): "
            f"{field}: {what}"
        )


def layers_of(parsed: Parsed, path: str) -> list[Layer]:
    """The layers of a NetParameter in the form of today, with the lines they came from."""
    network, lines = parsed.message, parsed.lines
    if len(network.layers) and len(network.layer):
        raise ReadError(
            f"{path}:{lines['layer'][0]}: has both layers (the old form) and layer; "
            "use one of them"
        )
    made = list(_inputs(parsed, path))
    for line, old in zip(lines.get("layers", ()), network.layers, strict=False):
        made.append(Layer(_from_v1(old, parsed, f"{path}:{line}"), line, path))
    for line, layer in zip(lines.get("layer", ()), network.layer, strict=False):
        made.append(Layer(layer, line, path))
    for one in made:
        _move_transformation(one.message)
    return made


def _inputs(parsed: Parsed, path: str) -> Iterator[Layer]:
    network = parsed.message
    count = len(network.input)
    if not count:
        return
    lines = parsed.lines["input"]
    if len(network.input_shape):
        shapes = [list(shape.dim) for shape in network.input_shape]
    else:
        dims = list(network.input_dim)
        shapes = [dims[start : start + 4] for start in range(0, len(dims), 4)]
    if len(shapes) != count or not all(shapes):
        raise ReadError(
            f"{path}:{lines[0]}: {count} input, but {len(shapes)} shapes; give four "
            "input_dim or one input_shape for each"
        )
    for name, shape, line in zip(network.input, shapes, lines, strict=False):
        layer = message("LayerParameter", parsed.flavour)(name=name, type="Input")
        layer.top.append(name)
        layer.input_param.shape.add().dim.extend(shape)
        yield Layer(layer, line, path)


def _from_v1(old: Message, parsed: Parsed, where: str) -> Message:
    """A V1LayerParameter as a LayerParameter."""
    kind = (
        old.DESCRIPTOR.enum_types_by_name["LayerType"].values_by_number[old.type].name
    )
    new = message("LayerParameter", parsed.flavour)(name=old.name)
    new.type = TYPES[kind]
    for field, value in old.ListFields():
        target = new.DESCRIPTOR.fields_by_name.get(field.name)
        if field.name in _MOVED or target is None:
            continue
        if target.is_repeated:
            getattr(new, field.name).extend(value)
        elif target.message_type is not None:
            getattr(new, field.name).CopyFrom(value)
        else:
            setattr(new, field.name, value)
    _multiples(old, new, where)
    return new


def _multiples(old: Message, new: Message, where: str) -> None:
    """blobs_lr, weight_decay and the names of shared blobs become ``param``."""
    count = max(len(old.blobs_lr), len(old.weight_decay), len(old.param))
    if count > _MOST_BLOBS:
        raise ReadError(f"{where}: blobs_lr for more than {_MOST_BLOBS} blobs")
    for _ in range(count):
        new.param.add()
    for spec, value in zip(new.param, old.blobs_lr, strict=False):
        spec.lr_mult = value
    for spec, value in zip(new.param, old.weight_decay, strict=False):
        spec.decay_mult = value
    for spec, name in zip(new.param, old.param, strict=False):
        spec.name = name


def _move_transformation(layer: Message) -> None:
    for name in _DATA_PARAMS:
        if not layer.HasField(name):
            continue
        data = getattr(layer, name)
        for field in ("scale", "mean_file", "crop_size", "mirror"):
            if data.HasField(field) and not layer.transform_param.HasField(field):
                setattr(layer.transform_param, field, getattr(data, field))


_MOVED = frozenset(
    {"name", "type", "param", "blob_share_mode", "blobs_lr", "weight_decay"}
)
_DATA_PARAMS: Sequence[str] = ("data_param", "image_data_param", "window_data_param")
_MOST_BLOBS = 64

TYPES = {
    "NONE": "None",
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
    "THRESHOLD": "Threshold",
    "WINDOW_DATA": "WindowData",
}
"""The V1 form's types, and what they are called today."""
