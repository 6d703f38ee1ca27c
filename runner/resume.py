"""Opening a run folder: a new run in an empty one, or the replay of what is there."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec

from ribosome.backends.data import builtin_names, find_data, read_info
from ribosome.backends.data_check import check_data
from ribosome.backends.nofollow import remove, replace_text
from ribosome.backends.registry import backend
from ribosome.genome.codec import as_text, from_text, pack
from ribosome.genome.errors import RunError
from ribosome.genome.language import NetworkLanguage
from ribosome.genome.space import Space
from ribosome.genome.space_file import load_space, shipped_spaces
from ribosome.genome.version import __version__
from ribosome.runner.config import (
    KEYS,
    Config,
    dump_config,
    encode_config,
    training_of,
)
from ribosome.runner.confirm import CONFIRM
from ribosome.runner.earlier import Earlier, earlier_of, is_genome, read_earlier
from ribosome.runner.fingerprint import data_fingerprint
from ribosome.runner.goals import batch_size, goals_of
from ribosome.runner.journal import Journal
from ribosome.runner.ledger import folders_in_want
from ribosome.runner.limits import LimitedLanguage
from ribosome.runner.local import LOG
from ribosome.runner.lock import LOCK
from ribosome.runner.observer import Observer
from ribosome.runner.program import Program
from ribosome.runner.proposer import Candidate, Codec, Proposer
from ribosome.runner.records import Record
from ribosome.runner.schema import FILE, config_of
from ribosome.runner.stages import make_program, template
from ribosome.runner.staging import is_staged
from ribosome.runner.tally import Tally
from ribosome.runner.trial_folders import TRIALS, TrialFolders
from ribosome.search.registry import make_strategy

CONFIG = "config.toml"
_OURS = (TRIALS, LOCK)
"""What a start that failed may have left in a folder without a journal."""

_MAY_CHANGE = {
    *(("search", key) for key in ("evaluations", "confirm", "confirm_repeats")),
    *(("runner", key) for key in KEYS["runner"]),
}
"""What another session of the same run may set anew: its length and its workers."""

_OF_TUNING = {("tune", key) for key in KEYS["tune"]}
_LENGTH_OF_TUNING = {("tune", key) for key in ("evaluations", "rounds", "time_s")}
"""The same of its tuning phase: anything, and once that has begun its length."""


@dataclass(frozen=True, slots=True)
class Run:
    """An open run: everything that the master needs besides a transport."""

    config: Config
    journal: Journal
    program: Program
    backlog: deque[Candidate]
    tally: Tally


def open_run(
    config: Config,
    folder: Path,
    *,
    resume: bool,
    observer: Observer,
    trains: bool = True,
) -> Run:
    """Open a run folder for this process alone; close the run's journal in the end.

    The backend need not be able to work here if nothing is to be trained (``trains``).
    Raises RunError for a run that is there already, one that another master has, and one
    that began with other settings; DataError and ConfigError for what the workers would
    find wrong as well, before a folder is made.
    """
    trainer = backend(config.backend.name)
    config = _with_absolute_paths(config)
    space = load_space(config.space.name)
    data = find_data(config.task.data)
    check_data(data)
    task = read_info(data).task(training_of(config))
    template(config.tune.genome, space, task)
    earlier = None
    if not (folder / FILE).exists():
        earlier = _earlier(config, space)
    if is_staged(data, config.runner.stage):
        # What the backend makes of the images, each node makes of its copy.
        task = replace(task, data="")
    if trains:
        trainer.prepare(task)
    _check_links(folder)
    _check_room(folder)
    try:
        (folder / TRIALS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be made: {error.strerror}") from None
    journal = Journal(folder, mode=config.runner.journal)
    try:
        if not journal.meta:
            if resume:
                observer.warn(f"{folder}: nothing to resume, the run begins anew")
            _begin(journal, config, space, earlier or _earlier(config, space))
        elif resume:
            _go_on(journal, config, space, folder)
        else:
            raise RunError(
                f"{folder}: holds a run already; go on with it by --resume, or take "
                "another folder"
            )
        _write(folder / CONFIG, dump_config(config))
        return _replay(journal, config, space, folder)
    except BaseException:
        journal.close()
        raise


def _check_room(folder: Path) -> None:
    """Leave alone what is no run: a user's own files are not written over."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder}: is a file; name a new folder")
    if (folder / FILE).exists() or not folder.exists():
        return
    others = sorted(path.name for path in folder.iterdir() if path.name not in _OURS)
    if others:
        raise RunError(
            f"{folder}: holds other files ({others[0]}) and no run; name a new or an "
            "empty folder"
        )


def _check_links(folder: Path) -> None:
    """A run folder from elsewhere may lead what is written and removed out of itself."""
    for name in (TRIALS, LOCK, LOG, FILE):
        if (folder / name).is_symlink():
            raise RunError(
                f"{folder / name}: is a link, and a run keeps to its own folder; remove "
                "it, or take another folder"
            )


