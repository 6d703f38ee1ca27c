"""Evaluations per second of searches that train nothing: here and with the peers, in one run.

Rounds alternate: each has one run of every way, so that all see the same machine. The peers
are installed, once, in virtual environments of their own, which takes 800 MB and a minute.

    python -m bench.peers --environments build/peers
    python -m bench.peers --environments build/peers --workers 2 4 --evaluations 2000 --rounds 5

A peer that cannot be installed, and a way that fails, stand below the table with the reason.
Ctrl-C ends it early, with the table of the runs that ended.
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

from bench.peers.environments import Environment, Unmeasured, environment, run
from bench.peers.job import Job
from ribosome.genome.space import Group
from ribosome.genome.space_file import load_space
from ribosome.runner.config import RunnerConfig, SearchConfig
from ribosome.runner.launch import mpi_argv
from ribosome.search.variation import draw

GOAL = (4, 10_000)
"""Workers, and the results per second that Ribosome should reach with them over MPI."""

SPACE = "menndl"
PEERS = ("propulate", "libensemble", "optuna")
NOTES = """\
Workers are those that evaluate: Ribosome, raw mpi4py and libEnsemble have one rank more, a
master. An evaluation is a hash of the proposal. `share` is the part of --evaluations
that a way is measured with: few where it is slow, many where it would end too soon.
In the same figure
- Ribosome puts each proposal into canonical form, checks it against all before it, packs it
  into bytes, and commits it and its result to a journal (SQLite, write-ahead log: safe from
  a killed process; a power cut may cost the last ones). Ends when all is in the journal.
- raw mpi4py sends and receives messages of that length, and does nothing else.
- Propulate has no master and checks no duplicates; in each generation one of its ranks
  pickles the whole population to a file, so that it becomes slower the longer it runs.
- libEnsemble proposes at random (persistent: tells the generator each result; batches: never),
  keeps its history in memory alone, and checks no duplicates.
- Optuna checks no duplicates and packs nothing. In memory (threads) nothing is kept; its
  journal file and SQLite are forced to the disk, and read again, with each parameter set.
