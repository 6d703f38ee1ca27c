"""The config file of a run: typed, with defaults; errors name the nearest key."""

import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ribosome.genome.errors import ConfigError
from ribosome.genome.task import Training
from ribosome.genome.toml import parse_toml, read_toml
from ribosome.runner.bounds import Share
from ribosome.runner.goals import GOALS
from ribosome.runner.wording import plainly
from ribosome.search.arrivals import ARRIVALS
from ribosome.search.population import REPLACEMENTS
from ribosome.search.registry import STRATEGIES
from ribosome.search.variation import CROSSOVERS

Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
CountOrNone = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
AtLeastTwo = Annotated[int, Meta(ge=2, le=2**31 - 1)]
Limit = Annotated[float, Meta(ge=0, le=1e300)]
Quantile = Annotated[float, Meta(ge=0.01, le=0.99)]
Draws = Annotated[int, Meta(ge=1, le=10_000)]
Text = Annotated[str, Meta(min_length=1)]
Workers = Annotated[int, Meta(ge=1, le=1024)] | str


class TaskConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[task]: a built-in data set or a data folder."""

    data: Text = "digits"


class SpaceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[space]: a shipped space or a path to a space file."""

    name: Text = "menndl"


class BackendConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[backend]: the framework that networks are written for."""

    name: Text = "pytorch"


class TrainingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[training]: see `ribosome.genome.task.Training`."""

    max_iterations: Count = 300
    time_limit_s: Seconds = 60.0
    test_batch_size: Count = 256
    precision: str = "auto"
    threads: Count = 1
    data_layer: str = "lmdb"  # how Caffe reads the images; or "hdf5"


class SearchConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[search]: the strategy and what it is given; see `ribosome.search.settings`."""

    strategy: str = "evolution"
    evaluations: Count = 120
    population: AtLeastTwo = 24
    tournament: Count = 8
    crossover: Share = 0.75
    crossover_kind: str = "uniform"
    mutation: Share = 0.0  # rate per gene; 0: one gene of a genome on average
    adaptive: bool = False  # whether that rate follows success
    replacement: str = "age"  # or "fitness"; the defaults: docs/benchmarks.md
    arrivals: str = "finished"  # or "asked": a result waits for those asked before it
    restart: CountOrNone = 0  # results without a better one that end a population
    guided: CountOrNone = (
        1000  # results up to which a surrogate chooses children; 0: none
    )
    brood: Count = 100  # children that it chooses among
    goals: tuple[str, ...] = ()  # of nsga2, besides accuracy: `ribosome.runner.goals`
    warm_start: tuple[Text, ...] = ()  # runs and genomes: `ribosome.runner.earlier`
    warm_as: str = "population"  # or "results": such runs' trials are not repeated
    seed: Seed = 1
    confirm: CountOrNone = 0  # so many of the best are trained again; 0: none
    confirm_repeats: Count = 2  # so often each, with other seeds; their mean decides


class LimitsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[limits]: what a network may cost; 0: anything. See `ribosome.runner.limits`."""

    parameters: CountOrNone = 0
    flops_per_sample: Limit = 0.0  # of a forward and a backward pass
    memory_mb: Limit = 0.0  # of a batch's activations and their gradients
    seconds: Limit = 0.0  # of a training, as estimated from those that have ended


class TuneConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[tune]: the hyperparameters of one network; see `ribosome.runner.tuning`."""

    evaluations: CountOrNone = 0  # in all, after the search; 0: none
    random: Share = 0.5  # share of them that is drawn before there is a model
    rounds: Count = 3  # models, each of all results, evenly spaced over the rest
    good: Quantile = 0.75  # of the results, above which they are good
    among: Draws = 16  # draws that a model calls good, of which the best is trained
    time_s: Seconds = 0.0  # ends the phase, in place of evaluations; 0: it does not
    genome: Text = "best"  # whose hyperparameters: the winner's, a genome's, "lenet"
    max_iterations: CountOrNone = 0  # of a trial of it; 0: as [training] has it
    time_limit_s: Seconds = 0.0  # the same


class StoppingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[stopping]: what ends a trial early, or before it begins; `ribosome.runner.stopping`."""

    rule: str = "none"  # "median", "halving": which trials go on after a check
    checks: CountOrNone = 0  # validations during training, evenly spaced; 0: none
    grace: Count = 5  # results at a check before the median stops anything
    keep: Share = 0.5  # halving: the share of all results at a check that goes on
    constant_after: Share = (
        0.0  # share of training with only one class predicted; 0: any
    )
    check: bool = (
        False  # try a batch before training; what cannot learn is no evaluation
    )


class RunnerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[runner]: workers, and what a trial may take."""

    workers: Workers = "auto"  # of this machine, without MPI; auto: as many as fit
    trials_per_gpu: Count = 1  # workers that share a GPU
    gpus: str = "auto"  # none: train on the CPU; require: never on the CPU
    wall_limit_s: Seconds = 0.0  # of one trial; 0: twice the training limit, plus 60
    stall_limit_s: Seconds = 0.0  # without a line of log; 0: the training limit plus 60
    log_limit_mb: Count = 1024  # of a trainer's output; one that prints more is ended
    warm_start: bool = True
    keep_trials: str = "best"  # best (and failures), all, none
    journal: str = "auto"  # wal, or rollback as a network file system needs it
    stage: Text = "auto"  # where a node keeps a copy of the data: auto, none, a folder
    heartbeat_s: Seconds = 60.0  # a worker silent for longer is lost; 0: never
    queue: Annotated[int, Meta(ge=1, le=1024)] = 2  # trials at a worker, one running
    quarantine: CountOrNone = 8  # failures alike in a row that bar a worker; 0: none


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole config file."""

    task: TaskConfig = TaskConfig()
    space: SpaceConfig = SpaceConfig()
    backend: BackendConfig = BackendConfig()
    training: TrainingConfig = TrainingConfig()
    search: SearchConfig = SearchConfig()
    limits: LimitsConfig = LimitsConfig()
    tune: TuneConfig = TuneConfig()
    stopping: StoppingConfig = StoppingConfig()
    runner: RunnerConfig = RunnerConfig()


CHOICES: dict[tuple[str, str], tuple[str, ...]] = {
    ("training", "precision"): ("auto", "single", "mixed", "half"),
    ("training", "data_layer"): ("lmdb", "hdf5"),
    ("search", "strategy"): tuple(STRATEGIES),
    ("search", "crossover_kind"): tuple(CROSSOVERS),
    ("search", "replacement"): tuple(REPLACEMENTS),
    ("search", "arrivals"): tuple(ARRIVALS),
    ("search", "warm_as"): ("population", "results"),
    ("stopping", "rule"): ("none", "median", "halving"),
    ("runner", "gpus"): ("auto", "none", "require"),
    ("runner", "keep_trials"): ("best", "all", "none"),
    ("runner", "journal"): ("auto", "wal", "rollback"),
}
"""The keys that take one of a few words. Spaces and backends are checked by who loads
them: both can be the user's own."""

_PHRASES = {
    "`int | str`": 'a whole number or "auto"',  # [runner] workers alone
    "`array`": 'a list, as in ["a", "b"]',
}

SHORTEST_HEARTBEAT_S = 15.0
"""The least that runner.heartbeat_s may be, in seconds, if it is not 0. A sound worker is
silent for a quarter of it, its beat, then for the 10 s that it may take to kill what a trial
has left, and for a moment on a machine that is busy: less would have sound workers killed."""

KEYS: dict[str, tuple[str, ...]] = {
    table: type(section).__struct_fields__
    for table, section in msgspec.structs.asdict(Config()).items()
}
"""The tables of a config file and their keys."""

