"""Search on real training: evolution against random search on digits, seed by seed.

``python -m bench.digits_search`` runs, for each seed, 300 evaluations of each strategy with
two local workers and prints, side by side: the best validation accuracy, the share of useful
evaluations (better than always answering the largest class), failures by ending, and time.
Turn by turn, so that noise of the machine falls on both.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ribosome.backends.data import find_data, open_arrays
from ribosome.runner.config import load_config
from ribosome.runner.observer import Silent
from ribosome.runner.records import read_trials
from ribosome.runner.run import search

EXAMPLE = Path(__file__).parents[1] / "examples" / "digits.toml"
STRATEGIES = ("evolution", "random")


@dataclass(frozen=True)
class Run:
    """What one search came to."""

    best: float
    useful: float
    ok: float
    seconds: float
    reached: tuple[float, ...]  # best accuracy after each quarter of the evaluations


def main() -> None:
    """Run every seed and print the comparison."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--evaluations", type=int, default=300)
    options.add_argument("--keep", type=Path, help="keep the runs below this folder")
    given = options.parse_args()
    labels = open_arrays(find_data("digits")).val_labels
    majority = np.bincount(labels).max() / len(labels)
    print(f"majority class: {majority:.4f} of {len(labels)} validation images")
    wins = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        for seed in range(1, given.seeds + 1):
            runs = {
                name: one(name, seed, given.evaluations, float(majority), folder)
                for name in STRATEGIES
            }
            for name, run in runs.items():
                quarters = " ".join(f"{value:.4f}" for value in run.reached)
                print(
                    f"seed {seed} {name:10} best {run.best:.4f} (by quarters {quarters}), "
                    f"useful {run.useful:.1%}, ok {run.ok:.1%}, {run.seconds:.0f} s",
                    flush=True,
                )
            wins += runs["evolution"].best > runs["random"].best
    print(f"evolution better than random in {wins} of {given.seeds} seeds")


def one(strategy: str, seed: int, evaluations: int, majority: float, top: Path) -> Run:
    """One search; its run folder stays below ``top``."""
    config = load_config(
        EXAMPLE,
        [
            f'search.strategy="{strategy}"',
            f"search.seed={seed}",
            f"search.evaluations={evaluations}",
            "runner.workers=2",
            "runner.trials_per_gpu=2",
        ],
    )
    folder = top / f"{strategy}-{seed}"
    start = time.monotonic()
    search(config, str(folder), resume=False, observer=Silent())
    seconds = time.monotonic() - start
    trials = sorted(read_trials(folder), key=lambda trial: trial.finished_at or 0.0)
    fitness = np.array([-1.0 if t.fitness is None else t.fitness for t in trials])
    best = np.maximum.accumulate(fitness)
    quarters = [best[len(best) * q // 4 - 1] for q in (1, 2, 3, 4)]
    return Run(
        best=float(best[-1]),
        useful=float((fitness > majority).mean()),
        ok=float(np.mean([trial.ending == "ok" for trial in trials])),
        seconds=seconds,
        reached=tuple(map(float, quarters)),
    )


if __name__ == "__main__":
    main()
