"""Genes as a vector of floats: what a model of real inputs learns from.

Whatever the genes, a space's vectors have one length. The case of a group and a gene are
encoded alike:

- one choice: no place at all;
- two: one place, 0 or 1, ordered or not;
- an ordered gene (`ribosome.genome.space.Gene.is_ordered`): one place, where its allele
  stands in 0..1 when the alleles lie side by side, each as wide as it is likely (the middle
  of it). So random draws fill 0..1 evenly, whatever the alleles' own scale, and a step is as
  long here as it is for mutation (`ribosome.search.variation`). With equal weights this is
  the allele's index but for scale;
- anything else: one-hot.

A gene of a case that the genes do not hold stands at the mean of its codes, equally far
from all that it could be.
"""

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import NamedTuple

from ribosome.genome.space import Gene, Genes, Group

Code = tuple[float, ...]


class _Form(NamedTuple):
    """How a group is written in one of its cases: a code for each allele of each gene,
    between the places that only the case decides."""

    before: Code
    codes: list[list[Code]]
    after: Code


class Encoding:
    """Genes of a finite product of alleles as vectors of ``size`` floats in 0..1."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = [_forms(group) for group in groups]
        self.size = sum(
            len(form.before)
            + sum(len(code[0]) for code in form.codes)
            + len(form.after)
            for form in (forms[0] for forms in self._groups)
        )

    def __call__(self, genes: Genes) -> list[float]:
        """The vector of genes of the groups; it has ``size`` places."""
        vector: list[float] = []
        for forms, (case, *alleles) in zip(self._groups, genes, strict=True):
            before, codes, after = forms[case]
            vector += before
            for code, allele in zip(codes, alleles, strict=True):
                vector += code[allele]
            vector += after
        return vector


def _forms(group: Group) -> list[_Form]:
    """A form for each case of a group."""
    codes = [[_gene_codes(gene) for gene in case.genes] for case in group.cases]
    absent = [tuple(chain(*map(_mean, of_case))) for of_case in codes]
    return [
        _Form(
            choice + tuple(chain(*absent[:index])),
            codes[index],
            tuple(chain(*absent[index + 1 :])),
        )
        for index, choice in enumerate(_choice_codes(len(group.cases)))
    ]


def _gene_codes(gene: Gene) -> list[Code]:
    """The code of each allele."""
    if len(gene.alleles) > 2 and gene.is_ordered:
        return [((low + high) / 2,) for low, high in pairwise((0.0, *gene.cumulative))]
    return _choice_codes(len(gene.alleles))


def _choice_codes(count: int) -> list[Code]:
    """The code of each of some choices that have no order."""
    if count == 1:
        return [()]
    if count == 2:
        return [(0.0,), (1.0,)]
    return [tuple(float(i == choice) for i in range(count)) for choice in range(count)]


def _mean(codes: list[Code]) -> Code:
    return tuple(sum(places) / len(codes) for places in zip(*codes, strict=True))
