"""The config file of a run."""

import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.genome.errors import ConfigError
from ribosome.genome.task import Training
from ribosome.runner.config import (
    CHOICES,
    KEYS,
    Config,
    RunnerConfig,
    SearchConfig,
    TaskConfig,
    TrainingConfig,
    decode_config,
    dump_config,
    encode_config,
    load_config,
)
from ribosome.runner.goals import GOALS

EXAMPLES = Path(__file__).parents[2] / "examples"

COUNTS = st.integers(1, 2**31 - 1)
SECONDS = st.floats(0, 1e9)
# Names reach a config from a file or a command line, which hold no lone surrogates.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
CONFIGS = st.builds(
    Config,
    task=st.builds(TaskConfig, data=TEXTS),
    training=st.builds(
        TrainingConfig,
        max_iterations=COUNTS,
        time_limit_s=SECONDS,
        precision=st.sampled_from(CHOICES["training", "precision"]),
    ),
    search=st.one_of(
        st.builds(
            SearchConfig,
            strategy=st.sampled_from(["evolution", "random"]),
            population=st.integers(2, 2**31 - 1),
            mutation=st.floats(0, 1),
            warm_start=st.lists(TEXTS, max_size=3).map(tuple),
            seed=st.integers(0, 2**63 - 1),
        ),
        st.builds(
            SearchConfig,
            strategy=st.just("nsga2"),
            goals=st.lists(st.sampled_from(GOALS), min_size=1).map(tuple),
        ),
    ),
    runner=st.builds(RunnerConfig, warm_start=st.booleans(), wall_limit_s=SECONDS),
)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    """Writes the text of a config file; its path."""

    def write_file(text: str) -> str:
        path = tmp_path / "run.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write_file


def error_of(path: str, overrides: tuple[str, ...] = ()) -> str:
    """The message of the error that this config is refused with, less its folder."""
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{Path(path).parent}/", "")


def test_an_empty_file_is_the_defaults(write) -> None:
    """Every key has a default."""
    assert load_config(write("")) == Config()


def test_the_defaults_pass_their_own_checks() -> None:
    """What a struct starts with is what a file may say."""
    assert msgspec.convert(msgspec.to_builtins(Config()), Config) == Config()
    for (table, key), words in CHOICES.items():
        assert getattr(getattr(Config(), table), key) in words


def test_a_file_and_its_overrides_set_keys(write) -> None:
    """An override wins over the file; what neither names keeps its default."""
    path = write("[search]\nseed = 5\npopulation = 7\n")
    search = load_config(path, ["search.seed=6", "search.evaluations = 9"]).search
    assert search == SearchConfig(seed=6, population=7, evaluations=9)


