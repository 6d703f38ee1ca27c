"""The hyperparameters of one network: the space that the search's second phase tunes in.

The first phase chooses a topology from coarse alleles. The second keeps it and varies its
hyperparameters, continuous or categorical (the paper, section V.B): a **tuning space** has
one case for each group, that of a genome, its **template**; it is a `Space` like any other,
with genomes of a fixed length. What each gene may be there:

- A number becomes continuous: the alleles of the space, and levels between them
  (`ribosome.genome.levels`).
- A name stays categorical. A window that is "same" both ways stays so, and one that is not
  varies both ways: what is half a word and half a number has no measure.
- The cut in towers is topology, and fixed.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ribosome.genome.codec import from_text, space_named_by, split_tuned, to_text
from ribosome.genome.errors import GenomeError
from ribosome.genome.levels import with_levels
from ribosome.genome.parameters import SECTIONS, SLOT_CASES, Parameter
from ribosome.genome.space import Allele, Case, Gene, Genes, Group, Space


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """A gene of a tuning space that may take more than one value.

    ``group`` is a slot or a section, ``case`` what it holds. ``alleles`` rise where the
    kind is continuous.
    """

    group: str
    case: str
    name: str
    alleles: tuple[Allele, ...]

    @property
    def kind(self) -> Literal["continuous", "categorical"]:
        """Categorical: the alleles are names, and none is nearer to another."""
        is_named = isinstance(self.alleles[0], str)
        return "categorical" if is_named else "continuous"


@lru_cache(maxsize=64)
def tuning_space(space: Space, genes: Genes) -> Space:
    """The space of the hyperparameters of a genome, which is to be canonical for its task.

    The tuning space of a genome that is tuned already is the one that it is of.
    """
    if space.template:
        return space
    groups = tuple(
        Group(group.name, (_tuned_case(space, position, chosen),))
        for position, (group, chosen) in enumerate(
            zip(space.groups, genes, strict=True)
        )
    )
    return Space(
        name=space.name,
        version=space.version,
        groups=groups,
        slots=space.slots,
        # Slots differ by now, even with the same case: none may take another's place.
        runs=tuple(range(slot, slot + 1) for slot in space.slots),
        description=f"The hyperparameters of one network of space {space.name}",
        template=to_text(space, genes),
    )


def space_of(space: Space, text: str) -> Space:
    """The space that a genome's text is of: ``space``, or a tuning space within it.

    Raises GenomeError for a text that is no genome, or whose template is damaged or of
    another space.
    """
    space_named_by(text)
    template, _ = split_tuned(text)
    if not template or space.template:
        return space
    return tuning_space(space, from_text(space, template))


def as_tuned(space: Space, genes: Genes, tuning: Space) -> Genes:
    """A genome of a space as one of a tuning space within it: the same values throughout.

    Raises GenomeError for a genome of another topology than the template's.
    """
    if space is tuning:
        return genes
    return tuple(
        _as_tuned(before, chosen, after, tuning)
        for before, chosen, after in zip(
            space.groups, genes, tuning.groups, strict=True
        )
    )


def hyperparameters(tuning: Space) -> tuple[Hyperparameter, ...]:
    """What a tuning space varies, in the order in which its genomes hold it."""
    return tuple(
        Hyperparameter(group.name, case.name, gene.name, gene.alleles)
        for group in tuning.groups
        for case in group.cases
        for gene in case.genes
        if len(gene.alleles) > 1
    )


def _as_tuned(
    before: Group, chosen: tuple[int, ...], after: Group, tuning: Space
) -> tuple[int, ...]:
    case, tuned = before.cases[chosen[0]], after.cases[0]
    found: list[int | None] = [None]
    if case.name == tuned.name:
        found = [
            fine.position.get(gene.alleles[index])
            for gene, index, fine in zip(
                case.genes, chosen[1:], tuned.genes, strict=True
            )
        ]
    places = [place for place in found if place is not None]
    if len(places) < len(found):
        raise GenomeError(
            f"genome has another topology than {tuning.template}: its {before.name} is "
            f"{case.name}, not {tuned.name} with the same window and towers; tune it "
            "by itself"
        )
    return (0, *places)


def _tuned_case(space: Space, position: int, chosen: tuple[int, ...]) -> Case:
    group = space.groups[position]
    case = group.cases[chosen[0]]
    cases = SLOT_CASES if position in space.slots else SECTIONS[group.name]
    parameters = cases[case.name]
    genes = tuple(
        _fixed(gene, gene.alleles[index])
        if group.name == "towers"
        else _tuned_gene(gene, gene.alleles[index], parameters[gene.name])
        for gene, index in zip(case.genes, chosen[1:], strict=True)
    )
    return Case(case.name, genes)


def _tuned_gene(gene: Gene, allele: Allele, parameter: Parameter) -> Gene:
    if parameter.distance is None or len(gene.alleles) == 1:
        return gene
    if isinstance(allele, str):
        return _fixed(gene, allele)
    return with_levels(gene, parameter)


def _fixed(gene: Gene, allele: Allele) -> Gene:
    return Gene(gene.name, (allele,), (1.0,))
