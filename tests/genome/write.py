"""Genomes written by hand: layers by name, alleles by value, the first where none is given."""

from collections.abc import Mapping, Sequence

from ribosome.genome.space import Allele, Genes, Group, Space

Choice = tuple[str, Mapping[str, Allele]]


def write_genes(space: Space, layers: Sequence[Choice], **settings: Choice) -> Genes:
    """The genes of a list of layers and of settings such as ``solver=("Adam", {...})``."""
    chosen: dict[str, Choice] = dict(settings)
    for slot, layer in zip(space.slots, layers, strict=False):
        chosen[space.groups[slot].name] = layer
    if len(layers) > len(space.slots):
        raise ValueError(f"{len(layers)} layers, {len(space.slots)} slots")
    return tuple(_values(group, chosen.get(group.name)) for group in space.groups)


def _values(group: Group, choice: Choice | None) -> tuple[int, ...]:
    name, alleles = choice or (group.cases[0].name, {})
    which = group.which[name]
    genes = group.cases[which].genes
    unknown = set(alleles) - {gene.name for gene in genes}
    if unknown:
        raise ValueError(f"{group.name}, {name}: no genes {unknown}")
    defaults = [gene.alleles[0] for gene in genes]
    given = [alleles.get(g.name, d) for g, d in zip(genes, defaults, strict=True)]
    found = [gene.position[value] for gene, value in zip(genes, given, strict=True)]
    return (which, *found)
