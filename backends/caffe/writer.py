"""Writes the layers of a network: a node becomes a layer of its own name.

An activation, a dropout or a scale works in place where nothing else needs what stood
there, as in MENNDL's networks. All nodes that cut one blob are one Slice layer.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from ribosome.backends.caffe.check import check_text
from ribosome.backends.caffe.layers import (
    Body,
    bodies,
    layer_text,
    number,
    quoted,
    slice_body,
)
from ribosome.backends.caffe.schema import Flavour
from ribosome.backends.titles import titles
from ribosome.genome.errors import UnsupportedOp
from ribosome.genome.network import Node
from ribosome.genome.ops import (
    ELU,
    BatchNorm,
    Bias,
    Convolution,
    Deconvolution,
    Dropout,
    Flatten,
    InnerProduct,
    Input,
    Jitter,
    Op,
    PReLU,
    ReLU,
    Reshape,
    Scale,
    Sigmoid,
    Slice,
    TanH,
)
from ribosome.templates.environment import template

SCALE_SUFFIX = "_scale"
"""Behind a BatchNorm node's name: the Scale layer that follows it."""

_TO_MAPS, _TO_VECTOR = Reshape((0, 1, 1)), Flatten()

_OVERWRITES = frozenset((ReLU, ELU, Sigmoid, TanH, PReLU, Dropout, Scale, Bias))
_OVERWRITTEN = frozenset(
    (Convolution, Deconvolution, InnerProduct, BatchNorm, Scale, Bias, Dropout)
)
"""Ops that learn without what they gave, so that another op may write over it. A pooling
is none of them: cuDNN's looks at it."""


