"""Weights between a caffemodel's blobs and the IR's nodes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ribosome.backends.caffe.caffemodel import Layer, read_caffemodel
from ribosome.backends.caffe.lexer import nearest
from ribosome.backends.caffe.read import Place, Reading
from ribosome.backends.caffe.writer import SCALE_SUFFIX
from ribosome.backends.weights import Weights
from ribosome.genome.cost import parameters
from ribosome.genome.errors import ReadError
from ribosome.genome.network import Network, Node, Shape
from ribosome.genome.ops import BatchNorm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STATISTICS = ("mean", "variance")


def from_caffemodel(
    reading: Reading,
    layers: Mapping[str, Sequence["NDArray[np.float32]"]],
    *,
    path: str,
) -> Weights:
    """The weights of a network that was read, from `read_caffemodel`'s blobs.

    A BatchNorm's mean and variance come divided by the factor that Caffe keeps them
    multiplied by. ``path`` is the caffemodel's, for messages. Raises ReadError where
    blobs are missing or of another shape.
    """
    import numpy as np

    weights: Weights = {}
    for node, shapes in _shapes(reading.network):
        places = reading.blobs.get(node.name)
        if places is None:
            continue
        found = {
            name: _blob(layers, places[name], shape, path)
            for name, shape in shapes.items()
        }
        if "factor" in places:
            factor = _blob(layers, places["factor"], (1,), path)[0]
            scale = np.float32(0.0 if factor == 0.0 else 1.0 / factor)
            found |= {name: found[name] * scale for name in _STATISTICS}
        weights[node.name] = found
    return weights


def read_weights(path: Path, network: Network) -> Weights:
    """The weights of a network from a caffemodel for the prototxt that we emit of it.

    Raises ReadError for a file that cannot be read, or is of another network.
    """
    places: dict[str, dict[str, Place]] = {}
    for node, shapes in _shapes(network):
        at = {name: (node.name, place) for place, name in enumerate(shapes)}
        if isinstance(node.op, BatchNorm):
            at["factor"] = node.name, len(_STATISTICS)
            learned = [name for name in shapes if name not in _STATISTICS]
            scale = node.name + SCALE_SUFFIX
            at |= {name: (scale, place) for place, name in enumerate(learned)}
        if at:
            places[node.name] = at
    reading = Reading(network, (), places, {}, None)
    return from_caffemodel(reading, read_caffemodel(path), path=str(path))


def to_caffemodel(network: Network, weights: Weights) -> list[Layer]:
    """The layers that `write_caffemodel` writes for prototxt that we emitted.

    Raises ReadError where a node's weights are missing or of another shape.
    """
    layers: list[Layer] = []
    for node, shapes in _shapes(network):
        if not shapes:
            continue
        blobs = {
            name: _own(weights, node, name, shape) for name, shape in shapes.items()
        }
        if isinstance(node.op, BatchNorm):
            layers.append((node.name, "BatchNorm", _with_factor(blobs)))
            rest = [blobs[name] for name in blobs if name not in _STATISTICS]
            if rest:
                layers.append((node.name + SCALE_SUFFIX, "Scale", rest))
        else:
            layers.append((node.name, type(node.op).__name__, list(blobs.values())))
    return layers


def _shapes(network: Network) -> list[tuple[Node, dict[str, Shape]]]:
    """Every node and the shapes of its blobs, in Caffe's order, statistics first."""
    left: dict[str, Shape] = {}
    found = []
    for node in network.nodes:
        shapes: dict[str, Shape] = {}
        if node.inputs:
            source = left[node.inputs[0]]
            if isinstance(node.op, BatchNorm):
                shapes = dict.fromkeys(_STATISTICS, source[:1])
            shapes |= parameters(node.op, source)
        left[node.name] = node.shape
        found.append((node, shapes))
    return found


def _blob(
    layers: Mapping[str, Sequence["NDArray[np.float32]"]],
    place: Place,
    shape: Shape,
    path: str,
) -> "NDArray[np.float32]":
    layer, index = place
    if layer not in layers:
        hint = nearest(layer, list(layers))
        raise ReadError(f"{path}: no weights for layer {layer}{hint}")
    blobs = layers[layer]
    if index >= len(blobs):
        raise ReadError(
            f"{path}: layer {layer} has {len(blobs)} blobs, blob {index} is wanted; "
            "the weights are of another network"
        )
    blob = blobs[index]
    if _bare(blob.shape) != _bare(shape):
        raise ReadError(
            f"{path}: layer {layer}: blob {index} has the shape {blob.shape}, the network "
            f"wants {shape}; the weights are of another network"
        )
    return blob.reshape(shape)


def _bare(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape without the ones in front, which old files have up to four axes."""
    first = next((place for place, size in enumerate(shape) if size != 1), len(shape))
    return tuple(shape[first:])


def _own(weights: Weights, node: Node, name: str, shape: Shape) -> Any:
    blob = weights.get(node.name, {}).get(name)
    if blob is None or blob.shape != shape:
        what = "is missing" if blob is None else f"has the shape {blob.shape}"
        raise ReadError(
            f"{node.name}: {name} {what}, the network wants {shape}; give the weights "
            "that this network was trained to"
        )
    return blob


def _with_factor(blobs: Mapping[str, Any]) -> list[Any]:
    """What a BatchNorm layer keeps: mean and variance as they are, multiplied by one."""
    import numpy as np

    return [blobs["mean"], blobs["variance"], np.ones(1, np.float32)]