def _with_absolute_paths(config: Config) -> Config:
    """The same config for any working directory."""
    task, space = config.task, config.space
    if task.data not in builtin_names():
        task = msgspec.structs.replace(task, data=find_data(task.data))
    if space.name not in shipped_spaces():
        space = msgspec.structs.replace(space, name=str(Path(space.name).absolute()))
    search = msgspec.structs.replace(
        config.search,
        warm_start=tuple(
            text if is_genome(text) else str(Path(text).absolute())
            for text in config.search.warm_start
        ),
    )
    return msgspec.structs.replace(config, task=task, space=space, search=search)


def _facts(config: Config, space: Space) -> dict[str, str]:
    """What the genomes and their fitness mean, wherever the files lie."""
    return {
        "space": f"{space.name} {space.version}",
        "fingerprint": space.fingerprint.hex(),
        "data": data_fingerprint(find_data(config.task.data)),
    }


def _earlier(config: Config, space: Space) -> Earlier:
    """What a run is to begin with."""
    if not config.search.warm_start:
        return Earlier()
    task = read_info(find_data(config.task.data)).task(training_of(config))
    return read_earlier(config, NetworkLanguage(space, task), _facts(config, space))


def _begin(journal: Journal, config: Config, space: Space, earlier: Earlier) -> None:
    journal.create(
        ribosome=__version__,
        config=encode_config(config).decode(),
        created_at=str(time.time()),
        **_facts(config, space),
        **earlier.facts(),
    )


def _go_on(journal: Journal, config: Config, space: Space, folder: Path) -> None:
    """Check that the run is the same one; note what has changed that may.

    The data and the space may have moved: what is in them is compared, not their paths.
    """
    meta, now = journal.meta, _facts(config, space)
    same_space = all(meta.get(key) == now[key] for key in ("space", "fingerprint"))
    # A journal of the first version knows the data by their path alone.
    same_data = meta.get("data") == now["data"]
    may_change = set(_MAY_CHANGE)
    may_change |= _LENGTH_OF_TUNING if journal.models() else _OF_TUNING
    may_change |= {("space", "name")} if same_space else set()
    may_change |= {("task", "data")} if same_data else set()
    before = msgspec.to_builtins(config_of(meta, folder / FILE))
    for table, values in msgspec.to_builtins(config).items():
        for key, value in values.items():
            old = before[table][key]
            if old != value and (table, key) not in may_change:
                raise RunError(
                    f"{folder}: {table}.{key} was {old!r} when the run began and is now "
                    f"{value!r}; set it back, or take another folder (only runner.*, "
                    "search.evaluations, search.confirm, tune.* before it has begun and "
                    "its length may change, and where the same data lie)"
                )
    if not same_space:
        raise RunError(
            f"{folder}: the run's genomes are of space {meta.get('space')}, and "
            f"{config.space.name} says something else now (it calls itself "
            f"{now['space']}); put the space file back as it was, or take another folder"
        )
    if not same_data and "data" in meta:
        raise RunError(
            f"{folder}: the data in {config.task.data} are not those that the run began "
            "with; put them back as they were, or take another folder"
        )
    journal.upgrade()
    journal.amend(config=encode_config(config).decode(), **now)


def _replay(journal: Journal, config: Config, space: Space, folder: Path) -> Run:
    import numpy as np

    info = read_info(find_data(config.task.data))
    task = info.task(training_of(config))
    rng, search = np.random.default_rng(config.search.seed), config.search
    language = LimitedLanguage(
        NetworkLanguage(space, task), msgspec.structs.asdict(config.limits)
    )
    strategy = make_strategy(search, language, rng)
    earlier_of(journal.meta, folder / FILE).tell(strategy, partial(from_text, space))
    proposer = Proposer(
        strategy,
        Codec(partial(pack, space), partial(as_text, space), partial(from_text, space)),
        rng,
        seed=search.seed,
        total=search.evaluations,
        goals=goals_of(search.goals, partial(batch_size, space, task)),
        speed=language.speed,
    )
    program = make_program(config, proposer, journal, space=space, task=task)
    tally, trials = Tally(0), folder / TRIALS
    TrialFolders(trials).recover()
    there = {int(path.name) for path in trials.iterdir() if path.name.isdecimal()}
    ok: set[int] = set()
    steps = _counted(journal.replay(), tally, there, ok)
    backlog = program.replay(steps, journal.random_state())
    tally.total = program.total
    tally.begin()
    if config.runner.keep_trials == "best":
        # Those that a killed master had no time to remove.
        for trial in ok - folders_in_want(program, tally, ended=program.done):
            remove(trials / str(trial))
    return Run(config, journal, program, backlog, tally)


def _counted(
    steps: Iterable[tuple[str, Record]], tally: Tally, there: set[int], ok: set[int]
) -> Iterator[tuple[str, Record]]:
    """Pass the steps on and count the results among them.

    Of the trials that are ``there``, those that did not fail go to ``ok``.
    """
    for what, record in steps:
        if what == "told" and record.ending is not None:
            if record.phase == CONFIRM or record.stopped:
                tally.count(record.ending)
            elif not record.rejected:
                tally.add(record.trial, record.ending, record.fitness, record.genome)
            if record.ending == "ok" and record.trial in there:
                ok.add(record.trial)
        yield what, record


def _write(path: Path, text: str) -> None:
    """Replace a file in one step."""
    try:
        replace_text(path, text)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written: {error.strerror}; make room or mend the disk"
        ) from None
