"""Figures of the Caffe backend's text: speed of emission, and compression.

``python -m bench.prototxt`` prints:

- decode + emit of all three files, in networks per second of one core, on genomes never seen
  before, as `ribosome random` draws them and as a search breeds them. Beside it stands
  Caffe's own generator, pycaffe's NetSpec, which builds a message from Python values and
  then has its text made by protobuf: first the second half alone,
  ``text_format.MessageToString`` on the same three messages, then both halves, the fields
  set one by one. The rounds alternate.
- bytes of train_val and solver, comments left out, over bytes of the genome: as `ribosome
  random` draws genomes and uniformly over all codes; beside what gzip, xz and zstd (without
  and with a dictionary trained on 2,000 other networks) make of the same text, and the bound
  that no lossless code of a fixed length can beat, log2 of the size of the space;
- 10,000 genomes emitted, read and encoded again, with the number of those that changed.
"""

import argparse
import gzip
import lzma
import math
import re
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ribosome.backends.caffe.emit import SOLVER, TRAIN_VAL, emit
from ribosome.backends.caffe.read_model import read_model
from ribosome.backends.caffe.schema import FLAVOURS, message
from ribosome.genome.codec import from_text, to_text, unpack
from ribosome.genome.decode import decode
from ribosome.genome.encode import encode
from ribosome.genome.errors import RibosomeError
from ribosome.genome.space import Genes, Space
from ribosome.genome.space_file import load_space, shipped_spaces
from ribosome.genome.task import DIGITS, Task
from ribosome.search.variation import Mutation, cross_uniform, draw
from tests.golden_genomes import GENOMES, genome

TASKS = (
    DIGITS,
    Task("colour", 3, 32, 32, 10, mean=(125.0, 123.0, 114.0), scale=0.017, val=10_000),
    Task("nova", 2, 100, 80, 8, val=10_000),
    Task("four views", 4, 64, 64, 8, val=10_000),
)
NOVA = "two_towers_of_menndl_for_nova"
Way = Callable[[Space, int], Iterator[Genes]]
"""Genomes of a space without end, for a seed."""

Values = tuple[tuple[str, Any], ...]
"""The fields of a message: names with numbers, strings, `Values`, or lists of these."""

GOAL_SPEED, GOAL_RATIO = 5.0, 300.0


def main() -> None:
    """Print every figure."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--networks", type=int, default=300, help="of a round")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--compressed", type=int, default=1000)
    options.add_argument("--round-trips", type=int, default=10_000)
    given = options.parse_args()
    for name, task in (("lenet", DIGITS), ("menndl", DIGITS), ("menndl", TASKS[1])):
        for way in (drawn, bred):
            speed(load_space(name), task, way, given.networks, given.rounds)
    for name in shipped_spaces():
        space = load_space(name)
        print(
            f"{name}: genome {space.genome_bytes} bytes; bound of a fixed length "
            f"{space.bits / 8:.1f}, entropy of the draw {entropy(space) / 8:.1f}"
        )
        for task in TASKS:
            ways = {"drawn": drawn(space, 1), "uniform": uniform(space, 1)}
            for way, genomes in ways.items():
                compression(space, task, way, genomes, given.compressed)
    nova()
    round_trips(given.round_trips)


def drawn(space: Space, seed: int) -> Iterator[Genes]:
    """Genomes as `ribosome random` draws them."""
    rng = np.random.default_rng(seed)
    while True:
        yield draw(space.groups, rng)


def bred(space: Space, seed: int) -> Iterator[Genes]:
    """What a search proposes, search by search: 24 drawn ones, then 276 of their children.

    No one is fitter than others here: any two of the last 24 breed.
    """
    rng, mutated = np.random.default_rng(seed), Mutation(space.groups)
    while True:
        alive: deque[Genes] = deque(maxlen=24)
        for number in range(300):
            if number < 24:
                child = draw(space.groups, rng)
            else:
                mother, father = rng.choice(24, 2, replace=False)
                child = mutated(cross_uniform(alive[mother], alive[father], rng), rng)
            alive.append(child)
            yield child


def uniform(space: Space, seed: int) -> Iterator[Genes]:
    """Genomes of which each is as likely as any other."""
    rng = np.random.default_rng(seed)
    while True:
        number = int.from_bytes(rng.bytes(space.genome_bytes + 8), "big") % space.size
        yield unpack(space, number.to_bytes(space.genome_bytes, "big"))


def entropy(space: Space) -> float:
    """Bits that a genome as drawn takes on average in the best code that there is."""
    return sum(
        _entropy([case.weight for case in group.cases])
        + sum(
            case.weight
            / sum(other.weight for other in group.cases)
            * sum(_entropy(gene.weights) for gene in case.genes)
            for case in group.cases
        )
        for group in space.groups
    )


def _entropy(weights: Sequence[float]) -> float:
    shares = [weight / sum(weights) for weight in weights if weight]
    return -sum(share * math.log2(share) for share in shares)


def speed(space: Space, task: Task, way: Way, count: int, rounds: int) -> None:
    """Networks per second, ours and protobuf's, in turns."""
    from google.protobuf import text_format

    ours, texts_only, wholes = [], [], []
    genomes = way(space, 2)
    for number in range(rounds + 1):
        some = [next(genomes) for _ in range(count)]
        files: list[dict[str, str]] = []
        took = timed(
            lambda some=some, files=files: files.extend(
                emit(decode(space, genes, task), task, "caffe") for genes in some
            )
        )
        nets = [
            text_format.Parse(text, message(_message(path), "caffe")())
            for texts in files
            for path, text in texts.items()
        ]
        text_only = timed(
            lambda nets=nets: [text_format.MessageToString(net) for net in nets]
        )
        kinds = [(type(net), values_of(net)) for net in nets]
        whole = timed(
            lambda kinds=kinds: [
                text_format.MessageToString(built(kind(), values))
                for kind, values in kinds
            ]
        )
        if number:  # the first round warms up
            ours.append(took / count)
            texts_only.append(text_only / count)
            wholes.append(whole / count)
    layers = statistics.median(text[TRAIN_VAL].count("layer {") for text in files)
    print(
        f"{space.name} for {task.name}, {way.__name__}: {layers:.0f} layers; decode + emit "
        f"{1 / median(ours):.0f}/s"
    )
    for name, theirs in (("text alone", texts_only), ("build and text", wholes)):
        ratios = [their / our for their, our in zip(theirs, ours, strict=True)]
        print(
            f"  protobuf's {name} {1 / median(theirs):.0f}/s: {median(ratios):.1f} times "
            f"({min(ratios):.1f} to {max(ratios):.1f}; goal {GOAL_SPEED:g})"
        )


