"""Networks by hand, and networks that have lost what only decode knows of them."""

import random
from collections.abc import Sequence
from dataclasses import replace

from ribosome.genome.network import Network, Node
from ribosome.genome.ops import (
    Blob,
    Concat,
    Convolution,
    Filler,
    InnerProduct,
    Input,
    Op,
    Pooling,
    ReLU,
)
from ribosome.genome.shapes import infer

BIAS = Blob(Filler("constant"), lr_mult=2.0, decay_mult=0.0)


class Builder:
    """Adds nodes without slots; each reads the last one unless told otherwise."""

    def __init__(
        self, channels: int, height: int, width: int, *, name: str = "data"
    ) -> None:
        self.nodes: list[Node] = []
        self.add(name, Input(channels, height, width), ())

    def add(self, name: str, op: Op, inputs: Sequence[str] | None = None) -> str:
        """One node more; returns its name."""
        if inputs is None:
            inputs = (self.nodes[-1].name,)
        shapes = {node.name: node.shape for node in self.nodes}
        shape = infer(op, [shapes[source] for source in inputs], name=name)
        self.nodes.append(Node(name, op, tuple(inputs), shape))
        return name

    def inception(self, prefix: str, source: str) -> str:
        """MENNDL's inception module; returns the name of its Concat."""

        def conv(name: str, source: str, width: int, kernel: int) -> str:
            op = convolution(width, kernel, pad=kernel // 2, bias=0.2)
            self.add(f"{prefix}/{name}", op, (source,))
            return self.add(f"{prefix}/relu_{name}", ReLU())

        parts = [conv("1x1", source, 64, 1)]
        parts.append(conv("3x3", conv("3x3_reduce", source, 96, 1), 128, 3))
        parts.append(conv("5x5", conv("5x5_reduce", source, 16, 1), 32, 5))
        pool = Pooling("MAX", 3, 3, 1, 1, 1, 1)
        pooled = self.add(f"{prefix}/pool", pool, (source,))
        parts.append(conv("pool_proj", pooled, 32, 1))
        return self.add(f"{prefix}/output", Concat(), parts)

    @property
    def network(self) -> Network:
        """The nodes so far."""
        return Network(tuple(self.nodes))


def convolution(
    width: int,
    kernel: int | tuple[int, int],
    *,
    stride: int = 1,
    pad: int | tuple[int, int] = 0,
    filler: Filler | str = "xavier",
    bias: float = 0.0,
) -> Convolution:
    """A convolution; a pair is (along h, along w)."""
    kernels = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    pads = pad if isinstance(pad, tuple) else (pad, pad)
    shift = replace(BIAS, filler=Filler("constant", value=bias))
    return Convolution(width, *kernels, stride, stride, *pads, _weight(filler), shift)


def pooling(kernel: int, stride: int, method: str = "MAX") -> Pooling:
    """A square pooling."""
    return Pooling(method, kernel, kernel, stride, stride)  # type: ignore[arg-type]


def inner_product(width: int, filler: Filler | str = "xavier") -> InnerProduct:
    """An inner product."""
    return InnerProduct(width, _weight(filler), BIAS)


def stripped(network: Network, seed: int) -> Network:
    """The same network in another order of its nodes, with other names and without slots."""
    rng = random.Random(seed)
    names = [f"node{number}" for number in range(len(network.nodes))]
    rng.shuffle(names)
    new = {node.name: name for node, name in zip(network.nodes, names, strict=True)}
    waiting, done = list(network.nodes), []
    while waiting:
        ready = [
            n for n in waiting if all(s in {d.name for d in done} for s in n.inputs)
        ]
        node = rng.choice(ready)
        waiting.remove(node)
        done.append(node)
    return Network(
        tuple(
            replace(
                node,
                name=new[node.name],
                inputs=tuple(new[source] for source in node.inputs),
                slot=None,
            )
            for node in done
        )
    )


def _weight(filler: Filler | str) -> Blob:
    return Blob(Filler(filler) if isinstance(filler, str) else filler)  # type: ignore[arg-type]
