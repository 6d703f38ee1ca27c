"""What `ribosome results --bias` says: whether fast networks breed more than slow ones."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ribosome.search.bias import Bred


def read_bred(run: Path) -> "list[Bred]":
    """The trials of a run's search that succeeded, by number. Raises RunError."""
    from ribosome.runner.proposer import SEARCH
    from ribosome.runner.records import iter_trials
    from ribosome.search.bias import Bred

    offspring: Counter[int] = Counter()
    ok = []
    for trial in iter_trials(run):
        if trial.phase == SEARCH:
            offspring.update(set(trial.parents))
            if trial.fitness is not None and trial.seconds is not None:
                ok.append((trial.trial, trial.seconds, trial.fitness))
    return [Bred(seconds, fitness, offspring[trial]) for trial, seconds, fitness in ok]


def as_object(trials: "list[Bred]") -> dict[str, float | None]:
    """The bias by the names of `ribosome.search.bias.Bias`; null where there is none."""
    from ribosome.search.bias import Bias, bias

    found = bias(trials)
    if found is not None:
        return found._asdict()
    return {**dict.fromkeys(Bias._fields), "trials": len(trials)}


def as_lines(trials: "list[Bred]", arrivals: str) -> list[str]:
    """The bias for people; ``arrivals`` is the run's search.arrivals."""
    from ribosome.search.bias import FEWEST, bias

    found = bias(trials)
    if found is None:
        return [
            f"Too little to say: {len(trials)} networks of the search succeeded; "
            f"{FEWEST} are needed, and children of some."
        ]
    lines = [
        f"Time and offspring of {found.trials} networks: correlation "
        f"{found.correlation:+.2f} (below 0: fast ones breed more).",
        f"At equal fitness: {found.at_equal_fitness:+.2f}.",
        f"The fastest quarter makes up {found.fast_share:.0%} of the parents; 25% if time "
        "did not matter.",
    ]
    if arrivals != "asked":
        lines.append(
            'The correction is search.arrivals = "asked": how long a network takes then '
            "changes nothing."
        )
    return lines