The space: Ribosome searches `menndl`, of which a genome's length depends on its cases; the
peers get a flat one: as many integers, with as many values each, as a random genome of median
length has choices (libEnsemble: real numbers). Fewer with --dimensions."""


@dataclass(frozen=True, slots=True)
class Way:
    """One row of the table.

    ``peer`` is the environment, "" for this one; ``ranks`` are those besides the workers'
    over MPI, None without MPI; ``share`` is the part of the evaluations that it gets.
    """

    system: str
    how: str
    peer: str
    variant: str
    ranks: int | None
    share: float = 1.0


OURS = Way("Ribosome", "MPI, evolution", "", "evolution", 1, 10.0)
WAYS = (
    OURS,
    Way("Ribosome", "MPI, random", "", "random", 1, 10.0),
    Way("Ribosome", "local processes, evolution", "", "evolution", None, 10.0),
    Way("raw mpi4py", "floor", "", "floor", 1, 50.0),
    Way("Propulate", "MPI, asynchronous GA", "propulate", "ga", 0),
    Way("libEnsemble", "MPI, persistent generator", "libensemble", "persistent", 1),
    Way("libEnsemble", "MPI, batches of proposals", "libensemble", "batches", 1),
    Way("Optuna", "threads in memory, random", "optuna", "memory-random", None),
    Way("Optuna", "threads in memory, NSGA-II", "optuna", "memory-nsga2", None),
    Way("Optuna", "processes, file, random", "optuna", "journal-random", None, 0.1),
    Way("Optuna", "processes, file, NSGA-II", "optuna", "journal-nsga2", None, 0.1),
    Way("Optuna", "processes, SQLite, NSGA-II", "optuna", "sqlite-nsga2", None, 0.02),
)


@dataclass(slots=True)
class Found:
    """Rates by way and number of workers, and why a way has none or no more."""

    rates: dict[tuple[Way, int], list[float]] = field(default_factory=dict)
    reasons: dict[Way, str] = field(default_factory=dict)

    def median(self, way: Way, workers: int) -> float | None:
        """None if there is no rate."""
        rates = self.rates.get((way, workers))
        return statistics.median(rates) if rates else None


def median_sizes(genomes: int = 1001) -> list[int]:
    """The numbers of values of what a genome of median length chooses among, 256 at most.

    Taken from random genomes, cases and genes with one value left out.
    """
    groups = load_space(SPACE).groups
    rng = np.random.default_rng(1)
    found = [_sizes(groups, draw(groups, rng)) for _ in range(genomes)]
    return sorted(found, key=len)[genomes // 2]


def _sizes(groups: tuple[Group, ...], genes: tuple[tuple[int, ...], ...]) -> list[int]:
    sizes = []
    for group, chosen in zip(groups, genes, strict=True):
        case = group.cases[chosen[0]]
        sizes += [len(group.cases), *[len(alleles) for alleles in case.alleles]]
    return [min(size, 256) for size in sizes if size > 1]


def command(way: Way, workers: int, environments: dict[str, Environment]) -> list[str]:
    """What runs it."""
    ranks = 0 if way.ranks is None else workers + way.ranks
    if way.peer:
        return environments[way.peer].command(f"{way.peer}_peer.py", ranks)
    program = [sys.executable, "-m", "bench.peers.ours"]
    return mpi_argv(ranks, program) if ranks else program


def measure(
    found: Found,
    options: argparse.Namespace,
    environments: dict[str, Environment],
    sizes: list[int],
) -> None:
    """All rounds; a way that fails once is given up, with the reason."""
    for turn in product(range(options.rounds), options.workers, WAYS):
        number, workers, way = turn
        if way in found.reasons:
            continue
        said = f"round {number + 1}: {way.system}, {way.how}, {workers} workers"
        print(said, file=sys.stderr, flush=True)
        argv = command(way, workers, environments)
        with tempfile.TemporaryDirectory(dir=options.environments) as folder:
            job = Job(
                variant=way.variant,
                evaluations=max(workers, int(way.share * options.evaluations)),
                workers=workers,
                population=SearchConfig().population,
                sizes=sizes,
                folder=folder,
                queue=options.queue,
            )
            try:
                rate = run(argv, job, options.limit)
            except Unmeasured as error:
                found.reasons[way] = f"{error} ({workers} workers)"
            else:
                found.rates.setdefault((way, workers), []).append(rate)


def table(found: Found, workers: list[int]) -> str:
    """Medians with the least and the most, and how many times slower than OURS."""
    heads = [f"{count} workers | times slower" for count in workers]
    lines = [f"| system | how | share | {' | '.join(heads)} |"]
    lines.append("|---|---|---|" + "---|---|" * len(workers))
    for way in WAYS:
        cells = [way.system, way.how, f"{way.share:g}"]
        for count in workers:
            rates = found.rates.get((way, count), [])
            factor = _factor(found.median(OURS, count), found.median(way, count))
            cells += [_shown(rates), factor]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [f"{way.system}, {way.how}: {why}" for way, why in found.reasons.items()]
    return "\n".join(lines)


def _shown(rates: list[float]) -> str:
    if not rates:
        return "-"
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"


def _factor(ours: float | None, theirs: float | None) -> str:
    if ours is None or theirs is None:
        return "-"
    factor = ours / theirs
    return f"{factor:.1f}" if factor >= 1.0 else f"{factor:.2f}"


def main() -> None:
    """Install what is missing, measure, print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--environments", type=Path, help="a folder for all that is written"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--evaluations", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--dimensions", type=int, help="the peers' space cut to so many"
    )
    parser.add_argument("--limit", type=float, default=300.0, help="seconds of one run")
    parser.add_argument("--queue", type=int, default=RunnerConfig().queue)
    options = parser.parse_args()
    if options.environments is None:
        parser.print_help()
        print("\nTo opt in, name a folder: the peers are installed there, never here.")
        return
    options.environments = options.environments.absolute()
    options.environments.mkdir(parents=True, exist_ok=True)
    found, environments = Found(), {}
    for peer in PEERS:
        try:
            environments[peer] = environment(peer, options.environments)
        except Unmeasured as error:
            found.reasons |= {way: str(error) for way in WAYS if way.peer == peer}
    load, sizes = os.getloadavg()[0], median_sizes()[: options.dimensions]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):  # a table of what was found until then
        measure(found, options, environments, sizes)
    print(
        f"Evaluations per second: medians of {options.rounds} (least to most). "
        f"{options.evaluations} evaluations, {len(sizes)} dimensions, "
        f"population {SearchConfig().population}, runner.queue {options.queue}; "
        f"{os.cpu_count()} cores, load {load:.1f} at the start.\n"
    )
    print(table(found, options.workers))
    workers, goal = GOAL
    reached = found.median(OURS, workers)
    if reached is not None:
        verdict = "reached" if reached >= goal else "missed"
        print(f"\ngoal of Ribosome with {workers} workers: {goal:,}, {verdict}")
    print(f"\n{NOTES}")


if __name__ == "__main__":
    main()
