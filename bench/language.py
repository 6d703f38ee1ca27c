"""Figures of the genome language: totality, speed, compression.

``python -m bench.language`` prints:

- 100,000 random genomes of each space decoded, with the number of errors;
- 1,000 random networks built, run forward and backward, every shape compared (needs torch);
- decode, and decode + emit, in genomes per second of one core, on genomes never seen before;
- genome length against log2 of the space, and the ratio of emitted text to genome.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np

from ribosome.backends.pytorch.emit import emit, emit_module
from ribosome.genome.codec import pack, unpack
from ribosome.genome.decode import decode
from ribosome.genome.fit import canonical
from ribosome.genome.space import Genes, Space
from ribosome.genome.space_file import load_space, shipped_spaces
from ribosome.genome.task import DIGITS, Task
from ribosome.search.variation import draw

TASKS = (DIGITS, Task("colour", 3, 32, 32, 10), Task("nova", 2, 100, 80, 8))


def main() -> None:
    """Print every figure."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--decodes", type=int, default=100_000)
    options.add_argument("--networks", type=int, default=1_000)
    options.add_argument("--rounds", type=int, default=7)
    given = options.parse_args()
    for name in shipped_spaces():
        space = load_space(name)
        print(
            f"{name}: log2(space) {space.bits:.1f} bits, genome {space.genome_bytes} bytes, "
            f"{space.genome_bytes - space.bits / 8:.2f} bytes more"
        )
        totality(space, given.decodes)
        speed(space, given.rounds)
    networks(load_space("menndl"), given.networks)


def genomes(space: Space, seed: int) -> Iterator[Genes]:
    """Random genomes without end, half of them uniform over all codes."""
    rng = np.random.default_rng(seed)
    while True:
        yield draw(space.groups, rng)
        number = int.from_bytes(rng.bytes(space.genome_bytes + 8), "big") % space.size
        yield unpack(space, number.to_bytes(space.genome_bytes, "big"))


def totality(space: Space, count: int) -> None:
    """Decode so many genomes, turn by turn for every task."""
    errors = 0
    for number, genes in zip(range(count), genomes(space, 1), strict=False):
        task = TASKS[number % len(TASKS)]
        try:
            errors += decode(space, genes, task).network.output.shape != (task.classes,)
        except Exception as error:
            errors += 1
            print(f"  genome {number}: {type(error).__name__}: {error}")
    print(f"  {count} random genomes decoded, {errors} errors")


def speed(space: Space, rounds: int) -> None:
    """Medians over rounds of 1,000 fresh genomes each, in CPU time of one core."""
    steps: dict[str, Callable[[bytes], object]] = {
        "decode to IR": lambda code: decode(space, unpack(space, code), DIGITS),
        "decode + emit": lambda code: emit(
            decode(space, unpack(space, code), DIGITS), DIGITS
        ),
        "canonical": lambda code: canonical(space, unpack(space, code), DIGITS),
    }
    rates: dict[str, list[float]] = {name: [] for name in steps}
    ratios: list[float] = []
    for turn in range(rounds):
        for offset, (name, step) in enumerate(steps.items()):
            rng = np.random.default_rng(1000 * turn + offset)
            codes = [pack(space, draw(space.groups, rng)) for _ in range(1000)]
            start = time.process_time()
            for code in codes:
                step(code)
            rates[name].append(len(codes) / (time.process_time() - start))
            if name == "decode + emit" and turn == 0:
                ratios = [_ratio(space, code) for code in codes]
    for name, found in rates.items():
        low, high = min(found), max(found)
        print(f"  {name}: {statistics.median(found):.0f}/s ({low:.0f} to {high:.0f})")
    print(f"  emitted module / genome: median {statistics.median(ratios):.0f} times")


def _ratio(space: Space, code: bytes) -> float:
    model = decode(space, unpack(space, code), DIGITS)
    return len(emit_module(model, DIGITS).encode()) / space.genome_bytes


def networks(space: Space, count: int) -> None:
    """Build random networks and compare every layer's shape, forward and backward."""
    import torch

    torch.set_num_threads(1)
    task = Task("colour", 3, 20, 24, 5)
    wrong = 0
    for _, genes in zip(range(count), genomes(space, 2), strict=False):
        model = decode(space, genes, task)
        namespace: dict[str, object] = {"__name__": "emitted"}
        exec(emit_module(model, task), namespace)  # noqa: S102
        network = namespace["Network"]()  # type: ignore[operator]
        shapes: dict[str, tuple[int, ...]] = {}
        for name, layer in network.named_children():
            layer.register_forward_hook(
                lambda _l, _i, out, name=name, shapes=shapes: shapes.update(
                    {name: tuple(out.shape[1:])}
                )
            )
        logits = network(torch.rand(2, *task.shape))
        logits.logsumexp(1).sum().backward()
        inferred = {n.name.replace("/", "_"): n.shape for n in model.network.nodes}
        wrong += shapes != {name: inferred[name] for name in shapes}
        wrong += any(p.grad is None for p in network.parameters())
    print(f"{count} random networks built, run forward and backward; {wrong} wrong")


if __name__ == "__main__":
    main()
