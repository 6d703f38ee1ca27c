"""The command line, `ribosome`: a table of commands, each in a module of its own.

A command's module is imported when the command runs, so that `ribosome --help` answers
at once. Errors become one line on stderr: exit code 2 for wrong usage, 1 for the rest,
130 after an interrupt; `--debug` shows the traceback instead.
"""

import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from ribosome.genome.errors import RibosomeError
from ribosome.genome.harmless import harmless
from ribosome.genome.version import __version__

COMMANDS = {
    "spaces": "What can be searched: slots, alleles, bits, genome length.",
    "random": "Print random genomes, one per line.",
    "show": "Show the network of a genome: layers, shapes, costs, solver.",
    "decode": "Write the network of a genome as a framework's own source.",
    "encode": "Print the canonical genome of a network.",
    "convert": "Convert a Caffe network and its weights to another framework.",
    "data": "List, inspect and convert data sets.",
    "search": "Search for the best network, as the file CONFIG says.",
    "tune": "Tune the best network's hyperparameters by what an SVM has learned.",
    "results": "Print the results of a run, also while it runs.",
    "export": "Write a network of a run with its trained weights.",
    "jobscript": "Write a job script that searches as the file CONFIG says.",
    "doctor": "Check what this machine offers and what is missing.",
}
"""Every command, in the order of the help, with the first line of its own help."""

INTERRUPTED = 130


class Commands(click.Group):
    """Loads commands when they are called and turns errors into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names of all commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, its module imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"ribosome.tools.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with the nearest name for a command that does not exist."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else "See ribosome --help."
            ctx.fail(f"No such command {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """The commands' help, from the table: no module is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error ends the program with one line on stderr."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except BrokenPipeError:
            raise  # click ends quietly: the reader of a pipe had enough
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except Exception as error:
            if ctx.params["debug"]:
                raise
            _fail(ctx, error)


def _fail(ctx: click.Context, error: Exception) -> NoReturn:
    if isinstance(error, RibosomeError):
        text = str(error)
    elif isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        text = f"{place}{error.strerror}"
    elif isinstance(error, ModuleNotFoundError):
        text = f"{error}; install it, or run `ribosome doctor` to see what is missing"
    else:
        text = (
            f"internal error, {type(error).__name__}: {error}; "
            "run again with `ribosome --debug ...` and report what it prints"
        )
    line = harmless(" ".join(text.split()))
    click.echo(f"ribosome: error: {line}", err=True)
    ctx.exit(1)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ribosome")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Search for neural networks, each written out as complete source.

    A genome of a few dozen bytes becomes a network, is trained, and its accuracy
    decides which genomes come next. Start with:

    \b
        ribosome random -n 1             a random genome
        ribosome show GENOME             the network that it stands for
        ribosome search CONFIG -o RUN    search for the best one
    """


def main() -> NoReturn:
    """The entry point of the program `ribosome`."""
    cli.main(prog_name="ribosome")
    sys.exit(0)  # click has exited already; this tells the type checker


if __name__ == "__main__":
    main()
