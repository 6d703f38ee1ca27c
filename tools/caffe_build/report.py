"""How the builder speaks: lines on stdout, and one error that says what to do."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from ribosome.genome.errors import RibosomeError

Say = Callable[[str], None]
"""Takes a line for the user."""


class BuildError(RibosomeError):
    """Caffe cannot be built: what is wrong, and what to do."""


def run_logged(argv: list[str], log: Path, env: dict[str, str]) -> int:
    """Run a command, all that it prints into a log; its exit code.

    Raises BuildError if it cannot be started.
    """
    with log.open("ab") as output:
        try:
            return subprocess.run(
                argv,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        except OSError as error:
            raise BuildError(
                f"{argv[0]}: does not start ({error.strerror}); install it"
            ) from None


def last_lines(log: Path, most: int, *, of: str) -> str:
    """The last lines of a log that match an expression, indented below an error."""
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line.rstrip() for line in text.splitlines() if re.search(of, line)]
    return "".join(f"\n  {line}" for line in lines[-most:])
