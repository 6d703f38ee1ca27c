"""Writes a journal as fast as it can: FOLDER MODE [COMMITS]; prints each commit's number.

Commit n proposes trials 2n - 1 and 2n, and ends trials 2n - 3 and 2n - 2, whose fitness is
their number: who reads only whole commits finds just that.
"""

import sys
from contextlib import closing
from itertools import count
from pathlib import Path

from ribosome.runner.journal import Journal
from ribosome.runner.messages import Result
from ribosome.runner.records import Record


def commit(journal: Journal, number: int) -> None:
    """The commit of that number, from 1."""
    for trial in (2 * number - 3, 2 * number - 2):
        if trial > 0:
            journal.finish(Result(trial, "ok", float(trial), message="m" * 300), 1)
    for trial in (2 * number - 1, 2 * number):
        journal.propose(trial, f"g-{trial}", generation=0, parents=(trial,), at=1.0)
    journal.commit(lambda: str(number))


def commits_in(records: list[Record]) -> int:
    """How many commits there are; fails if it is not a whole number of them."""
    number, rest = divmod(len(records), 2)
    assert not rest, "half a commit"
    for place, record in enumerate(records, 1):
        assert record.trial == place
        assert record.genome == f"g-{place}"
        ended = place <= 2 * (number - 1)
        assert record.fitness == (float(place) if ended else None)
        assert record.ending == ("ok" if ended else None)
    return number


def main(folder: str, mode: str, commits: str = "") -> None:
    """Write until the end, or until killed."""
    with closing(Journal(Path(folder), mode=mode)) as journal:
        if not journal.meta:
            journal.create(config="{}")
        numbers = range(1, int(commits) + 1) if commits else count(1)
        for number in numbers:
            commit(journal, number)
            print(number, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
