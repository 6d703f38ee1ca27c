"""Prototxt of anyone's into the network IR: what a train_val or deploy file computes.

The layers of one phase are a graph (`graph`); the part of it that leads to the output becomes
nodes, one for a layer, and the rest is left out with a note. Nodes are named as their layers,
the input and the parts of a Slice as their blobs.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ribosome.backends.caffe.graph import (
    DATA,
    SINKS,
    Graph,
    Value,
    find_output,
    graph,
)
from ribosome.backends.caffe.inputs import (
    ImageShape,
    Noise,
    batch_size,
    find_noise,
    input_op,
)
from ribosome.backends.caffe.lexer import short
from ribosome.backends.caffe.phases import Phase, State, included
from ribosome.backends.caffe.prototxt import Parsed, parse_any
from ribosome.backends.caffe.read_layers import read_op, scale_blobs, slice_ops
from ribosome.backends.caffe.upgrade import Layer, layers_of
from ribosome.genome.cost import blobs as blobs_of
from ribosome.genome.errors import ReadError, ShapeError
from ribosome.genome.network import Network, Node
from ribosome.genome.ops import BatchNorm, Flatten, Jitter, Op, Reshape
from ribosome.genome.shapes import infer

Place = tuple[str, int]
"""Where a caffemodel has a blob: the layer's name, and the blob's place in it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A network read from a file.

    ``name`` is the file's own. ``notes`` say what was left out. ``blobs`` gives, by node and
    blob name, where a caffemodel has the values; a BatchNorm has ``mean``, ``variance`` and
    the ``factor`` that Caffe keeps them multiplied by. ``lines`` are where the nodes' layers
    begin.
    ``batch_size`` is the data layer's in this phase, None where the file does not say.
    """

    network: Network
    notes: tuple[str, ...]
    blobs: Mapping[str, Mapping[str, Place]]
    lines: Mapping[str, int]
    batch_size: int | None
    name: str = ""


def read_network(
    text: str | bytes | Parsed,
    *,
    path: str,
    phase: Phase = "TEST",
    shape: ImageShape | None = None,
    output: str | None = None,
    stages: Collection[str] = (),
    level: int = 0,
) -> Reading:
    """The network that a prototxt of either flavour and any age describes.

    ``text`` may have been parsed already. ``path`` is for messages. ``shape``, (channels,
    height, width), is needed where the file does not tell it. ``output`` names the blob or
    layer to end in where the file has several ends. ``phase``, ``stages`` and ``level`` are
    what include and exclude rules are held against; the file's own ``state`` adds to the
    last two.

    Raises ReadError, with line, layer and field, for what cannot be read.
    """
    parsed = (
        text if isinstance(text, Parsed) else parse_any(text, "NetParameter", path=path)
    )
    every = layers_of(parsed, path)
    if not every:
        raise ReadError(f"{path}: the network has no layers")
    own = parsed.message.state
    state = State(phase, own.level or level, {*stages, *own.stage})
    made = graph(included(every, state), every)
    noises = find_noise(made, every)
    end = find_output(made, output, path)
    if made.layers[end.layer].type in DATA:
        raise ReadError(
            f"{path}: nothing is computed: the output {short(made.name(end))} is an input"
        )
    needed = made.needed(end, {at: noise.source for at, noise in noises.items()})
    builder = _Builder(made, needed, noises, _entrance(made, needed, path), shape)
    for index in needed:
        builder.add(index)
    return Reading(
        network=builder.network(end),
        notes=_notes(made, needed, end),
        blobs=builder.blobs,
        lines=builder.lines,
        batch_size=batch_size(made.layers[builder.entrance.layer]),
        name=parsed.message.name,
    )


def _entrance(made: Graph, needed: Sequence[int], path: str) -> Value:
    """The one value of a data layer that the output depends on."""
    wanted = set(needed)
    found = [
        value
        for index in needed
        if made.layers[index].type in DATA
        for value in _tops(made, index)
        if any(reader in wanted for reader in made.readers.get(value, ()))
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ReadError(
            f"{path}: nothing leads from a data or Input layer to the output"
        )
    names = ", ".join(short(made.name(value)) for value in found[:20])
    layer = made.layers[found[1].layer]
    layer.fail("top", f"the output depends on several inputs: {names}; one can be read")


def _tops(made: Graph, index: int) -> list[Value]:
    return [Value(index, top) for top in range(len(made.layers[index].message.top))]


class _Builder:
    """Makes nodes of layers, in order; ``blobs`` and ``lines`` grow with them."""

    def __init__(
        self,
        made: Graph,
        needed: Sequence[int],
        noises: Mapping[int, Noise],
        entrance: Value,
        shape: ImageShape | None,
    ) -> None:
        self.entrance = entrance
        self.blobs: dict[str, dict[str, Place]] = {}
        self.lines: dict[str, int] = {}
        self._graph = made
        self._needed = set(needed)
        self._noises = noises
        self._shape = shape
        self._nodes: dict[Value, Node] = {}
        self._taken: dict[str, int] = {}
        self._shared: dict[str, Layer] = {}
        self._detours: set[Value] = set()  # what a Flatten takes back from maps

    def add(self, index: int) -> None:
        """The nodes of a layer."""
        layer = self._graph.layers[index]
        if index == self.entrance.layer:
            self._add_input(layer)
            return
        if Value(index, 0) in self._nodes:  # a Scale that is part of a BatchNorm
            return
        noise = self._noises.get(index)
        values = (noise.source,) if noise else self._graph.inputs[index]
        inputs = [self._input(layer, value) for value in values]
        shapes = [node.shape for node in inputs]
        if noise is not None:
            self._add(Value(index, 0), layer, layer.name, Jitter(noise.std), inputs)
        elif layer.type == "Slice":
            tops = layer.message.top
            for top, part in enumerate(slice_ops(layer, shapes)):
                self._add(Value(index, top), layer, tops[top], part, inputs)
        else:
            self._check_sharing(layer)
            op = read_op(layer, shapes)
            if self._is_detour(index, op, inputs):
                self._nodes[Value(index, 0)] = inputs[0]
                return
            if isinstance(op, BatchNorm) and self._add_batch_norm(index, op, inputs):
                return
            node = self._add(Value(index, 0), layer, layer.name, op, inputs)
            self._find_blobs(node, layer)

    def network(self, end: Value) -> Network:
        """The nodes, the output's last."""
        last = self._nodes.pop(end)
        # A BatchNorm's node stands for its Scale layer's value too.
        nodes = dict.fromkeys([*self._nodes.values(), last])
        return Network(tuple(nodes))

    def _add_input(self, layer: Layer) -> None:
        noise = next((n.shape for n in self._noises.values() if n.shape), None)
        op = input_op(layer, self.entrance.top, self._shape, noise)
        name = self._graph.name(self.entrance)
        self._add(self.entrance, layer, name, op, [])

    def _add(
        self, value: Value, layer: Layer, name: str, op: Op, inputs: Sequence[Node]
    ) -> Node:
        name = self._free(name or "layer")
        try:
            shape = infer(op, [node.shape for node in inputs], name=name)
        except ShapeError as error:
            raise ReadError(f"{layer.path}:{layer.line}: {error}") from None
        node = Node(name, op, tuple(node.name for node in inputs), shape)
        self._nodes[value] = node
        self.lines[name] = layer.line
        return node

    def _free(self, name: str) -> str:
        """The name, with a number behind it where an earlier node has it already."""
        free = name
        while free in self._taken:
            self._taken[name] += 1
            free = f"{name}_{self._taken[name]}"
        self._taken[free] = 1
        return free

    def _add_batch_norm(self, index: int, op: BatchNorm, inputs: list[Node]) -> bool:
        """A BatchNorm whose only reader is a Scale with a term: both are one node."""
        value, made = Value(index, 0), self._graph
        readers = made.readers.get(value, ())
        if op.scale is not None or len(readers) != 1 or readers[0] not in self._needed:
            return False
        scale = made.layers[readers[0]]
        parameters = scale.message.scale_param
        single = len(made.inputs[readers[0]]) == 1 and len(scale.message.top) == 1
        if scale.type != "Scale" or not single or not parameters.bias_term:
            return False
        if parameters.axis != 1 or parameters.num_axes != 1:
            return False
        self._check_sharing(scale)
        factor, term = scale_blobs(scale)
        layer = made.layers[index]
        op = replace(op, scale=factor, shift=term)
        node = self._add(value, layer, layer.name, op, inputs)
        self._nodes[Value(readers[0], 0)] = node
        self._find_blobs(node, layer)
        places = {"scale": (scale.name, 0), "shift": (scale.name, 1)}
        self.blobs[node.name] |= places
        return True

    def _is_detour(self, index: int, op: Op, inputs: Sequence[Node]) -> bool:
        """A vector becomes maps for a BatchNorm alone (NVCaffe's needs them), or is back."""
        made = self._graph
        if isinstance(op, Flatten):
            return made.inputs[index][0] in self._detours
        if not isinstance(op, Reshape) or len(inputs[0].shape) != 1:
            return False
        value, path = Value(index, 0), list[str]()
        while len(readers := made.readers.get(value, ())) == 1 and len(path) < 3:
            value = Value(readers[0], 0)
            path.append(made.layers[readers[0]].type)
            if path[-1] == "Flatten":
                break
        to_maps = op.shape in [(size, 1, 1) for size in (0, -1, *inputs[0].shape)]
        known = path in (["BatchNorm", "Flatten"], ["BatchNorm", "Scale", "Flatten"])
        if not (known and to_maps and value.layer in self._needed):
            return False
        self._detours.add(made.inputs[value.layer][0])
        return True

    def _find_blobs(self, node: Node, layer: Layer) -> None:
        names = list(blobs_of(node.op))
        if isinstance(node.op, BatchNorm):
            names = ["mean", "variance", "factor", *names]
        places = {name: (layer.name, place) for place, name in enumerate(names)}
        if places:
            self.blobs[node.name] = places

    def _check_sharing(self, layer: Layer) -> None:
        for spec in layer.message.param:
            if not spec.name:
                continue
            other = self._shared.setdefault(spec.name, layer)
            if other is not layer:
                layer.fail(
                    "param.name",
                    f"shares {short(spec.name)} with layer {short(other.name)}; shared "
                    "blobs cannot be read",
                )

    def _input(self, layer: Layer, value: Value) -> Node:
        node = self._nodes.get(value)
        if node is None:
            name = short(self._graph.name(value))
            layer.fail("bottom", f"{name} is no image of the network's input")
        return node


