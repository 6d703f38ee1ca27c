"""The command line as a whole: fast help, lazy commands, errors in one line."""

import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module

import click
import pytest
from click.testing import CliRunner, Result

from ribosome.genome.errors import DataError
from ribosome.genome.version import __version__
from ribosome.tools.cli import COMMANDS, INTERRUPTED, Commands

PROGRAM = (sys.executable, "-P", "-m", "ribosome.tools.cli")
HEAVY = (
    *("numpy", "rich", "torch", "sklearn", "mpi4py", "PIL", "jinja2", "msgspec"),
    *("google.protobuf", "lmdb", "h5py", "cv2"),
)


def failing(error: BaseException) -> Result:
    """What becomes of an error in a command, called without --debug."""
    return CliRunner().invoke(group(error), ["fails"])


def group(error: BaseException) -> click.Group:
    """A command line with one command, which raises."""

    class Failing(Commands):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:  # noqa: ARG002
            @click.command("fails")
            def fails() -> None:
                raise error

            return fails

        def resolve_command(
            self, ctx: click.Context, args: list[str]
        ) -> tuple[str, click.Command, list[str]]:
            return "fails", self.get_command(ctx, "fails"), args[1:]

    @click.command(cls=Failing)
    @click.option("--debug", is_flag=True)
    def program(debug: bool) -> None:
        del debug

    return program


def test_help_imports_nothing_heavy() -> None:
    """`ribosome --help` loads no library but click."""
    code = (
        "import sys, click.testing; from ribosome.tools.cli import cli; "
        "result = click.testing.CliRunner().invoke(cli, ['--help']); "
        "assert result.exit_code == 0, result.output; "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_help_answers_at_once() -> None:
    """The best of three starts takes less than 0.3 s (a busy machine is forgiven)."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([*PROGRAM, "--help"], capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.3


def test_help_lists_every_command(ribosome: Callable[..., Result]) -> None:
    """The help has a line for each command of the table."""
    output = ribosome("--help").stdout
    for name in COMMANDS:
        assert f"\n  {name} " in output


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says(name: str) -> None:
    """Each command exists, has the name, and its help begins with the table's line."""
    command = import_module(f"ribosome.tools.commands.{name}").command
    assert command.name == name
    first = " ".join(command.help.strip().split("\n\n")[0].split())
    assert first == COMMANDS[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(ribosome: Callable[..., Result], name: str) -> None:
    """-h works for each, fits 80 columns, and every option says what it does."""
    result = ribosome(name, "-h")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    command = import_module(f"ribosome.tools.commands.{name}").command
    for each in (command, *getattr(command, "commands", {}).values()):
        for option in each.params:
            if isinstance(option, click.Option):
                assert option.help, f"{each.name} {option.opts}"


def test_version(ribosome: Callable[..., Result]) -> None:
    """--version prints the version."""
    assert ribosome("--version").stdout.strip().endswith(__version__)


def test_an_unknown_command_gets_the_nearest(ribosome: Callable[..., Result]) -> None:
    """A misspelt command is a usage error that names the nearest one."""
    result = ribosome("searc", "x")
    assert result.exit_code == 2
    assert "No such command 'searc'. Did you mean 'search'?" in result.stderr


def test_an_error_is_one_line() -> None:
    """An error of ours: its text on stderr, exit code 1, no traceback."""
    result = failing(DataError("the images are upside down; turn them"))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == ("ribosome: error: the images are upside down; turn them\n")


def test_debug_shows_the_traceback() -> None:
    """With --debug the error itself comes through."""
    error = DataError("x")
    result = CliRunner().invoke(group(error), ["--debug", "fails"])
    assert result.exception is error


def test_an_error_of_the_system_names_the_file() -> None:
    """A file that may not be written: its path and the reason."""
    result = failing(PermissionError(13, "Permission denied", "/there"))
    assert result.stderr == "ribosome: error: /there: Permission denied\n"
    assert result.exit_code == 1


def test_a_bug_is_one_line_too() -> None:
    """Any other exception is called internal and says how to see more."""
    result = failing(ValueError("two\nlines"))
    assert result.exit_code == 1
    assert result.stderr == (
        "ribosome: error: internal error, ValueError: two lines; "
        "run again with `ribosome --debug ...` and report what it prints\n"
    )


def test_a_missing_library_points_to_doctor() -> None:
    """What is not installed is named, and who can say more."""
    result = failing(ModuleNotFoundError("No module named 'torch'"))
    assert "No module named 'torch'; install it, or run `ribosome doctor`" in (
        result.stderr
    )


def test_an_interrupt_ends_with_130() -> None:
    """Ctrl-C is no error: no text, exit code 130."""
    result = failing(KeyboardInterrupt())
    assert result.exit_code == INTERRUPTED == 130
    assert "Traceback" not in result.stderr


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`ribosome random -n 1000 | head -1` prints one line and nothing on stderr."""
    arguments = "random -n 1000 --space lenet --seed 1"
    run = subprocess.run(
        ["bash", "-c", f"{' '.join(PROGRAM)} {arguments} | head -1"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.count("\n") == 1
    assert run.stderr == ""
