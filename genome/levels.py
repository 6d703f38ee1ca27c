"""Numbers between the alleles of a gene: what makes it continuous, for all practical ends.

About 256 levels from the least allele to the largest, evenly spaced by the parameter's own
measure, of four significant digits; the alleles are among them. Whole numbers stay whole:
all of them where they are that few. Logarithms are of one sign, so nothing is put between 0
and the next number there.

A draw falls to an allele, or to the levels next to it, as often as it fell to that allele
before: each shares its weight with the nearer half of the levels beside it. Only 0 keeps
its weight to itself, for it mostly means none: no dropout, no weight decay.
"""

from decimal import Context, Decimal, localcontext
from functools import lru_cache
from itertools import accumulate, pairwise, repeat
from operator import mul

from ribosome.genome.parameters import Parameter, by_difference
from ribosome.genome.space import Allele, Gene

STEPS = 255
"""From the least level to the largest, so that 256 levels are the usual number."""

DIGITS = 4
"""Significant digits of a level: short in every text that it is emitted to."""


@lru_cache(maxsize=1024)  # slots of a kind share their genes
def with_levels(gene: Gene, parameter: Parameter) -> Gene:
    """The gene with levels between its numbers, in ascending order; without its words."""
    own = sorted(
        (allele, weight)
        for allele, weight in zip(gene.alleles, gene.weights, strict=True)
        if not isinstance(allele, str)
    )
    numbers = [allele for allele, _ in own]
    cells: list[list[Allele]] = [[number] for number in numbers]
    for place, between in enumerate(_levels(numbers, parameter)):
        middle = (len(between) + 1) // 2
        if numbers[place] == 0:
            middle = 0
        elif numbers[place + 1] == 0:
            middle = len(between)
        cells[place] += between[:middle]
        cells[place + 1] = [*between[middle:], *cells[place + 1]]
    alleles = tuple(allele for cell in cells for allele in cell)
    weights = tuple(
        weight / len(cell)
        for cell, (_, weight) in zip(cells, own, strict=True)
        for _ in cell
    )
    return Gene(gene.name, alleles, weights)


def _levels(
    numbers: list[int | float], parameter: Parameter
) -> list[list[int | float]]:
    """The levels between each number and the next, all of them valid and different."""
    is_whole = not parameter.check(float(numbers[0]))
    gaps = list(pairwise(numbers))
    found: list[set[int | float]]
    if is_whole and numbers[-1] - numbers[0] <= STEPS:
        found = [set(range(int(low) + 1, int(high))) for low, high in gaps]
    else:
        is_sum = parameter.distance is by_difference
        found = [
            {round(x) if is_whole else float(f"{x:.{DIGITS}g}") for x in points}
            for points in _points(numbers, is_sum=is_sum)
        ]
    return [
        sorted(
            level for level in levels if low < level < high and parameter.check(level)
        )
        for levels, (low, high) in zip(found, gaps, strict=True)
    ]


def _points(numbers: list[int | float], *, is_sum: bool) -> list[list[Decimal]]:
    """The points that cut the way from the least number to the largest, gap by gap."""
    # Decimal: a machine's own logarithms may differ in the last bit, and so a level.
    with localcontext(Context(prec=28)):
        gaps = [(Decimal(low), Decimal(high)) for low, high in pairwise(numbers)]
        lengths = [_length(*gap, is_sum=is_sum) for gap in gaps]
        total = sum(lengths) or Decimal(1)
        return [
            _between(*gap, round(STEPS * length / total), is_sum=is_sum)
            for gap, length in zip(gaps, lengths, strict=True)
        ]


def _length(low: Decimal, high: Decimal, *, is_sum: bool) -> Decimal:
    """How far two numbers are apart; 0 for logarithms where one of them has none."""
    if is_sum:
        return high - low
    return abs((high / low).ln()) if low * high > 0 else Decimal(0)


def _between(low: Decimal, high: Decimal, steps: int, *, is_sum: bool) -> list[Decimal]:
    """The points that cut the way from one number to another in so many equal steps."""
    if steps < 2:
        return []
    if is_sum:
        step = (high - low) / steps
        return [low + step * place for place in range(1, steps)]
    # A power each would take ten times as long; 28 digits have room for the product's error.
    ratio = (high / low) ** (Decimal(1) / steps)
    return list(accumulate(repeat(ratio, steps - 1), mul, initial=low))[1:]
