"""`ribosome doctor`: what this machine offers and lacks, and what to do."""

import click

from ribosome.genome.version import __version__


@click.command("doctor")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Check what this machine offers and what is missing.

    The exit code is 0 unless something that is required is missing.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ribosome.tools.doctor import checks

    colours = {"ok": "green", "missing": "bold red", "note": "yellow"}
    console = Console(highlight=False)
    console.print(f"Ribosome {__version__}")
    unfit = 0
    for finding in checks():
        unfit += finding.state == "missing" and finding.required
        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_column(width=7)
        line.add_column(width=12)
        line.add_column(overflow="fold")
        found = Text(finding.found)
        if finding.advice:
            found.append(f"\n{finding.advice}", style="bold")
        line.add_row(
            Text(finding.state, style=colours[finding.state]), finding.name, found
        )
        console.print(line)
    if unfit:
        console.print("Something required is missing; see above what to do.")
        ctx.exit(1)
    console.print("Ready to search.")
