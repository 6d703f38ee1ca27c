"""The examples: complete, and what the program does without them."""

import tomllib
from pathlib import Path

import msgspec

from ribosome.runner.config import Config

EXAMPLE = Path(__file__).parents[1] / "examples" / "digits.toml"


def test_the_example_has_every_key_with_its_default() -> None:
    """README sends people there for all keys; only the time limit is its own."""
    example = tomllib.loads(EXAMPLE.read_text())
    assert example["training"].pop("time_limit_s") == 3.0
    defaults = msgspec.to_builtins(Config())
    del defaults["training"]["time_limit_s"]
    assert example == defaults
