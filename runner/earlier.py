"""What a run takes from earlier ones when it begins: search.warm_start.

The best genomes of journals of the same space are the first that are evaluated, or all of
their results are learned as if they were the run's own. What was taken stands in the new
run's journal, so that it goes on without the earlier folders, and exactly.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count
from math import inf
from pathlib import Path

import msgspec

from ribosome.genome.codec import from_text, space_named_by, to_text
from ribosome.genome.errors import ConfigError, GenomeError
from ribosome.genome.language import NetworkLanguage
from ribosome.genome.space import Genes
from ribosome.runner.config import Config
from ribosome.runner.goals import batch_size, goals_of
from ribosome.runner.proposer import SEARCH
from ribosome.runner.records import iter_trials, read_facts
from ribosome.runner.schema import FILE, config_of, damaged
from ribosome.search.strategy import Strategy

_BLOCK = 50_000
"""Results that stand in one fact of the journal, whose values are at most 16 MiB long."""


class Learned(msgspec.Struct, frozen=True, array_like=True):
    """A result from elsewhere, by the text of its genome; ``fitness`` None for a failure."""

    genome: str
    fitness: float | None
    goals: tuple[float, ...] = ()


_encode = msgspec.json.Encoder().encode
_decode_suggested = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_learned = msgspec.json.Decoder(tuple[Learned, ...]).decode


class Earlier(msgspec.Struct, frozen=True):
    """What a run begins with: genomes to evaluate first, and results to learn, in order."""

    suggested: tuple[str, ...] = ()
    learned: tuple[Learned, ...] = ()

    def facts(self) -> dict[str, str]:
        """It in the facts of a journal; `earlier_of` reads them."""
        facts = {}
        if self.suggested:
            facts["suggested"] = _encode(self.suggested).decode()
        for number, start in enumerate(range(0, len(self.learned), _BLOCK)):
            block = self.learned[start : start + _BLOCK]
            facts[f"learned {number}"] = _encode(block).decode()
        return facts

    def tell(self, strategy: Strategy, from_text: Callable[[str], Genes]) -> None:
        """Tell a strategy, before its first trial."""
        for result in self.learned:
            strategy.learn(from_text(result.genome), result.fitness, result.goals)
        for genome in self.suggested:
            strategy.suggest(from_text(genome))


def earlier_of(facts: Mapping[str, str], path: Path) -> Earlier:
    """What a run began with, from the facts of its journal. Raises RunError."""
    learned: list[Learned] = []
    try:
        for number in count():
            if f"learned {number}" not in facts:
                break
            learned += _decode_learned(facts[f"learned {number}"])
        suggested = _decode_suggested(facts.get("suggested", "[]"))
    except (RecursionError, msgspec.MsgspecError) as error:
        raise damaged(path, error) from None
    return Earlier(suggested, tuple(learned))


def is_genome(text: str) -> bool:
    """Whether a text of search.warm_start is a genome's; else it is a run's folder."""
    try:
        space_named_by(text)
    except GenomeError:
        return False
    return True


def read_earlier(
    config: Config, language: NetworkLanguage, facts: Mapping[str, str]
) -> Earlier:
    """What search.warm_start has for a new run; ``facts`` are those of that.

    Genomes are suggested in their order, and the search.population best of the runs after
    them, or the runs' results are learned: failures first, then the best last, so that they
    are the youngest of the population. Of equal genomes the first result counts.

    Raises ConfigError for a genome that is none of the run's space, for a run of another,
    and for results that mean something else here; RunError for a run that cannot be read.
    """
    search, space = config.search, language.space
    suggested: dict[str, None] = {}
    for text in filter(is_genome, search.warm_start):
        try:
            genes = language.canonical(from_text(space, text))
        except GenomeError as error:
            raise ConfigError(f"[search] warm_start: {text}: {error}") from None
        suggested[to_text(space, genes)] = None
    results: dict[str, Learned] = {}
    for folder in search.warm_start:
        if not is_genome(folder):
            _check_same(folder, config, facts)
            for result in _results(folder, config, language):
                results.setdefault(result.genome, result)
    ranked = sorted(
        results.values(), key=lambda r: -inf if r.fitness is None else r.fitness
    )
    if search.warm_as == "results":
        return Earlier(tuple(suggested), tuple(ranked))
    best = [result.genome for result in reversed(ranked) if result.fitness is not None]
    suggested |= dict.fromkeys(best[: search.population])
    return Earlier(tuple(suggested))


def _results(
    folder: str, config: Config, language: NetworkLanguage
) -> Iterator[Learned]:
    """The results of a run's search, in order of trial."""
    space = language.space
    images = partial(batch_size, space, language.task)
    goals = goals_of(config.search.goals, images)
    for record in iter_trials(folder):
        if record.phase != SEARCH or record.ending is None:
            continue
        genome = to_text(space, language.canonical(from_text(space, record.genome)))
        values = () if record.fitness is None else goals(genome, record)
        if values is None:
            yield Learned(genome, None)
        else:
            yield Learned(genome, record.fitness, values)


def _check_same(folder: str, config: Config, facts: Mapping[str, str]) -> None:
    """Raise ConfigError if a run's genomes, or the results that are wanted, mean something
    else here."""
    meta = read_facts(folder)
    named, space = meta.get("space"), facts["space"]
    where = f"[search] warm_start: {folder}"
    if named != space:
        raise ConfigError(
            f"{where}: its genomes are of space {named}, not of {space}; leave it out, or "
            "take its space"
        )
    if meta.get("fingerprint") != facts["fingerprint"]:
        raise ConfigError(
            f"{where}: its space {named} says something else than this run's; leave it "
            "out, or take the space file that it was made with"
        )
    if config.search.warm_as != "results":
        return
    before = config_of(meta, Path(folder) / FILE)
    differs = []
    # A journal of the first version knows the data by their path alone.
    same_path = "data" not in meta and before.task.data == config.task.data
    if meta.get("data") != facts["data"] and not same_path:
        differs.append("its data are others")
    for table in ("backend", "training", "stopping"):
        old = msgspec.structs.asdict(getattr(before, table))
        now = msgspec.structs.asdict(getattr(config, table))
        differs += [
            f"its {table}.{key} is {old[key]!r}, not {now[key]!r}"
            for key in now
            if old[key] != now[key]
        ]
    if differs:
        raise ConfigError(
            f"{where}: its results do not hold here, for {'; '.join(differs)}; take "
            'search.warm_as = "population"'
        )
