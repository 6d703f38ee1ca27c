"""The hyperparameters of a genome as people and programs read them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ribosome.genome.codec import to_text
from ribosome.genome.fit import canonical
from ribosome.genome.hyperparameters import (
    Hyperparameter,
    as_tuned,
    hyperparameters,
    tuning_space,
)
from ribosome.genome.space import Allele, Genes, Space
from ribosome.genome.task import Task
from ribosome.tools import text

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class TuningView:
    """What tuning would vary of a genome, each with its value there.

    ``genome`` is its text in its tuning space, ``genome_bytes`` the length of the string
    that travels.
    """

    genome: str
    genome_bytes: int
    hyperparameters: tuple[tuple[Hyperparameter, Allele], ...]


def view(space: Space, genes: Genes, task: Task) -> TuningView:
    """The hyperparameters of a genome, as fitted to a task."""
    fitted = canonical(space, genes, task)
    tuning = tuning_space(space, fitted)
    tuned = as_tuned(space, fitted, tuning)
    values = [
        gene.alleles[index]
        for group, chosen in zip(tuning.groups, tuned, strict=True)
        for gene, index in zip(group.cases[0].genes, chosen[1:], strict=True)
        if len(gene.alleles) > 1
    ]
    return TuningView(
        genome=to_text(tuning, tuned),
        genome_bytes=tuning.genome_bytes,
        hyperparameters=tuple(zip(hyperparameters(tuning), values, strict=True)),
    )


def table(of: TuningView) -> "Table":
    """A line for each hyperparameter: where it is, its value, what it may be."""
    from rich import box
    from rich.table import Table

    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("group", "holds", "gene", "value", "range"):
        rows.add_column(title, justify="right" if title == "value" else "left")
    place = ""
    for each, value in of.hyperparameters:
        is_new, place = each.group != place, each.group
        where = (each.group, each.case) if is_new else ("", "")
        rows.add_row(*where, each.name, text.allele(value), _range(each))
    return rows


def summary(of: TuningView) -> str:
    """How many there are, and how long the string is that holds them."""
    return (
        f"{len(of.hyperparameters)} hyperparameters in a string of {of.genome_bytes} "
        "bytes"
    )


def as_data(of: TuningView) -> dict[str, object]:
    """All of a view as plain data."""
    return {
        "genome": of.genome,
        "genome_bytes": of.genome_bytes,
        "hyperparameters": [
            {
                "group": each.group,
                "case": each.case,
                "name": each.name,
                "kind": each.kind,
                "value": value,
                "alleles": each.alleles,
            }
            for each, value in of.hyperparameters
        ],
    }


def _range(of: Hyperparameter) -> str:
    if of.kind == "categorical":
        return ", ".join(map(str, of.alleles))
    least, *_, largest = map(text.allele, of.alleles)
    return f"{least} to {largest}, {len(of.alleles)} levels"
