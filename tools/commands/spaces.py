"""`ribosome spaces`: what can be searched."""

import json
from typing import TYPE_CHECKING

import click

from ribosome.tools import text

if TYPE_CHECKING:
    from rich.table import Table

    from ribosome.genome.space import Group, Space


@click.command("spaces")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="All of it, for programs.")
def command(name: str | None, as_json: bool) -> None:
    """What can be searched: slots, alleles, bits, genome length.

    Without NAME the spaces that are shipped; with the name of one, or the path of a
    space file, its groups, their cases, and what each gene may be, with the share of
    random genomes where the alleles are not equally likely.
    """
    from ribosome.genome.space_file import load_space, shipped_spaces

    names = shipped_spaces() if name is None else (name,)
    spaces = [load_space(each) for each in names]
    if as_json:
        found = [_as_data(space) for space in spaces]
        click.echo(json.dumps(found if name is None else found[0], indent=1))
        return

    from rich.console import Console

    console = Console()
    if name is None:
        console.print(_overview(spaces))
        console.print(
            "See a space whole with [bold]ribosome spaces NAME[/bold].", highlight=False
        )
        return
    (space,) = spaces
    for line in _heading(space):
        console.print(line, highlight=False, markup=False)
    console.print(_details(space))


def text_length(space: "Space") -> int:
    """The number of characters of a genome's text form."""
    from ribosome.genome.codec import to_text

    first = tuple((0,) * (1 + len(group.cases[0].genes)) for group in space.groups)
    return len(to_text(space, first))


def _overview(spaces: "list[Space]") -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for title in ("space", "version", "slots", "bits", "bytes", "characters"):
        table.add_column(title, justify="left" if title == "space" else "right")
    table.add_column("what it holds")
    for space in spaces:
        table.add_row(
            space.name,
            str(space.version),
            str(len(space.slots)),
            f"{space.bits:.1f}",
            str(space.genome_bytes),
            str(text_length(space)),
            Text(space.description),
        )
    return table


def _heading(space: "Space") -> list[str]:
    lines = [f"{space.name}, version {space.version}"]
    if space.description:
        lines.append(space.description)
    lines.append(
        f"{len(space.slots)} slots, {space.bits:.1f} bits, so about 10^"
        f"{space.bits * 0.30103:.0f} genomes; a genome is {space.genome_bytes} bytes, "
        f"as text {text_length(space)} characters"
    )
    return lines


def _details(space: "Space") -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("group")
    table.add_column("holds one of")
    table.add_column("gene")
    table.add_column("alleles")
    for title, group in _runs(space):
        total = sum(case.weight for case in group.cases)
        for index, case in enumerate(group.cases):
            name = title if index == 0 else ""
            share = f"{case.name} {text.percent(case.weight / total)}"
            held = share if len(group.cases) > 1 else case.name
            for gene in case.genes or (None,):
                if gene is None:
                    table.add_row(name, held, "", "")
                else:
                    table.add_row(name, held, gene.name, text.alleles(gene))
                name = held = ""
        table.add_section()
    return table


def _runs(space: "Space") -> "list[tuple[str, Group]]":
    """The groups, with neighbours that have the same cases shown once."""
    found: list[tuple[str, Group]] = []
    first: Group | None = None
    for group in space.groups:
        if first is not None and group.cases == first.cases:
            found[-1] = (f"{first.name} to {group.name.removeprefix('slot ')}", first)
        else:
            first = group
            found.append((group.name, group))
    return found


def _as_data(space: "Space") -> dict[str, object]:
    return {
        "name": space.name,
        "version": space.version,
        "description": space.description,
        "slots": len(space.slots),
        "bits": space.bits,
        "genome_bytes": space.genome_bytes,
        "genome_characters": text_length(space),
        "groups": [
            {
                "name": group.name,
                "cases": [
                    {
                        "name": case.name,
                        "weight": case.weight,
                        "genes": [
                            {
                                "name": gene.name,
                                "alleles": gene.alleles,
                                "weights": gene.weights,
                            }
                            for gene in case.genes
                        ],
                    }
                    for case in group.cases
                ],
            }
            for group in space.groups
        ],
    }
