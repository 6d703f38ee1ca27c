"""Draw genes, cross two of them, mutate one: what every strategy moves by.

Nothing here can leave the language: a case comes from its group, an allele from its
gene. Random numbers come a vector at a time: a scalar call costs as much.
"""

from bisect import bisect
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from math import log
from typing import TYPE_CHECKING

from ribosome.genome.space import Case, Genes, Group

if TYPE_CHECKING:
    from numpy.random import Generator

STEP_SHARE = 0.5
"""How often a mutation of an ordered gene goes to an allele nearby, not to any."""

STEP_REACH = 0.05
"""The mean share of all weights that such a step passes over, if it can."""

Crossover = Callable[[Genes, Genes, "Generator"], Genes]


def draw(groups: Sequence[Group], rng: "Generator") -> Genes:
    """Genes at random, cases and alleles by their weights."""
    indices = [
        bisect(group.cumulative, uniform)
        for group, uniform in zip(groups, rng.random(len(groups)).tolist(), strict=True)
    ]
    cases = [group.cases[index] for group, index in zip(groups, indices, strict=True)]
    uniforms = iter(rng.random(sum(len(case.genes) for case in cases)).tolist())
    return tuple(
        # The genes come first in this zip: the last of them must not eat a number.
        (index, *[bisect(g.cumulative, u) for g, u in zip(case.genes, uniforms)])  # noqa: B905
        for index, case in zip(indices, cases, strict=True)
    )


def cross_uniform(first: Genes, second: Genes, rng: "Generator") -> Genes:
    """Each group from one parent or the other, by a coin."""
    coins = rng.random(len(first)).tolist()
    return tuple(
        [
            a if coin < 0.5 else b
            for coin, a, b in zip(coins, first, second, strict=True)
        ]
    )


def cross_one_point(first: Genes, second: Genes, rng: "Generator") -> Genes:
    """The groups before a cut from the first parent, the others from the second."""
    cut = 1 + int(rng.random() * (len(first) - 1))
    return first[:cut] + second[cut:]


def cross_two_point(first: Genes, second: Genes, rng: "Generator") -> Genes:
    """A run of groups from the second parent; the groups are a ring for this."""
    count = len(first)
    where, length = rng.random(2).tolist()
    begin = int(where * count)
    end = begin + 1 + int(length * (count - 1))
    if end <= count:
        return first[:begin] + second[begin:end] + first[end:]
    return second[: end - count] + first[end - count : begin] + second[begin:]


CROSSOVERS: dict[str, Crossover] = {
    "uniform": cross_uniform,
    "one_point": cross_one_point,
    "two_point": cross_two_point,
}


class Mutation:
    """Changes each gene with a probability; the case of a group counts as a gene.

    ``rate`` is that probability, 0 for one gene of a genome on average. A gene that can
    take one value only is not counted. A changed gene never keeps its allele: an
    ordered one often steps to an allele nearby, any other is drawn by its weights. A
    changed case draws its genes anew, except that a gene which the old case had too,
    with the same name and alleles, keeps its allele.
    """

    def __init__(self, groups: Sequence[Group], *, rate: float = 0.0) -> None:
        self._groups = groups
        self._rate = rate
        self._open = [_open_positions(group) for group in groups]

    def __call__(self, genes: Genes, rng: "Generator", *, boost: float = 1.0) -> Genes:
        """Mutated genes, at ``boost`` times the rate; perhaps the same ones."""
        places = [
            positions[values[0]]
            for positions, values in zip(self._open, genes, strict=True)
        ]
        ends = list(accumulate(map(len, places)))
        rate = min(1.0, boost * (self._rate or 1.0 / max(1, ends[-1])))
        hits = (rng.random(ends[-1]) < rate).nonzero()[0].tolist()
        mutated = list(genes)
        recast = -1
        for hit in hits:
            index = bisect(ends, hit)
            position = places[index][hit - ends[index]]
            if position == 0:
                mutated[index] = _change_case(self._groups[index], genes[index], rng)
                recast = index
            elif index != recast:
                mutated[index] = _change_gene(
                    self._groups[index], mutated[index], position, rng
                )
        return tuple(mutated)


def _open_positions(group: Group) -> list[tuple[int, ...]]:
    """Per case, the positions in its values that can change; position 0 is the case."""
    choice = (0,) if len(group.cases) > 1 else ()
    return [
        choice
        + tuple(
            position
            for position, gene in enumerate(case.genes, start=1)
            if len(gene.alleles) > 1
        )
        for case in group.cases
    ]


def _change_case(
    group: Group, values: tuple[int, ...], rng: "Generator"
) -> tuple[int, ...]:
    index = _draw_other(group.cumulative, values[0], rng.random())
    new = group.cases[index]
    uniforms = rng.random(len(new.genes)).tolist()
    shared = _shared(group.cases[values[0]], new)
    return (
        index,
        *[
            values[position] if position else bisect(gene.cumulative, uniform)
            for gene, position, uniform in zip(new.genes, shared, uniforms, strict=True)
        ],
    )


@lru_cache(maxsize=4096)
def _shared(old: Case, new: Case) -> list[int]:
    """For each gene of the new case where the old one's values have it, 0 for nowhere."""
    positions = {
        (gene.name, gene.alleles): position
        for position, gene in enumerate(old.genes, start=1)
    }
    return [positions.get((gene.name, gene.alleles), 0) for gene in new.genes]


def _change_gene(
    group: Group, values: tuple[int, ...], position: int, rng: "Generator"
) -> tuple[int, ...]:
    gene = group.cases[values[0]].genes[position - 1]
    kind, uniform, length = rng.random(3).tolist()
    if kind < STEP_SHARE and gene.is_ordered:
        allele = _step(gene.cumulative, values[position], uniform, length)
    else:
        allele = _draw_other(gene.cumulative, values[position], uniform)
    return (*values[:position], allele, *values[position + 1 :])


def _step(
    cumulative: tuple[float, ...], current: int, direction: float, length: float
) -> int:
    """An allele nearby. Weights are the distances here, so that it takes no more steps
    to cross 128 alleles than 8, and those drawn often are those stepped on often."""
    last = len(cumulative) - 1
    distance = -STEP_REACH * log(1.0 - length)
    if current == 0 or (current < last and direction < 0.5):
        return bisect(cumulative, cumulative[current] + distance, current + 1, last)
    return bisect(cumulative, cumulative[current - 1] - distance, 0, current - 1)


def _draw_other(cumulative: tuple[float, ...], current: int, uniform: float) -> int:
    """One of the other indices, by weight."""
    low = cumulative[current - 1] if current else 0.0
    high = cumulative[current]
    point = uniform * (low + (1.0 - high))
    if point < low:
        return bisect(cumulative, point)
    return bisect(cumulative, high + (point - low), current + 1, len(cumulative) - 1)
