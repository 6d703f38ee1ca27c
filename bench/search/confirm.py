"""Naming the winner: the best of many noisy evaluations against one that was trained again.

After a search of ours over 1,000 evaluations at 8 workers the ten best observed are trained
again twice. The tables hold only 2 or 3 seeds per network, so a repeat is one of these at
random, independent of what was observed: its mean is the true one, its noise that of a seed.
Beside that, with the seeds that the search did not see: at most two per network, whose mean
with the observed one is the truth itself, so that naming by all of them is perfect here.
"""

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from bench.search.cells import table_of
from bench.search.measures import p_value, summary
from bench.search.methods import make_method
from bench.search.report import verdict
from bench.search.simulate import simulate
from bench.search.tables import NAS

EVALUATIONS, WORKERS, BEST, REPEATS = 1000, 8, 10, 2
WAYS = {
    "observed": "best observed",
    "repeats": "mean of the repeats",
    "all": "mean of the repeats and the observed",
    "others": "mean of the other seeds",
    "known": "mean of all seeds of the table",
}


def named(work: tuple[str, int, Path]) -> dict[str, float]:
    """The regret of the network that each way of naming names, for one search."""
    name, seed, cache = work
    table = table_of(name, cache)
    rng = np.random.default_rng([seed, 2])
    history = simulate(
        table,
        make_method("ours", table, seed, {}),
        evaluations=EVALUATIONS,
        workers=WORKERS,
        rng=rng,
    )
    best = np.argsort(-history.observed, kind="stable")[:BEST]
    rows, observed = table.rows(history.points[best]), history.observed[best]
    known = table.fitness[rows].copy()
    picks = rng.integers(table.seeds[rows][:, None], size=(BEST, REPEATS))
    repeats = np.take_along_axis(known, picks, axis=1)
    known[np.arange(BEST), history.repetitions[best]] = np.nan
    scores = {
        "observed": observed,
        "repeats": repeats.mean(axis=1),
        "all": np.column_stack([observed, repeats]).mean(axis=1),
        "others": np.nanmean(known, axis=1),
        "known": table.mean[rows],
    }
    return {
        way: float(table.optimum - table.mean[rows[int(np.argmax(score))]])
        for way, score in scores.items()
    }


def confirm(cache: Path, seeds: int, *, jobs: int) -> list[str]:
    """The report: expected regret of the named winner per data set and way."""
    lines = [
        f"{EVALUATIONS} evaluations at {WORKERS} workers, {seeds} seeds, the {BEST} best "
        f"trained again {REPEATS} times; mean regret in points ± its standard error, and p "
        "against the best observed.",
        "",
        f"| the winner is named by | {' | '.join(NAS)} |",
        "|---|---|---|---|",
    ]
    found: dict[str, list[Mapping[str, float]]] = {}
    for name in NAS:
        table_of(name, cache)
        with ProcessPoolExecutor(jobs) as pool:
            works = [(name, seed, cache) for seed in range(seeds)]
            found[name] = list(pool.map(named, works, chunksize=8))
    means = {}
    for way, words in WAYS.items():
        texts = []
        for name in NAS:
            sample = [regrets[way] for regrets in found[name]]
            plain = [regrets["observed"] for regrets in found[name]]
            means[name, way] = summary(sample).mean
            error = float(np.std(sample) / np.sqrt(seeds))
            p = "" if way == "observed" else f", p {p_value(plain, sample):.2g}"
            texts.append(f"{means[name, way]:.3f} ± {error:.3f}{p}")
        lines.append(f"| {words} | {' | '.join(texts)} |")
    lines.append("")
    for way in ("repeats", "all", "others"):
        halved = means["cifar100", way] <= 0.5 * means["cifar100", "observed"]
        losses = [regrets[way] - regrets["observed"] for regrets in found["cifar10"]]
        loss, error = np.mean(losses), np.std(losses) / np.sqrt(seeds)
        lines.append(
            f"- By the {WAYS[way]}: halved on CIFAR-100 {verdict(halved)}, "
            f"no loss on CIFAR-10 {verdict(bool(loss <= 0.0))} "
            f"(it loses {loss:+.3f} ± {error:.3f})"
        )
    return [*lines, ""]
