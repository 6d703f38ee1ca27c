"""The examples: complete, and what the program does without them."""

import tomllib
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from ribosome.runner.config import KEYS, Config

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.toml"))
OWN = {("training", "time_limit_s"): 3.0}
"""What the examples have that is no default."""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_has_the_defaults(path: Path) -> None:
    """Who copies one and sets a key changes that alone; only the time limit is its own."""
    defaults = msgspec.to_builtins(Config())
    for table, values in tomllib.loads(path.read_text()).items():
        for key, value in values.items():
            expected = OWN.get((table, key), defaults[table][key])
            assert value == expected or (value, expected) == ([], ()), f"{table}.{key}"


def test_every_key_stands_in_one_of_the_examples() -> None:
    """README sends people there for all keys."""
    found: dict[str, set[str]] = {table: set() for table in KEYS}
    for path in EXAMPLES:
        for table, values in tomllib.loads(path.read_text()).items():
            found[table] |= set(values)
    assert found == {table: set(keys) for table, keys in KEYS.items()}


def test_the_choices_of_a_search_stand_together() -> None:
    """All of [search] and [limits], each with a comment of its own."""
    text = (Path(__file__).parents[1] / "examples" / "search.toml").read_text()
    lines = text.splitlines()
    for table in ("search", "limits"):
        assert set(tomllib.loads(text)[table]) == set(KEYS[table])
    for before, line in pairwise(lines):
        if "=" in line and not line.startswith("#") and lines.index(line) > 12:
            assert before.startswith("#"), line