@pytest.mark.parametrize(
    ("override", "table", "key", "value"),
    [
        ("search.warm_start=['a', 'b']", "search", "warm_start", ("a", "b")),
        ("search.goals=[]", "search", "goals", ()),
        ("limits.parameters=7", "limits", "parameters", 7),
        ("runner.heartbeat_s=0", "runner", "heartbeat_s", 0.0),
        ("runner.heartbeat_s=15", "runner", "heartbeat_s", 15.0),
        ("search.seed=2", "search", "seed", 2),
        ("search.crossover=1", "search", "crossover", 1.0),
        ("training.time_limit_s=2.5", "training", "time_limit_s", 2.5),
        ("runner.warm_start=false", "runner", "warm_start", False),
        ("search.strategy=random", "search", "strategy", "random"),
        ("search.strategy='random'", "search", "strategy", "random"),
        ('space.name="a b"', "space", "name", "a b"),
        ("space.name=my/space.toml", "space", "name", "my/space.toml"),
        ("task.data=x=y", "task", "data", "x=y"),
        ("task.data='a'\nname='b'", "task", "data", "'a'\nname='b'"),
    ],
)
def test_the_value_of_an_override(override, table, key, value, write) -> None:
    """It is TOML if it can be, else it stands for itself."""
    loaded = getattr(getattr(load_config(write(""), [override]), table), key)
    assert (loaded, type(loaded)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[search]\nevalutions = 5",
            "run.toml: unknown key 'evalutions' in [search]; "
            "did you mean 'evaluations'?",
        ),
        (
            "[searchh]\nseed = 5",
            "run.toml: unknown table 'searchh'; did you mean 'search'?",
        ),
        ("seed = 5", "run.toml: unknown key 'seed'; it belongs in [search]"),
        (
            "[search]\nworkers = 5",
            "run.toml: unknown key 'workers' in [search]; it belongs in [runner]",
        ),
        (
            "[runner]\nworkers = 0",
            "run.toml: [runner] workers = 0: expected a whole number >= 1",
        ),
        (
            "[runner]\nworkers = 'all'",
            'run.toml: [runner] workers = "all": take a whole number, or "auto"',
        ),
        (
            "[runner]\nworkers = 1.5",
            'run.toml: [runner] workers = 1.5: expected a whole number or "auto"',
        ),
        (
            "[search]\nname = 'x'",
            "run.toml: unknown key 'name' in [search]; "
            "it belongs in [space] or [backend]",
        ),
        (
            "[backend]\nzzz = 5",
            "run.toml: unknown key 'zzz' in [backend]; take one of name",
        ),
        ("search = 5", "run.toml: 'search' is a table: write [search]"),
        (
            "[search]\nevaluations = 0",
            "run.toml: [search] evaluations = 0: expected a whole number >= 1",
        ),
        (
            "[search]\npopulation = 1",
            "run.toml: [search] population = 1: expected a whole number >= 2",
        ),
        (
            "[search]\npopulation = 2.5",
            "run.toml: [search] population = 2.5: expected a whole number",
        ),
        (
            "[search]\npopulation = true",
            "run.toml: [search] population = true: expected a whole number",
        ),
        (
            "[search]\nmutation = 1.5",
            "run.toml: [search] mutation = 1.5: expected a number <= 1.0",
        ),
        (
            "[search]\nmutation = nan",
            "run.toml: [search] mutation = nan: expected a number >= 0.0",
        ),
        (
            "[training]\ntime_limit_s = inf",
            "run.toml: [training] time_limit_s = inf: "
            "expected a number <= 1000000000.0",
        ),
        (
            "[training]\nmax_iterations = -1",
            "run.toml: [training] max_iterations = -1: expected a whole number >= 1",
        ),
        (
            "[runner]\nheartbeat_s = 14.9",
            "run.toml: [runner] heartbeat_s = 14.9: take 15 or more, or 0 for never: a "
            "sound worker can be busy that long with ending a trial",
        ),
        (
            "[search]\nseed = -1",
            "run.toml: [search] seed = -1: expected a whole number >= 0",
        ),
        (
            "[search]\nstrategy = 'evolutoon'",
            "run.toml: [search] strategy = \"evolutoon\": did you mean 'evolution'?",
        ),
        (
            "[search]\nreplacement = 'worst'",
            'run.toml: [search] replacement = "worst": take one of age, fitness',
        ),
        (
            "[search]\nstrategy = 'nsga2'\ngoals = ['flop']",
            "run.toml: [search] goals = [\"flop\"]: 'flop' is none: did you mean 'flops'?",
        ),
        (
            "[search]\ngoals = 'flops'",
            'run.toml: [search] goals = "flops": expected a list, as in ["a", "b"]',
        ),
        (
            "[search]\nwarm_start = ['a', 1]",
            'run.toml: [search] warm_start = ["a", 1]: expected a string in quotes',
        ),
        (
            "[search]\ngoals = ['flops']",
            'run.toml: [search] goals = ["flops"]: only strategy = "nsga2" has goals '
            "besides accuracy; take that, or none",
        ),
        (
            "[search]\nstrategy = 'nsga2'",
            'run.toml: [search] strategy = "nsga2": it needs goals besides accuracy: give '
            "goals of flops, parameters, batches_per_s, seconds",
        ),
        (
            "[limits]\nseconds = -1.0",
            "run.toml: [limits] seconds = -1.0: expected a number >= 0.0",
        ),
        (
            "[training]\nprecision = 'fp16'",
            'run.toml: [training] precision = "fp16": take one of auto, single, mixed, half',
        ),
        (
            "[task]\ndata = 5",
            "run.toml: [task] data = 5: expected a string in quotes",
        ),
        (
            "[task]\ndata = ''",
            'run.toml: [task] data = "": expected a string in quotes of length >= 1',
        ),
        (
            "[task]\ndata = 2026-01-01",
            "run.toml: [task] data = (date): expected a string in quotes",
        ),
        (
            "[runner]\nwarm_start = 1",
            "run.toml: [runner] warm_start = 1: expected true or false",
        ),
        (
            "[search]\nseed =",
            "run.toml: not valid TOML: Invalid value (at end of document); correct it",
        ),
        (
            "[search]\nseed = 1\nseed = 2\n",
            "run.toml: not valid TOML: "
            "Cannot overwrite a value (at line 3, column 9); correct it",
        ),
    ],
)
def test_a_wrong_file_is_refused(text: str, message: str, write) -> None:
    """The error names the file, the key, what is wrong and what would be right."""
    assert error_of(write(text)) == message


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "search.seed",
            "--set search.seed: not of the form table.key=value, "
            "as in --set search.seed=2",
        ),
        (
            "seed=2",
            "--set seed=2: not of the form table.key=value, as in --set search.seed=2",
        ),
        (
            "search.sed=2",
            "--set search.sed=2: unknown key 'sed' in [search]; did you mean 'seed'?",
        ),
        (
            "searching.seed=2",
            "--set searching.seed=2: unknown table 'searching'; did you mean 'search'?",
        ),
        (
            "search.seed=two",
            '--set search.seed=two: [search] seed = "two": expected a whole number',
        ),
        (
            "search.replacement=aged",
            '--set search.replacement=aged: [search] replacement = "aged": '
            "did you mean 'age'?",
        ),
    ],
)
def test_a_wrong_override_is_refused(override: str, message: str, write) -> None:
    """The error names the override, not the file."""
    assert error_of(write("[search]\nseed = 1"), (override,)) == message


