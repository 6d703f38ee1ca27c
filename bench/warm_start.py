"""Warm against cold starts: the time from a genome's dispatch to its first iteration.

Run it as ``python bench/warm_start.py [TRIALS]``. Each genome is handed to a worker's
evaluator twice, once with a warm process and once without, with the real PyTorch trainer
on digits; the clock stops when the line of the first iteration can be read in the log.
Decoding, emitting, writing the files, the fork, loading the module and the data, and the
first batch are all counted. The import of the warm process, once in a worker's life, is
not.

Medians are over genomes, in two groups: *small* networks, whose first batch is start-up
rather than training, and *any* that the space draws. The goal is for the small ones.
"""

import select
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

import msgspec
import numpy as np

from ribosome.genome.codec import pack
from ribosome.genome.cost import cost
from ribosome.genome.decode import decode
from ribosome.genome.space import Space
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS
from ribosome.runner.config import Config, RunnerConfig
from ribosome.runner.messages import Setup, Work
from ribosome.runner.trial import LOG
from ribosome.runner.trial_evaluator import TRIALS, TrialEvaluator
from ribosome.search.variation import draw

GOAL = 50.0
SEED = 1
SMALL = 1e7  # floating-point operations of a batch: about a millisecond


class Times(NamedTuple):
    """Milliseconds of one trial, each from the dispatch."""

    asked: float  # decoded, emitted, written, and the process asked for
    ready: float  # the trainer has loaded its network and data
    iterated: float  # the first iteration is done


class Bench:
    """An evaluator of one kind and its run folder."""

    def __init__(self, folder: str, *, warm: bool) -> None:
        config = Config(runner=RunnerConfig(warm_start=warm, gpus="none"))
        self._folder = Path(folder)
        self._evaluator = TrialEvaluator(
            Setup(config=msgspec.json.encode(config), folder=folder, worker=1)
        )

    def time(self, trial: int, genome: bytes) -> Times:
        """One trial, cancelled after its first iteration."""
        log = self._folder / TRIALS / str(trial) / LOG
        began = perf_counter()
        self._evaluator.start(Work(trial=trial, genome=genome, seed=trial))
        asked = perf_counter() - began
        ready = 0.0
        while True:
            news = self._evaluator.fileno()
            if news is not None:
                select.select([news], [], [])
            result = self._evaluator.poll()
            if result is not None:
                raise RuntimeError(f"trial {trial} ended early: {result.message}")
            said = log.read_bytes()
            if not ready and b"event=start" in said:
                ready = perf_counter() - began
            if b"event=first_iteration" in said:
                iterated = perf_counter() - began
                break
        self._evaluator.cancel()
        return Times(asked * 1e3, ready * 1e3, iterated * 1e3)

    def close(self) -> None:
        """End the evaluator and its processes."""
        self._evaluator.close()


def genomes(space: Space, count: int, *, below: float) -> Iterator[bytes]:
    """Drawn genomes whose networks take fewer operations for a training batch."""
    generator = np.random.default_rng(SEED)
    while count:
        genes = draw(space.groups, generator)
        model = decode(space, genes, DIGITS)
        if cost(model.network).training_flops * model.solver.batch_size < below:
            count -= 1
            yield pack(space, genes)


def measure(drawn: Iterator[bytes]) -> dict[str, list[Times]]:
    """The times of every genome but the first, by kind of start.

    The first one waits for the import of its server, or fills caches.
    """
    taken: dict[str, list[Times]] = {"cold": [], "warm": []}
    with tempfile.TemporaryDirectory() as cold, tempfile.TemporaryDirectory() as warm:
        benches = {"cold": Bench(cold, warm=False), "warm": Bench(warm, warm=True)}
        for trial, genome in enumerate(drawn):
            for kind, bench in benches.items():
                taken[kind].append(bench.time(trial, genome))
        for bench in benches.values():
            bench.close()
    return {kind: rows[1:] for kind, rows in taken.items()}


def main() -> int:
    """Measure, print, and compare with the goal."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    space = load_space("menndl")
    print(f"{trials} genomes of {space.name} each, milliseconds from dispatch, medians")
    print(f"{'':14}{'asked':>10}{'ready':>10}{'iterated':>10}{'lowest':>10}")
    ratios = {}
    for group, below in (("small", SMALL), ("any", float("inf"))):
        taken = measure(genomes(space, trials + 1, below=below))
        iterated = {}
        for kind, rows in taken.items():
            columns = [median(column) for column in zip(*rows, strict=True)]
            iterated[kind] = columns[-1]
            columns.append(min(row.iterated for row in rows))
            numbers = "".join(f"{value:10.1f}" for value in columns)
            print(f"{group:6}{kind:8}{numbers}")
        ratios[group] = iterated["cold"] / iterated["warm"]
        print(f"{group:6}cold / warm {ratios[group]:.0f}")
    print(f"goal: {GOAL:.0f} for small networks")
    return 0 if ratios["small"] >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
