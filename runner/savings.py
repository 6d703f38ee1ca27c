"""How many trials of a run were stopped or rejected, and what that saved."""

from pathlib import Path
from typing import NamedTuple

from ribosome.runner.config import config_of_tuning
from ribosome.runner.records import read_config, read_rows

_QUERY = """
    SELECT phase, count(*), coalesce(sum(stopped), 0), coalesce(sum(rejected), 0),
        coalesce(sum(iterations), 0),
        coalesce(sum(CASE WHEN stopped THEN iterations END), 0)
    FROM trials WHERE ending IS NOT NULL GROUP BY phase
"""


class Savings(NamedTuple):
    """Numbers of trials and of batches.

    ``ended`` are the trials that have their result, those ``rejected`` before training left
    out; of them ``stopped`` were so during it, which ``saved`` batches at most (where time
    ends training first, fewer); all have ``trained`` so many.
    """

    ended: int
    stopped: int
    rejected: int
    trained: int
    saved: int


def read_savings(folder: str | Path) -> Savings:
    """What stopping and rejecting did in a run so far. Raises RunError where there is none."""
    config = read_config(folder)
    whole = config.training.max_iterations
    tuned = config_of_tuning(config).training.max_iterations
    total = Savings(0, 0, 0, 0, 0)
    for phase, ended, stopped, rejected, trained, of_stopped in read_rows(
        folder, _QUERY
    ):
        most = stopped * (tuned if phase == "tune" else whole)
        saved = max(0, most - of_stopped)
        new = (ended - rejected, stopped, rejected, trained, saved)
        total = Savings(
            *(before + more for before, more in zip(total, new, strict=True))
        )
    return total