def _notes(made: Graph, needed: Sequence[int], end: Value) -> tuple[str, ...]:
    """What of a phase's layers is not in the network; its own loss goes without saying."""
    known = {*needed}
    known |= {
        i for i, layer in enumerate(made.layers) if layer.type in (*DATA, "Split")
    }
    known |= {reader for reader in made.readers.get(end, ()) if _implied(made, reader)}
    ends = [i for i in range(len(made.layers)) if i not in known]
    measures = [made.layers[i] for i in ends if made.layers[i].type in SINKS]
    branches = [made.layers[i] for i in ends if made.layers[i].type not in SINKS]
    notes = []
    if measures:
        notes.append(f"left out, they only measure or end: {_list(measures)}")
    if branches:
        notes.append(f"left out, the output does not depend on them: {_list(branches)}")
    for index in needed:
        layer = made.layers[index]
        statistics = layer.message.batch_norm_param
        transform = layer.message.transform_param
        if layer.type == "BatchNorm" and statistics.HasField("use_global_stats"):
            notes.append(
                f"{short(layer.name)}: use_global_stats is left out: statistics are the "
                "batch's in training, the stored ones in tests"
            )
        if not all(layer.message.propagate_down):
            notes.append(
                f"{short(layer.name)}: propagate_down is left out: gradients pass"
            )
        if any(layer.message.loss_weight):
            notes.append(
                f"{short(layer.name)}: loss_weight is left out: its output is no loss"
            )
        if layer.type in DATA and transform.ListFields():
            names = ", ".join(field.name for field, _ in transform.ListFields())
            notes.append(f"{short(layer.name)}: transform_param is left out: {names}")
    return tuple(notes)


def _implied(made: Graph, reader: int) -> bool:
    return made.layers[reader].type in ("Accuracy", "SoftmaxWithLoss")


def _list(layers: Sequence[Layer]) -> str:
    names = [f"{short(layer.name)} ({short(layer.type)})" for layer in layers[:20]]
    more = f" and {len(layers) - 20} more" if len(layers) > 20 else ""
    return ", ".join(names) + more