class Writer:
    """Walks the nodes once; ``layers`` is their text, ``result`` the last one's blob.

    ``batches`` holds the batch sizes in training and in tests, which noise needs; without
    them nothing is jittered. ``in_use`` is the text without noise all the same. Raises
    UnsupportedOp for what Caffe has no layer for.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        flavour: Flavour,
        batches: tuple[int, int] | None = None,
    ) -> None:
        self._flavour: Flavour = flavour
        self._batches = batches
        self._nodes = {node.name: node for node in nodes}
        self._uses = Counter([name for node in nodes for name in node.inputs])
        self._blobs: dict[str, str] = {}
        self._noisy: dict[str, str] = {}  # blobs with noise, and what is under it
        self._still: dict[int, str] = {}  # texts that are others without noise
        self._cut: set[str] = set()
        self._text: list[str] = []
        headings = titles(nodes)
        for node in nodes:
            if node.name in headings:
                self._text.append(f"# {headings[node.name]}\n")
            special = _SPECIAL.get(type(node.op))
            if special is None:
                self._layer(node)
            else:
                special(self, node)
        self.layers = self.in_use = "".join(self._text)
        if self._still:
            for place, text in self._still.items():
                self._text[place] = text
            self.in_use = "".join(self._text)
        self.result = self._blobs[nodes[-1].name]

    def _layer(self, node: Node) -> None:
        name, op, inputs = node.name, node.op, node.inputs
        blobs = self._blobs
        bottoms = (
            (blobs[inputs[0]],) if len(inputs) == 1 else [blobs[x] for x in inputs]
        )
        top = name
        # In place, unless somebody else needs what stands there.
        if type(op) in _OVERWRITES and self._uses[inputs[0]] == 1:
            below = type(self._nodes[inputs[0]].op)
            if below in _OVERWRITTEN or (below is ReLU and type(op) is Dropout):
                top = name if _turns_signs(op) else bottoms[0]
        blobs[name] = top
        made = bodies(op, self._flavour)
        self._write(name, made[0], bottoms, (top,))
        for body in made[1:]:
            self._write(name + SCALE_SUFFIX, body, (top,), (top,))

    def _write(
        self, name: str, body: Body, bottoms: Sequence[str], tops: Sequence[str]
    ) -> None:
        noisy = self._noisy
        if noisy and not noisy.keys().isdisjoint(bottoms):
            still = [noisy.get(blob, blob) for blob in bottoms]
            self._still[len(self._text)] = layer_text(name, body, still, tops)
        self._text.append(layer_text(name, body, bottoms, tops))

    def _input(self, node: Node) -> None:
        self._blobs[node.name] = node.name

    def _batch_norm(self, node: Node) -> None:
        """NVIDIA's wants maps: a vector becomes maps of one pixel, and a vector again."""
        if self._flavour != "nvcaffe" or len(node.shape) != 1:
            self._layer(node)
            return
        name, flavour = node.name, self._flavour
        maps, normed, vector = (
            self._free(f"{name}_{what}") for what in ("maps", "normed", "vector")
        )
        (into,), (back,) = bodies(_TO_MAPS, flavour), bodies(_TO_VECTOR, flavour)
        source = self._blobs[node.inputs[0]]
        self._write(maps, into, (source,), (maps,))
        first, *rest = bodies(node.op, flavour)
        self._write(name, first, (maps,), (normed,))
        for body in rest:
            self._write(name + SCALE_SUFFIX, body, (normed,), (normed,))
        self._write(vector, back, (normed,), (name,))
        self._blobs[name] = name

    def _jitter(self, node: Node) -> None:
        """Noise of a DummyData layer, multiplied in; ones in tests, as MENNDL does it."""
        source = self._blobs[node.inputs[0]]
        if self._batches is None:
            self._blobs[node.name] = source
            return
        assert isinstance(node.op, Jitter)
        train, test = self._batches
        text = _jitter_text(
            self._free("jitter"),
            node.name,
            source,
            node.op.std,
            (train, *node.shape),
            (test, *node.shape),
            self._flavour,
        )
        self._still[len(self._text)] = ""
        self._text.append(text)
        self._noisy[node.name] = self._noisy.get(source, source)
        self._blobs[node.name] = node.name

    def _slice(self, node: Node) -> None:
        self._blobs[node.name] = node.name
        if node.name in self._cut:
            return
        parts = self._parts(node)
        name = f"slice_{node.name}" if self._cut else "slice"
        self._cut |= {part.name for part in parts}
        points = tuple(_op(part).begin for part in parts[1:])
        body = slice_body(_op(node).axis, points, self._flavour)
        source = self._blobs[node.inputs[0]]
        tops = [part.name for part in parts]
        self._write(self._free(name), body, (source,), tops)

    def _parts(self, node: Node) -> list[Node]:
        """The Slice nodes of the same blob, this one too, in the order of what they cut."""
        axis = _op(node).axis
        parts = [
            other
            for other in self._nodes.values()
            if isinstance(other.op, Slice)
            and other.inputs == node.inputs
            and other.op.axis == axis
        ]
        parts.sort(key=lambda part: _op(part).begin)
        begins = [_op(part).begin for part in parts]
        ends = [_op(part).end for part in parts]
        size = self._nodes[node.inputs[0]].shape[axis]
        if [*begins, size] != [0, *ends]:
            raise UnsupportedOp(
                f"{node.name}: Caffe cuts a blob into parts that lie side by side and leave "
                f"nothing out; these begin at {begins} and end at {ends} of {size}"
            )
        return parts

    def _free(self, name: str) -> str:
        """A name that no node has."""
        return free_name(name, self._nodes)


@lru_cache(maxsize=256)
def _jitter_text(
    noise: str,
    name: str,
    source: str,
    std: float,
    train: tuple[int, ...],
    test: tuple[int, ...],
    flavour: Flavour,
) -> str:
    text = template("caffe_jitter.prototxt.jinja").render(
        noise=quoted(noise),
        name=quoted(name),
        source=quoted(source),
        std=number(std),
        train=train,
        test=test,
    )
    check_text(text, "NetParameter", flavour)
    return text


def _turns_signs(op: Op) -> bool:
    """Whether an activation's gradient needs a sign that what it leaves does not tell."""
    return (isinstance(op, ReLU) and op.negative_slope < 0.0) or (
        isinstance(op, ELU) and op.alpha < 0.0
    )


def free_name(name: str, taken: "set[str] | dict[str, Node]") -> str:
    """The name, made longer until it is not among those taken."""
    while name in taken:
        name += "_"
    return name


def _op(node: Node) -> Slice:
    assert isinstance(node.op, Slice)
    return node.op


_SPECIAL = {
    Input: Writer._input,
    Jitter: Writer._jitter,
    Slice: Writer._slice,
    BatchNorm: Writer._batch_norm,
}
"""The ops that are more, or less, than one layer."""
