"""Network to slots: finds by structure what a space would call its layers.

The names of nodes, the slots that they may carry and the order in which independent nodes
stand are nothing to go by, so that networks from files are recognised too. Read as the same
network, because they compute the same:

- a dropout behind a ReLU as one before it: ReLU(m x) = m ReLU(x) for every m >= 0. Behind
  any other activation a dropout is something else, which no slot holds;
- a dropout or a jitter of 0, and a Flatten before an inner product, as nothing;
- a Softmax behind the last inner product, which deploy files have, as nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ribosome.genome.network import Network, Node, Shape
from ribosome.genome.ops import (
    ELU,
    LRN,
    BatchNorm,
    Concat,
    Convolution,
    Dropout,
    Flatten,
    GlobalPooling,
    InnerProduct,
    Jitter,
    Op,
    Pooling,
    ReLU,
    Sigmoid,
    Slice,
    Softmax,
    TanH,
)


@dataclass(frozen=True, slots=True)
class Part:
    """The nodes that fill one slot, of one tower.

    ``nodes`` stand as decode lays them down: the layer, its dropout, its activation; the
    parts of an inception module branch by branch. ``source`` is the shape that it reads.
    """

    case: str
    nodes: tuple[Node, ...]
    source: Shape
    dropout: Node | None = None
    activation: Node | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A network as parts: towers up to their join where the image is cut, trunk, head.

    ``problems`` says what no space can express, one line each, beginning with the name of
    a node; the rest then holds what was recognised beside it.
    """

    images: Node
    jitter: Node | None
    slices: tuple[Node, ...]
    towers: tuple[tuple[Part, ...], ...]
    join: Node | None
    trunk: tuple[Part, ...]
    head: Node | None
    problems: tuple[str, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        """One part a slot: those of the first tower, then the trunk's."""
        return (*self.towers[0], *self.trunk) if self.towers else self.trunk

    @property
    def merge(self) -> int:
        """The number of parts before the towers' join; 0 where the image is not cut."""
        return len(self.towers[0]) if self.towers else 0

    @property
    def ops(self) -> list[Op]:
        """Its ops in the order in which decode lays them down."""
        nodes = [self.images]
        if self.jitter is not None:
            nodes.append(self.jitter)
        nodes += self.slices
        for tower in self.towers:
            for part in tower:
                nodes += part.nodes
        if self.join is not None:
            nodes.append(self.join)
        for part in self.trunk:
            nodes += part.nodes
        if self.head is not None:
            nodes.append(self.head)
        return [node.op for node in nodes]


def recognise(network: Network) -> Draft:
    """The parts of any network. Never raises: what is none of them is a problem."""
    return _Recogniser().draft(network)


_CASES: dict[type, str] = {
    Convolution: "convolution",
    Pooling: "pooling",
    GlobalPooling: "global_pooling",
    LRN: "lrn",
    BatchNorm: "batch_norm",
    InnerProduct: "inner_product",
}
_WITH_DROPOUT = frozenset({"convolution", "inner_product"})
_WITH_ACTIVATION = _WITH_DROPOUT | {"pooling", "batch_norm"}
_BRANCHES: tuple[tuple[type, ...], ...] = (
    (Convolution, ReLU),
    (Convolution, ReLU, Convolution, ReLU),
    (Convolution, ReLU, Convolution, ReLU),
    (Pooling, Convolution, ReLU),
)
"""The branches of an inception module, in the order of the Concat's inputs."""


class _Recogniser:
    """Walks a network once and collects its parts and problems."""

    def __init__(self) -> None:
        self._problems: list[str] = []

    def draft(self, network: Network) -> Draft:
        blocks = list(_blocks(self._that_lead_on(network.nodes)))
        images = blocks[0][-1]
        source, jitter = images, None
        slices: tuple[Node, ...] = ()
        towers: list[tuple[Part, ...]] = []
        join: Node | None = None
        rest = blocks[1:]
        if rest and len(rest[0]) == 1 and isinstance(rest[0][0].op, Jitter):
            source = rest.pop(0)[-1]
            jitter = source if source.op != Jitter(0.0) else None
        if rest and isinstance(rest[0][0].op, Slice) and len(rest[0]) > 1:
            block = rest.pop(0)
            slices, join = self._slices(block, source), block[-1]
            towers = self._towers(block, slices)
            source = join
        trunk = self._parts(source, rest)
        head = self._head(trunk, network.nodes[-1])
        return Draft(
            images,
            jitter,
            slices,
            tuple(towers),
            join,
            tuple(trunk),
            head,
            tuple(self._problems),
        )

    def _problem(self, node: Node, what: str) -> None:
        self._problems.append(f"{node.name}: {what}")

    def _that_lead_on(self, nodes: Sequence[Node]) -> list[Node]:
        """The nodes that the output depends on, without a Softmax at the end."""
        if isinstance(nodes[-1].op, Softmax) and len(nodes) > 1:
            wanted = {nodes[0].name, *nodes[-1].inputs}
            nodes = nodes[:-1]
        else:
            wanted = {nodes[0].name, nodes[-1].name}
        kept: list[Node] = []
        for node in reversed(nodes):
            if node.name in wanted:
                wanted.update(node.inputs)
                kept.append(node)
            else:
                self._problem(node, "does not lead to the output")
        kept.reverse()
        return kept

    def _slices(self, block: Sequence[Node], source: Node) -> tuple[Node, ...]:
        found = [n for n in block if isinstance(n.op, Slice)]
        for node in found:
            if node.inputs != (source.name,):
                self._problem(node, "slices something else than the image")
        return tuple(sorted(found, key=_begin))

    def _towers(
        self, block: Sequence[Node], slices: tuple[Node, ...]
    ) -> list[tuple[Part, ...]]:
        """The parts of every tower; they are alike, but for the values of their fields."""
        join = block[-1]
        tower_of = {node.name: t for t, node in enumerate(slices)}
        chains: list[list[Node]] = [[node] for node in slices]
        for node in block[:-1]:
            if isinstance(node.op, Slice):
                continue
            reads = {tower_of.get(name) for name in node.inputs}
            tower = reads.pop() if len(reads) == 1 else None
            if tower is None:
                self._problem(node, "lies in no tower or in several")
                return []
            tower_of[node.name] = tower
            chains[tower].append(node)
        ends = tuple([chain[-1].name for chain in chains])
        if join.op != Concat() or join.inputs != ends:
            self._problem(
                join,
                "does not join the towers: one Concat along the channels does, in the "
                f"order of the channels ({', '.join(ends)})",
            )
            return []
        towers = [tuple(self._parts(c[0], list(_blocks(c))[1:])) for c in chains]
        if not all(towers):
            self._problem(join, "joins towers without layers")
            return []
        alike = all([self._alike(towers[0], tower, join) for tower in towers[1:]])
        return towers if alike else towers[:1]

    def _alike(self, first: Sequence[Part], other: Sequence[Part], join: Node) -> bool:
        for ours, theirs in zip(first, other, strict=False):
            if _kind(ours) != _kind(theirs):
                self._problem(
                    theirs.nodes[0],
                    f"differs in kind from {ours.nodes[0].name} of the first tower: the "
                    "towers of a space have the same layers",
                )
                return False
        if len(first) != len(other):
            self._problem(
                join, f"joins towers of {len(first)} and of {len(other)} layers"
            )
        return len(first) == len(other)

    def _parts(self, source: Node, blocks: Sequence[Sequence[Node]]) -> list[Part]:
        parts: list[Part] = []
        for place, block in enumerate(blocks):
            node = block[-1]
            if len(block) > 1:
                module = _inception(block, source)
                if module is not None:
                    parts.append(Part("inception", module, source.shape))
                else:
                    self._fork(block, source)
            elif (case := _CASES.get(type(node.op))) is not None:
                parts.append(Part(case, (node,), source.shape))
            elif isinstance(node.op, Dropout | ReLU | ELU | Sigmoid | TanH):
                self._companion(parts, node)
            elif not (
                node.op == Flatten()
                and place + 1 < len(blocks)
                and isinstance(blocks[place + 1][-1].op, InnerProduct)
            ):
                self._problem(node, f"no slot of any space holds {_an(node.op)}")
            source = node
        return parts

    def _fork(self, block: Sequence[Node], source: Node) -> None:
        self._problem(
            block[-1],
            f"ends a fork of {len(block)} layers behind {source.name}, which is no "
            "inception module (four branches, 1x1, 3x3 and 5x5 with their reductions and "
            "MAX pooling with its projection, a ReLU behind each convolution, joined in "
            "this order)",
        )

    def _companion(self, parts: list[Part], node: Node) -> None:
        op = node.op
        if op == Dropout(0.0):
            return
        last = parts[-1] if parts else None
        holds = _WITH_DROPOUT if isinstance(op, Dropout) else _WITH_ACTIVATION
        if last is None or last.case not in holds:
            behind = last.nodes[-1].name if last is not None else "the image"
            self._problem(node, f"no slot holds {_an(op)} behind {behind}")
        elif not isinstance(op, Dropout):
            if last.activation is not None:
                what = f"a slot holds one activation: {last.activation.name} is that"
                self._problem(node, what)
                return
            parts[-1] = _with(last, last.dropout, node)
        elif last.dropout is not None:
            self._problem(
                node, f"a slot holds one dropout: {last.dropout.name} is that"
            )
        elif last.activation is None or isinstance(last.activation.op, ReLU):
            parts[-1] = _with(last, node, last.activation)
        else:
            self._problem(
                node,
                f"drops out behind {_an(last.activation.op)}, {last.activation.name}: a "
                "slot drops out before its activation, which is the same for ReLU only",
            )

    def _head(self, trunk: list[Part], end: Node) -> Node | None:
        """Takes the last inner product off the trunk."""
        last = trunk[-1] if trunk else None
        if last is None or last.case != "inner_product" or len(last.nodes) > 1:
            self._problem(
                end,
                "ends the network, which an inner product with one output per class, and "
                "nothing behind it, has to",
            )
            return None
        trunk.pop()
        return last.nodes[0]


def _blocks(nodes: Sequence[Node]) -> Iterator[Sequence[Node]]:
    """Cuts nodes wherever one value alone leads on: single nodes, and forks up to their join.

    The last node of a block is all that later ones read of it.
    """
    place = {node.name: i for i, node in enumerate(nodes)}
    last_use = list(range(len(nodes)))
    for i, node in enumerate(nodes):
        for name in node.inputs:
            if name in place:
                last_use[place[name]] = i
    start, reach = 0, 0
    for i, last in enumerate(last_use):
        if reach <= i:
            yield nodes[start : i + 1]
            start = i + 1
        if last > reach:
            reach = last


def _inception(block: Sequence[Node], source: Node) -> tuple[Node, ...] | None:
    """The nodes of an inception module in decode's order; None for any other fork."""
    join = block[-1]
    if join.op != Concat() or len(join.inputs) != len(_BRANCHES):
        return None
    named = {node.name: node for node in block}
    module: list[Node] = []
    for name, kinds in zip(join.inputs, _BRANCHES, strict=True):
        branch: list[Node] = []
        for kind in reversed(kinds):
            node = named.get(name)
            if node is None or len(node.inputs) != 1 or type(node.op) is not kind:
                return None
            branch.append(node)
            name = node.inputs[0]
        if name != source.name:
            return None
        module += reversed(branch)
    pooling = module[10].op
    if isinstance(pooling, Pooling) and pooling.method != "MAX":
        return None
    # Fewer nodes in the block than in the branches: two branches share some.
    return (*module, join) if len(module) + 1 == len(block) else None


def _with(part: Part, dropout: Node | None, activation: Node | None) -> Part:
    companions = [node for node in (dropout, activation) if node is not None]
    nodes = (part.nodes[0], *companions)
    return Part(part.case, nodes, part.source, dropout, activation)


def _kind(part: Part) -> tuple[object, ...]:
    """What must be equal in all towers: no value of these is near to another."""
    op = part.nodes[0].op
    names = [getattr(op, field, None) for field in ("method", "region")]
    activation = None if part.activation is None else type(part.activation.op)
    return (part.case, *names, activation)


def _begin(node: Node) -> int:
    return node.op.begin if isinstance(node.op, Slice) else 0


def _an(op: Op) -> str:
    name = type(op).__name__
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
