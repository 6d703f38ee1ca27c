"""Where images enter a network read from a file: their shape, and MENNDL's jitter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ribosome.backends.caffe.fields import number
from ribosome.backends.caffe.graph import Graph, Value
from ribosome.backends.caffe.schema import Message
from ribosome.backends.caffe.upgrade import Layer
from ribosome.genome.ops import Input

ImageShape = tuple[int, int, int]
"""(channels, height, width)."""

_WITH_LABELS = ("Data", "ImageData", "MemoryData", "WindowData")
_PROD = 0
_TRAIN = 0


@dataclass(frozen=True, slots=True)
class Noise:
    """An Eltwise layer that multiplies images by noise: what it reads, and the noise."""

    source: Value
    std: float
    shape: ImageShape | None


def find_noise(made: Graph, every: Sequence[Layer]) -> dict[int, Noise]:
    """The Eltwise layers that jitter their input, by their place in the graph.

    MENNDL's networks multiply by a DummyData blob: gaussian with mean 1 in training,
    constant 1 in tests. ``every`` are the layers of both phases.
    """
    fillers = _dummy_fillers(every)
    found = {}
    for index, layer in enumerate(made.layers):
        if layer.type != "Eltwise" or len(made.inputs[index]) != 2:
            continue
        if layer.message.eltwise_param.operation != _PROD:
            continue
        first, second = made.inputs[index]
        for noise, source in ((second, first), (first, second)):
            std = _std(made, noise, fillers)
            if std is not None:
                found[index] = Noise(
                    source, std, _dummy_shape(made.layers[noise.layer])
                )
                break
    return found


def input_op(
    layer: Layer, top: int, shape: ImageShape | None, noise: ImageShape | None
) -> Input:
    """The Input op of a layer that images come from.

    ``shape`` is what the caller knows, ``noise`` the shape of what images are multiplied
    by. Raises ReadError where nobody tells the shape.
    """
    if top > 0 and layer.type in _WITH_LABELS:
        layer.fail("top", "the output depends on its labels; only images can be read")
    found = shape or _stated(layer, top) or noise or _cropped(layer)
    if found is None:
        layer.fail("top", "its images' shape stands nowhere; give it with --shape")
    if min(found) < 1:
        layer.fail("shape", f"every size is 1 or more, not {found}")
    return Input(*found)


def batch_size(layer: Layer) -> int | None:
    """The number of images in a batch, where the layer says it."""
    for kind in ("data", "image_data", "hdf5_data", "memory_data", "window_data"):
        field = f"{kind}_param"
        if layer.message.HasField(field):
            size: int = getattr(layer.message, field).batch_size
            return size or None
    return None


def _dummy_fillers(
    every: Sequence[Layer],
) -> Mapping[str, list[tuple[int | None, Layer]]]:
    """By top, the DummyData layers that make it, each with the only phase it is for."""
    found: dict[str, list[tuple[int | None, Layer]]] = {}
    for layer in every:
        if layer.type == "DummyData" and len(layer.message.top) == 1:
            phases = [rule.phase for rule in layer.message.include]
            phase = phases[0] if len(phases) == 1 else None
            found.setdefault(layer.message.top[0], []).append((phase, layer))
    return found


def _std(
    made: Graph, noise: Value, fillers: Mapping[str, list[tuple[int | None, Layer]]]
) -> float | None:
    """The deviation of noise that a value is in training and is not in tests."""
    std: float | None = None
    steady = False
    for phase, layer in fillers.get(made.name(noise), ()):
        filler = next(iter(layer.message.dummy_data_param.data_filler), None)
        if filler is None or phase is None:
            continue
        if phase == _TRAIN and filler.type == "gaussian" and filler.mean == 1.0:
            std = number(layer, filler, "std")
        elif phase != _TRAIN and filler.type == "constant" and filler.value == 1.0:
            steady = True
    return std if steady else None


def _stated(layer: Layer, top: int) -> ImageShape | None:
    """The shape that a layer states itself."""
    message = layer.message
    match layer.type:
        case "Input":
            return _of_shapes(
                layer, message.input_param.shape, top, "input_param.shape"
            )
        case "DummyData":
            return _dummy_shape(layer, top)
        case "MemoryData":
            memory = message.memory_data_param
            return (memory.channels, memory.height, memory.width)
        case "ImageData":
            image = message.image_data_param
            channels = 3 if image.is_color else 1
            cropped = _crop(message)
            if cropped is not None:
                return (channels, *cropped)
            if image.new_height and image.new_width:
                return (channels, image.new_height, image.new_width)
    return None


def _dummy_shape(layer: Layer, top: int = 0) -> ImageShape | None:
    dummy = layer.message.dummy_data_param
    if len(dummy.shape):
        return _of_shapes(layer, dummy.shape, top, "dummy_data_param.shape")
    sizes = [list(getattr(dummy, name)) for name in ("channels", "height", "width")]
    if not all(sizes):
        return None
    channels, height, width = (each[min(top, len(each) - 1)] for each in sizes)
    return (channels, height, width)


def _of_shapes(
    layer: Layer, shapes: Sequence[Message], top: int, field: str
) -> ImageShape | None:
    if not len(shapes):
        return None
    dims = list(shapes[min(top, len(shapes) - 1)].dim)
    if len(dims) != 4:
        layer.fail(
            field, f"{len(dims)} axes; batch, channels, height and width are wanted"
        )
    return (dims[1], dims[2], dims[3])


def _cropped(layer: Layer) -> ImageShape | None:
    """The shape of what a data layer cuts out; images have three channels unless told."""
    cropped = _crop(layer.message)
    if cropped is None:
        return None
    return (1 if layer.message.transform_param.force_gray else 3, *cropped)


def _crop(message: Message) -> tuple[int, int] | None:
    transform = message.transform_param
    if transform.crop_size:
        return (transform.crop_size, transform.crop_size)
    height, width = (getattr(transform, name, 0) for name in ("crop_h", "crop_w"))
    return (height, width) if height and width else None
