"""The comment that stands above every slot's layers in emitted text."""

from collections.abc import Sequence
from functools import lru_cache

from ribosome.genome.network import Node
from ribosome.genome.ops import Slice, Softmax
from ribosome.templates.environment import plain


def titles(nodes: Sequence[Node]) -> dict[str, str]:
    """For the first node of every slot and tower, by its name: what the slot holds.

    As in "slot 3, tower 0: Convolution, leaves 32 x 8 x 8"; the tower only where the
    network is cut. A network from a file has no slots: only its head has a title.
    """
    found: dict[str, str] = {}
    cut = any(type(node.op) is Slice for node in nodes[1:3])
    first: Node | None = None  # of the slot at hand
    last, tower = nodes[0], ""
    for node in nodes:
        here = _tower(node.name) if cut else ""
        if node.slot != last.slot or here != tower:
            if first is not None:
                found[first.name] = _title(first, last, tower)
            first, tower = (node if node.slot is not None else None), here
        last = node
    ends_in_softmax = isinstance(nodes[-1].op, Softmax) and len(nodes) > 1
    found[nodes[-2 if ends_in_softmax else -1].name] = "the head"
    return found


def _title(first: Node, last: Node, tower: str) -> str:
    kind = "Inception" if "/" in first.name else type(first.op).__name__
    shape = " x ".join(map(str, last.shape))
    where = f"slot {first.slot}, tower {tower}" if tower else f"slot {first.slot}"
    return f"{where}: {kind}, leaves {shape}"


@lru_cache(maxsize=4096)
def _tower(name: str) -> str:
    return plain(name.partition("/")[0].rpartition("_")[2])
