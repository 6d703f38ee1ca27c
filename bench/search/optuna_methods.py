"""Optuna's TPE and NSGA-II through its ask and tell, with their default settings.

A gene of words is a categorical distribution. A gene of numbers that rise is an integer, the
index of its allele, so that the samplers know the order, as ours does.
"""

import warnings

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler

from bench.search.problem import Point, Problem, gene_of


class Sampled:
    """A study in memory with the sampler of this name, "tpe" or "nsga2"."""

    def __init__(self, name: str, problem: Problem, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler: BaseSampler = (
            TPESampler(seed=seed) if name == "tpe" else NSGAIISampler(seed=seed)
        )
        self._study = optuna.create_study(sampler=sampler, direction="maximize")
        self._distributions: dict[str, BaseDistribution] = {}
        for position, group in enumerate(problem.groups):
            gene = gene_of(group)
            top = len(gene.alleles) - 1
            self._distributions[f"{position:02d}"] = (
                IntDistribution(0, top)
                if gene.is_ordered
                else CategoricalDistribution(tuple(range(top + 1)))
            )
        self._trials: dict[int, optuna.Trial] = {}

    def ask(self, trial: int) -> Point:
        """Propose."""
        asked = self._study.ask(self._distributions)
        self._trials[trial] = asked
        return tuple(asked.params[name] for name in self._distributions)

    def tell(self, trial: int, point: Point, fitness: float) -> None:  # noqa: ARG002
        """Learn."""
        self._study.tell(self._trials.pop(trial), fitness)
