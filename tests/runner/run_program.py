"""A search that trains nothing: FOLDER EVALUATOR [--resume] [--die-after=N] [KEY=VALUE]...

Prints its pid, and its summary as JSON in the end, or kills itself after N commits. The
environment's RUN_EXITS names a rank that ends with exit code 3, without a word, in its third
trial.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict

import msgspec

from ribosome.genome.errors import RibosomeError
from ribosome.runner.config import Config
from ribosome.runner.journal import Journal
from ribosome.runner.launch import launched_rank
from ribosome.runner.messages import Work
from ribosome.runner.noop import NoopEvaluator
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


def exit_in_third_trial() -> None:
    """Have this process end as if by a library that calls exit."""
    begin, begun = NoopEvaluator.start, [0]

    def start(self: NoopEvaluator, work: Work) -> None:
        begun[0] += 1
        if begun[0] == 3:
            os._exit(3)
        begin(self, work)

    NoopEvaluator.start = start  # type: ignore[method-assign]


def die_after(commits: int) -> None:
    """Have the process killed once the journal has had that many commits."""
    commit, left = Journal.commit, commits

    def counted(journal: Journal, random_state: Callable[[], str]) -> None:
        nonlocal left
        commit(journal, random_state)
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    Journal.commit = counted  # type: ignore[method-assign]


def main(folder: str, evaluator: str, *options: str) -> int:
    """Run one search; the exit code is the command line's."""
    settings = {table: dict(values) for table, values in SETTINGS.items()}
    for option in options:
        if option.startswith("--die-after="):
            die_after(int(option.partition("=")[2]))
        elif option != "--resume":
            name, _, value = option.partition("=")
            table, _, key = name.partition(".")
            settings.setdefault(table, {})[key] = json.loads(value)
    config = msgspec.convert(settings, Config)
    print(os.getpid(), flush=True)
    if os.environ.get("RUN_EXITS") == str(launched_rank()):
        exit_in_third_trial()
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
