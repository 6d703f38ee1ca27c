"""The stages of a run, as its config wants them and its journal has them."""

from collections.abc import Iterable

from ribosome.genome.codec import space_named_by, to_text
from ribosome.genome.errors import ConfigError, GenomeError
from ribosome.genome.language import NetworkLanguage
from ribosome.genome.space import Space
from ribosome.genome.space_file import load_space
from ribosome.genome.task import Task
from ribosome.runner.config import Config
from ribosome.runner.confirm import Confirm
from ribosome.runner.confirmed import Confirmations
from ribosome.runner.drawing import Draws, space_tuned
from ribosome.runner.journal import Journal
from ribosome.runner.program import Program
from ribosome.runner.proposer import SEARCH, Proposer
from ribosome.runner.records import Record
from ribosome.runner.tuning import TUNE, Tuning

BEST = "best"
"""As tune.genome: the winner of the stages before."""

LENET = "lenet"
"""As tune.genome: the shipped space of LeNet's fixed topology."""


def make_program(
    config: Config, proposer: Proposer, journal: Journal, *, space: Space, task: Task
) -> Program:
    """The program of a run, before anything of it is replayed.

    A stage that is not wanted and has no trials is left out: it would only be asked in vain.
    Raises ConfigError for a genome to tune that is none.
    """
    search, wanted = config.search, config.tune
    confirmations = Confirmations(search.confirm_repeats)
    repeated, models = journal.repeated(), journal.models()

    def confirm(of: Proposer | Tuning, phase: str) -> Confirm:
        return Confirm(
            of,
            phase,
            confirmations,
            count=search.confirm,
            repeats=search.confirm_repeats,
            seed=search.seed,
            known=repeated,
        )

    confirms = bool(search.confirm or repeated)
    before = (proposer, confirm(proposer, SEARCH)) if confirms else (proposer,)
    if not (wanted.evaluations or wanted.time_s or models):
        return Program(*before, confirmations=confirmations)
    tuning = Tuning(
        before,
        wanted,
        Draws(space),
        confirmations,
        template=template(wanted.genome, space, task),
        seed=search.seed,
        models=models,
        spent_s=busy_s(journal.of_phase(TUNE)) if wanted.time_s else 0.0,
    )
    after = (confirm(tuning, TUNE),) if confirms else ()
    return Program(*before, tuning, *after, confirmations=confirmations, tuning=tuning)


def template(genome: str, space: Space, task: Task) -> str:
    """The text of the genome that tune.genome names; empty for the winner's.

    Raises ConfigError for one that is none of the run's space, nor of a shipped one.
    """
    if genome == BEST:
        return ""
    if genome == LENET:
        lenet = load_space(LENET)
        first = tuple((0, *(0 for _ in g.cases[0].genes)) for g in lenet.groups)
        return to_text(lenet, NetworkLanguage(lenet, task).canonical(first))
    try:
        space_named_by(genome)
        return space_tuned(space, genome).template
    except GenomeError as error:
        raise ConfigError(
            f"[tune] genome: {error}; or take {BEST!r}, or {LENET!r}"
        ) from None


def busy_s(records: Iterable[Record]) -> float:
    """The seconds in which any of these trials was under way, proposed and not ended."""
    spans = sorted(
        (record.started_at or record.proposed_at, record.finished_at)
        for record in records
        if record.finished_at is not None
    )
    total, until = 0.0, 0.0
    for begin, end in spans:
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total
