"""How busy workers are: asynchronous search against generations that wait for the slowest.

Times are those of CIFAR-10 in NAS-Bench-201, drawn at random, 542 to 3,461 s; genes are those
of an NK landscape, because 15,625 networks are not enough for 6,144 workers. The master asks
and tells one after the other, and its processor time for that counts; what else a master does
is what `bench.simulation` measures.
"""

from heapq import heappop, heappush
from pathlib import Path
from time import thread_time

import numpy as np
from numpy.typing import NDArray

from bench.search.cells import table_of
from bench.search.landscape import Landscape
from bench.search.methods import make_method
from bench.search.problem import Point
from bench.search.report import verdict

WORKERS = (2, 6, 24, 96, 384, 6144)
EACH = 10
"""Evaluations per worker."""

GOAL = 0.99


def asynchronous(
    times: NDArray[np.float64], workers: int, evaluations: int, seed: int
) -> tuple[float, float, float]:
    """The share of the time that workers are busy with our search: until the last proposal
    is handed out, and until the last result is in; the mean seconds of an ask and a tell."""
    problem = Landscape(seed)
    method = make_method("ours", problem, seed, {})
    rng = np.random.default_rng([seed, 2])
    lengths = rng.choice(times, evaluations).tolist()
    running: list[tuple[float, int, Point, float]] = []
    master = asking = busy = 0.0
    ends = [0.0] * evaluations
    handed_out = 0.0
    for trial in range(evaluations):
        began = thread_time()
        if trial >= workers:
            free, told, point, fitness = heappop(running)
            method.tell(told, point, fitness)
        else:
            free = 0.0
        point = method.ask(trial)
        spent = thread_time() - began
        asking += spent
        master = max(master, free) + spent
        ends[trial] = master + lengths[trial]
        busy += lengths[trial]
        heappush(running, (ends[trial], trial, point, problem.evaluate(point, rng)[0]))
        handed_out = master
    last = max(ends)
    after = sum(max(0.0, end - handed_out) for end in ends)
    until = (busy - after) / (workers * handed_out)
    return until, busy / (workers * last), asking / evaluations


def synchronous(
    times: NDArray[np.float64], workers: int, generations: int, seed: int
) -> float:
    """The same of generations of one evaluation per worker."""
    rng = np.random.default_rng([seed, 3])
    lengths = rng.choice(times, (generations, workers))
    return float(lengths.sum() / (workers * lengths.max(axis=1).sum()))


def utilisation(cache: Path) -> list[str]:
    """The report, a row per number of workers."""
    times = table_of("cifar10", cache).seconds[:, 0]
    lines = [
        "| workers | ours, until all is handed out | ours, whole run | synchronous GA "
        "| our ask + tell |",
        "|---|---|---|---|---|",
    ]
    for workers in WORKERS:
        evaluations = EACH * max(workers, 1000)
        until, whole, seconds = asynchronous(times, workers, evaluations, 1)
        generations = max(EACH, 2000 // workers)
        waiting = synchronous(times, workers, generations, 1)
        lines.append(
            f"| {workers:,} | {until:.2%} | {whole:.2%} | {waiting:.1%} "
            f"| {1e6 * seconds:.0f} us |"
        )
    good = verdict(until >= GOAL)
    return [*lines, "", f"- At {workers:,} workers {GOAL:.0%} busy: {good}", ""]