def test_an_override_mends_a_wrong_value(write) -> None:
    """What an override replaces is not looked at."""
    config = load_config(write("[search]\nseed = -1"), ["search.seed=3"])
    assert config.search.seed == 3


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The error names the path."""
    message = error_of(str(tmp_path / "none.toml"))
    assert message == "none.toml: no such config file; check the path"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """A run folder given in place of its config is an error in one line."""
    assert "cannot be read: Is a directory" in error_of(str(tmp_path))


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    """A binary file is an error in one line."""
    path = tmp_path / "run.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert error_of(str(path)) == "run.toml: not UTF-8 text; is this a config file?"


@given(CONFIGS)
def test_a_dumped_config_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, config: Config
) -> None:
    """Text with quotes, line breaks and control characters comes back as it was."""
    path = tmp_path_factory.mktemp("config") / "config.toml"
    path.write_text(dump_config(config), encoding="utf-8", newline="")
    assert load_config(path) == config


def test_a_dump_holds_every_key() -> None:
    """The resolved config names its defaults too."""
    dumped = tomllib.loads(dump_config(Config()))
    assert {table: tuple(keys) for table, keys in dumped.items()} == KEYS


@given(CONFIGS)
def test_the_json_form_reads_back_equal(config: Config) -> None:
    """What a worker decodes is what the master encoded."""
    assert decode_config(encode_config(config)) == config


def test_training_keys_are_fields_of_the_task() -> None:
    """[training] can be handed on to `Training` by name."""
    assert set(KEYS["training"]) <= {field.name for field in fields(Training)}


def test_search_keys_are_all_used() -> None:
    """Each key of [search] but the run's own is read by a strategy."""
    from ribosome.search.settings import Settings

    read = {name for name in vars(Settings) if not name.startswith("_")}
    own = {"evaluations", "seed", "confirm", "confirm_repeats"}
    own |= {"goals", "warm_start", "warm_as"}
    assert set(KEYS["search"]) - read == own


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda p: p.name)
def test_the_examples_load(path: Path) -> None:
    """Every shipped example is a valid config."""
    assert load_config(path)


def test_the_module_loads_without_numpy() -> None:
    """The command line reads configs long before it needs numbers."""
    code = "import sys, ribosome.runner.config; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("stopping", "message"),
    [
        ('rule = "median"', '[stopping] rule = "median": needs checks to go by'),
        ("constant_after = 0.5", "[stopping] constant_after = 0.5: needs checks"),
        ("checks = 300", "[stopping] checks = 300: take fewer than [training]"),
        ("check = true", "[stopping] check = true: only the backend pytorch can try"),
    ],
)
def test_stopping_that_cannot_be_is_refused(stopping: str, message: str, write) -> None:
    """A rule needs checks, and a check before training needs PyTorch's trainer."""
    backend = '[backend]\nname = "caffe"\n'
    found = error_of(write(f"{backend}[stopping]\n{stopping}\n"))
    assert found.startswith(f"run.toml: {message}")
