"""A search that trains nothing: FOLDER EVALUATOR [--resume] [KEY=VALUE]...

Prints its pid, and its summary as JSON in the end.
"""

import json
import os
import sys
from dataclasses import asdict

import msgspec

from ribosome.genome.errors import RibosomeError
from ribosome.runner.config import Config
from ribosome.runner.observer import Silent
from ribosome.runner.run import search

SETTINGS = {
    "space": {"name": "lenet"},
    "search": {"evaluations": 40, "population": 8, "seed": 1},
    "runner": {"workers": 2, "gpus": "none"},
}


class Warning_(Silent):
    """Puts warnings on stderr."""

    def warn(self, text: str) -> None:
        """Say it."""
        print(text, file=sys.stderr)


def main(folder: str, evaluator: str, *options: str) -> int:
    """Run one search; the exit code is the command line's."""
    settings = {table: dict(values) for table, values in SETTINGS.items()}
    for option in options:
        if option != "--resume":
            name, _, value = option.partition("=")
            table, _, key = name.partition(".")
            settings.setdefault(table, {})[key] = json.loads(value)
    config = msgspec.convert(settings, Config)
    print(os.getpid(), flush=True)
    try:
        summary = search(
            config,
            folder,
            resume="--resume" in options,
            observer=Warning_(),
            evaluator=evaluator,
        )
    except RibosomeError as error:
        print(error, file=sys.stderr)
        return getattr(error, "exit_code", 1)
    print(json.dumps(asdict(summary)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