encode_config = msgspec.json.Encoder().encode
decode_config = msgspec.json.Decoder(Config).decode


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a config file; an override is "table.key=value", its value as in TOML.

    An override's value that is no TOML stands for itself, as a string. Raises
    ConfigError, naming the file or the override and the key.
    """
    tables = _read(path)
    _check_names(tables, str(path))
    origins: dict[tuple[str, str], str] = {}
    for override in overrides:
        origin = f"--set {override}"
        table, key, value = _parse_override(override)
        _check_names({table: {key: value}}, origin)
        tables.setdefault(table, {})[key] = value
        origins[table, key] = origin
    return _convert(tables, str(path), origins)


def training_of(config: Config) -> Training:
    """What the trainer is told: the section [training], and the checks of [stopping]."""
    return Training(
        **msgspec.structs.asdict(config.training),
        checks=config.stopping.checks,
        check_first=config.stopping.check,
    )


def config_of_tuning(config: Config) -> Config:
    """The same run, but for what [tune] says of the training of a trial."""
    training, tune = config.training, config.tune
    training = msgspec.structs.replace(
        training,
        max_iterations=tune.max_iterations or training.max_iterations,
        time_limit_s=tune.time_limit_s or training.time_limit_s,
    )
    return msgspec.structs.replace(config, training=training)


def dump_config(config: Config) -> str:
    """The whole config as TOML, defaults included; `load_config` reads it back."""
    tables = []
    for table in KEYS:
        values = msgspec.structs.asdict(getattr(config, table))
        lines = [f"{key} = {_to_toml(value)}" for key, value in values.items()]
        tables.append("\n".join([f"[{table}]", *lines]))
    return "\n\n".join(tables) + "\n"


def _read(path: str | Path) -> dict[str, Any]:
    try:
        return read_toml(Path(path))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such config file; check the path") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text; is this a config file?") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}; correct it") from None


def _parse_override(override: str) -> tuple[str, str, Any]:
    name, equals, text = override.partition("=")
    table, dot, key = name.strip().partition(".")
    if not (equals and dot and table and key):
        raise ConfigError(
            f"--set {override}: not of the form table.key=value, "
            "as in --set search.seed=2"
        )
    try:
        parsed = parse_toml(f"value = {text}")
    except ValueError:
        return table, key, text.strip()
    # A line break could smuggle in more keys than the one that was named.
    return table, key, parsed["value"] if len(parsed) == 1 else text


def _check_names(tables: Mapping[str, Any], origin: str) -> None:
    """Refuse a table or a key that there is not, with the nearest one that there is."""
    for table, values in tables.items():
        if table not in KEYS:
            what = "table" if isinstance(values, dict) else "key"
            hint = _place_or_nearest(table, KEYS)
            raise ConfigError(f"{origin}: unknown {what} {table!r}; {hint}")
        if not isinstance(values, dict):
            raise ConfigError(f"{origin}: {table!r} is a table: write [{table}]")
        for key in values:
            if key not in KEYS[table]:
                hint = _place_or_nearest(key, KEYS[table])
                raise ConfigError(f"{origin}: unknown key {key!r} in [{table}]; {hint}")


def _convert(
    tables: Mapping[str, Mapping[str, Any]],
    path: str,
    origins: Mapping[tuple[str, str], str],
) -> Config:
    def wrong(table: str, key: str, what: str) -> ConfigError:
        origin = origins.get((table, key), path)
        value = _to_toml(tables[table][key])
        return ConfigError(f"{origin}: [{table}] {key} = {value}: {what}")

    try:
        config = msgspec.convert(tables, Config)
    except msgspec.ValidationError as error:
        what, place = plainly(error, _PHRASES)
        table, key = place.partition("[")[0].split(".")[:2]
        raise wrong(table, key, what) from None
    for (table, key), words in CHOICES.items():
        word = getattr(getattr(config, table), key)
        if word not in words:
            raise wrong(table, key, _nearest(word, words))
    for goal in config.search.goals:
        if goal not in GOALS:
            raise wrong("search", "goals", f"{goal!r} is none: {_nearest(goal, GOALS)}")
    if config.search.goals and config.search.strategy != "nsga2":
        what = 'only strategy = "nsga2" has goals besides accuracy; take that, or none'
        raise wrong("search", "goals", what)
    if config.search.strategy == "nsga2" and not config.search.goals:
        what = f"it needs goals besides accuracy: give goals of {', '.join(GOALS)}"
        raise wrong("search", "strategy", what)
    if problem := _problem_of_stopping(config):
        raise wrong("stopping", *problem)
    workers = config.runner.workers
    if isinstance(workers, str) and workers != "auto":
        raise wrong("runner", "workers", 'take a whole number, or "auto"')
    if 0.0 < config.runner.heartbeat_s < SHORTEST_HEARTBEAT_S:
        what = (
            f"take {SHORTEST_HEARTBEAT_S:g} or more, or 0 for never: a sound worker can be "
            "busy that long with ending a trial"
        )
        raise wrong("runner", "heartbeat_s", what)
    stage = config.runner.stage
    if stage not in ("auto", "none") and stage[0] not in "/$":
        hint = 'take "auto", "none", or a folder, as in "/local" or "$TMPDIR"'
        raise wrong("runner", "stage", hint)
    return config


def _problem_of_stopping(config: Config) -> tuple[str, str] | None:
    """A key of [stopping] that asks for what there is not, and what to do."""
    stopping = config.stopping
    if not stopping.checks:
        hint = "needs checks to go by: set [stopping] checks to 1 or more"
        if stopping.rule != "none":
            return "rule", hint
        if stopping.constant_after:
            return "constant_after", hint
    if stopping.checks >= config.training.max_iterations:
        return "checks", "take fewer than [training] max_iterations"
    if stopping.check and config.backend.name in ("caffe", "nvcaffe"):
        return "check", "only the backend pytorch can try a network before training"
    return None


def _place_or_nearest(word: str, names: Iterable[str]) -> str:
    places = [f"[{table}]" for table, keys in KEYS.items() if word in keys]
    if places:
        return f"it belongs in {' or '.join(places)}"
    return _nearest(word, names)


def _nearest(word: str, names: Iterable[str]) -> str:
    close = get_close_matches(word, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"take one of {', '.join(names)}"


def _to_toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            # Of what TOML forbids in a string, JSON leaves only DEL unescaped.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return f"[{', '.join(map(_to_toml, value))}]"
        case _:
            return f"({type(value).__name__})"
