"""What feeds what in a network of layers, and where it ends.

Caffe's blobs have names that in-place layers write again; here every top of every layer is a
value of its own.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from ribosome.backends.caffe.lexer import nearest, short
from ribosome.backends.caffe.upgrade import Layer
from ribosome.genome.errors import ReadError

DATA = frozenset(
    {"Input", "Data", "HDF5Data", "ImageData", "MemoryData", "DummyData", "WindowData"}
)
"""Layers that images come from."""

LOSSES = frozenset(
    {
        "SoftmaxWithLoss",
        "MultinomialLogisticLoss",
        "InfogainLoss",
        "EuclideanLoss",
        "HingeLoss",
        "SigmoidCrossEntropyLoss",
        "ContrastiveLoss",
    }
)

SINKS = LOSSES | {"Accuracy", "Silence", "HDF5Output"}
"""Layers that the network's output does not depend on."""


class Value(NamedTuple):
    """What a layer, counted from 0, leaves in one of its tops."""

    layer: int
    top: int


@dataclass(frozen=True, slots=True)
class Graph:
    """Layers in the file's order, and their values.

    ``inputs`` are the values that each layer reads, ``readers`` the layers that read each
    value, ``names`` the last value of each blob's name.
    """

    layers: Sequence[Layer]
    inputs: Sequence[tuple[Value, ...]]
    readers: Mapping[Value, Sequence[int]]
    names: Mapping[str, Value]

    def name(self, value: Value) -> str:
        """The blob that a value is in."""
        found: str = self.layers[value.layer].message.top[value.top]
        return found

    def needed(self, output: Value, cut: Mapping[int, Value]) -> list[int]:
        """The layers that lead to a value, in order.

        ``cut`` gives, for some layers, the only input that counts.
        """
        found = {output.layer}
        waiting = [output.layer]
        while waiting:
            layer = waiting.pop()
            inputs = [cut[layer]] if layer in cut else self.inputs[layer]
            for value in inputs:
                if value.layer not in found:
                    found.add(value.layer)
                    waiting.append(value.layer)
        return sorted(found)


def graph(layers: Sequence[Layer], every: Sequence[Layer]) -> Graph:
    """The graph of the layers that take part, of ``every`` layer of the file.

    Raises ReadError for a bottom that nothing makes, and a top that two layers make.
    """
    names: dict[str, Value] = {}
    inputs: list[tuple[Value, ...]] = []
    readers: defaultdict[Value, list[int]] = defaultdict(list)
    for index, layer in enumerate(layers):
        bottoms = list(layer.message.bottom)
        for bottom in bottoms:
            if bottom not in names:
                _no_blob(layer, bottom, list(names), every)
        values = tuple(names[bottom] for bottom in bottoms)
        inputs.append(values)
        alias = layer.type == "Split" and len(values) == 1
        for value in values if not alias else ():
            readers[value].append(index)
        for place, top in enumerate(layer.message.top):
            if top in names and top not in bottoms[place : place + 1]:
                layer.fail("top", f"another layer makes the blob {short(top)} already")
            names[top] = values[0] if alias else Value(index, place)
    return Graph(layers, inputs, readers, names)


def _no_blob(
    layer: Layer, bottom: str, names: Sequence[str], every: Sequence[Layer]
) -> NoReturn:
    hint = nearest(bottom, names) or "; no layer before makes it"
    maker = next((other for other in every if bottom in other.message.top), None)
    if maker is not None and (len(maker.message.include) or len(maker.message.exclude)):
        hint = (
            f"; layer {short(maker.name)} makes it, but its include and exclude rules keep "
            "it out of this phase, stages and level"
        )
    layer.fail("bottom", f"there is no blob {short(bottom)}{hint}")


def find_output(made: Graph, output: str | None, path: str) -> Value:
    """The value that the network ends in.

    Without ``output``, the name of a blob or a layer, it is what the loss of the greatest
    weight reads; without a loss, what Accuracy reads; without either, the only value
    that nothing reads. Raises ReadError where this leaves none, or several.
    """
    if output is not None:
        return _named(made, output, path)
    losses = [
        (_weight(layer), made.inputs[index][0])
        for index, layer in enumerate(made.layers)
        if layer.type in LOSSES and made.inputs[index]
    ]
    measured = [
        made.inputs[index][0]
        for index, layer in enumerate(made.layers)
        if layer.type == "Accuracy" and made.inputs[index]
    ]
    if losses:
        most = max(weight for weight, _ in losses)
        found = [value for weight, value in losses if weight == most]
    else:
        found = measured or _unread(made)
    found = list(dict.fromkeys(found))
    if not found:
        raise ReadError(f"{path}: the network has no output: every blob is read again")
    if len(found) > 1:
        names = ", ".join(short(made.name(value)) for value in found[:20])
        raise ReadError(
            f"{path}: the network has several outputs: {names}; choose one with --output"
        )
    return found[0]


def _named(made: Graph, output: str, path: str) -> Value:
    if output in made.names:
        return made.names[output]
    for index, layer in enumerate(made.layers):
        if layer.name == output and len(layer.message.top) and layer.type != "Split":
            return Value(index, 0)
    hint = nearest(output, list(made.names))
    raise ReadError(f"{path}: no blob or layer {short(output)} to end in{hint}")


def _weight(loss: Layer) -> float:
    weights: Iterable[float] = loss.message.loss_weight
    return next(iter(weights), 1.0)


def _unread(made: Graph) -> list[Value]:
    unread = [
        value
        for value in dict.fromkeys(made.names.values())
        if not made.readers.get(value) and made.layers[value.layer].type not in SINKS
    ]
    return [v for v in unread if made.layers[v.layer].type not in DATA] or unread[:1]