def values_of(message: Any) -> Values:
    """The fields of a message that are set, as plain Python values."""
    values = []
    for field, value in message.ListFields():
        if field.message_type is None:
            values.append((field.name, list(value) if field.is_repeated else value))
        elif field.is_repeated:
            values.append((field.name, [values_of(item) for item in value]))
        else:
            values.append((field.name, values_of(value)))
    return tuple(values)


def built(message: Any, values: Values) -> Any:
    """The message with its fields set, one by one: what a generator must do for its text."""
    for name, value in values:
        if isinstance(value, tuple):
            built(getattr(message, name), value)
        elif not isinstance(value, list):
            setattr(message, name, value)
        elif isinstance(value[0], tuple):
            field = getattr(message, name)
            for item in value:
                built(field.add(), item)
        else:
            getattr(message, name).extend(value)
    return message


def timed(work: Callable[[], object]) -> float:
    """Seconds that something takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def compression(
    space: Space, task: Task, way: str, genomes: Iterator[Genes], count: int
) -> None:
    """The ratio of text to genome, and what compressors make of the text."""
    import zstandard

    texts = [text_of(space, next(genomes), task) for _ in range(count)]
    others = [text_of(space, next(genomes), task) for _ in range(2000)]
    trained = zstandard.train_dictionary(65536, others)
    ratios = [len(text) / space.genome_bytes for text in texts]
    sizes = {
        "gzip": median(len(gzip.compress(text, 9)) for text in texts),
        "xz": median(len(lzma.compress(text, preset=9)) for text in texts),
        "zstd": median(
            len(zstandard.ZstdCompressor(level=19).compress(text)) for text in texts
        ),
        "zstd + dictionary": median(
            len(zstandard.ZstdCompressor(level=19, dict_data=trained).compress(text))
            for text in texts
        ),
    }
    above = sum(ratio > 1000 for ratio in ratios) / count
    listed = ", ".join(f"{name} {size:.0f}" for name, size in sizes.items())
    print(
        f"  {task.name}, {way}: {median(map(len, texts)):.0f} bytes, "
        f"{median(ratios):.0f} times (goal {GOAL_RATIO:.0f}), {min(ratios):.0f} to "
        f"{max(ratios):.0f}, {above:.1%} above 1,000; compressed to {listed}"
    )


def nova() -> None:
    """The NOvA network: MENNDL's own, by its genome."""
    space, task = load_space("menndl"), GENOMES[NOVA].task
    text = text_of(space, from_text(space, genome(NOVA)), task)
    print(
        f"NOvA: {len(text)} bytes from {space.genome_bytes}: "
        f"{len(text) / space.genome_bytes:.0f} times"
    )


def round_trips(count: int) -> None:
    """Genomes that are emitted without their name, read, and encoded."""
    changed, begin = 0, time.perf_counter()
    spaces = [load_space(name) for name in shipped_spaces()]
    sources = [(space, way(space, 3)) for space in spaces for way in (drawn, uniform)]
    for number in range(count):
        space, genomes = sources[number % len(sources)]
        task = TASKS[number // len(sources) % len(TASKS)]
        flavour = FLAVOURS[number // 16 % len(FLAVOURS)]
        model = decode(space, next(genomes), task)
        files = emit(replace(model, genome=None, space=None), task, flavour)
        read = read_model(
            files[TRAIN_VAL],
            path=TRAIN_VAL,
            solver=files[SOLVER],
            solver_path=SOLVER,
            shape=task.shape,
        )
        try:
            again = to_text(space, encode(space, read.model, task))
        except RibosomeError as error:
            again = str(error)
        if again != model.genome:
            changed += 1
            print(f"  {model.genome} for {task.name}: {again}")
    print(
        f"{count} genomes emitted, read and encoded: {changed} changed, "
        f"{count / (time.perf_counter() - begin):.0f}/s"
    )


def text_of(space: Space, genes: Genes, task: Task) -> bytes:
    """What the paper's runs wrote for a network, comments left out."""
    files = emit(decode(space, genes, task), task, "caffe")
    text = files[TRAIN_VAL] + files[SOLVER]
    return re.sub(r"(?m)^\s*#.*\n", "", text).encode()


def median(values: "Iterator[float] | Sequence[float]") -> float:
    """The median as a float."""
    return float(statistics.median(values))


def _message(path: str) -> str:
    return "SolverParameter" if path == SOLVER else "NetParameter"


if __name__ == "__main__":
    main()
