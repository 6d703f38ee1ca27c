"""Configs, spaces and tasks from elsewhere: bounded, and never a traceback or a hang."""

from pathlib import Path

import pytest

from ribosome.genome.errors import ConfigError, SpaceError
from ribosome.genome.space_file import load_space, parse_space
from ribosome.genome.toml import LARGEST, parse_toml, read_toml
from ribosome.runner.config import Config, dump_config, load_config

from .conftest import Ribosome
from .nasty import HARMFUL, NASTY

HOSTILE = {
    "nested lists": "a = " + "[" * 100_000,
    "nested tables": "a = " + "{a=" * 100_000,
    "a long dotted key": "a" + ".a" * 100_000 + " = 1",
    "a long dotted table": "[a" + ".a" * 100_000 + "]",
    "a long quoted key": '"a"' + ' . "a"' * 100_000 + " = 1",
    "too many digits": "a = " + "9" * 100_000,
    "not UTF-8": b"\xff\xfe",
    "NUL": "\x00",
    "half a surrogate": b"a = '\xed\xa0\x80'",
}


def written(folder: Path, text: str | bytes) -> Path:
    """A TOML file."""
    path = folder / "a.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_toml_is_an_error_at_once(
    tmp_path: Path, ribosome: Ribosome, text: str | bytes
) -> None:
    """As a config, a space and a task: one line, and no time or stack is used up."""
    path = written(tmp_path, text)
    with pytest.raises(ConfigError):
        load_config(path)
    with pytest.raises(SpaceError):
        load_space(str(path))
    with pytest.raises(ValueError):  # noqa: PT011 - any text will do
        read_toml(path)
    result = ribosome("random", "--space", path)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "internal error" not in result.stderr


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_override_is_an_error(tmp_path: Path, value: str | bytes) -> None:
    """`--set search.seed=...` as well."""
    path = written(tmp_path, "")
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    with pytest.raises(ConfigError):
        load_config(path, [f"search.seed={text.removeprefix('a = ')}"])


def test_an_endless_file_is_not_read_to_its_end() -> None:
    """A config that is a device of zeros."""
    with pytest.raises(ConfigError, match="more than"):
        load_config("/dev/zero")
    assert LARGEST < 1 << 30


def test_honest_toml_is_read() -> None:
    """Guard: what configs hold is within the bounds."""
    assert parse_toml('a.b.c = "1.2.3.4.5"\n') == {"a": {"b": {"c": "1.2.3.4.5"}}}
    words = ".".join(["word"] * 20)
    assert parse_toml(f'a = "{words}"')["a"] == words


@pytest.mark.parametrize("name", NASTY, ids=lambda name: ascii(name)[:40])
def test_a_name_in_a_config_is_written_back_as_it_was(
    tmp_path: Path, name: str
) -> None:
    """RUN/config.toml of a hostile name has that name and no other key."""
    from msgspec.structs import replace

    config = replace(Config(), task=replace(Config().task, data=name))
    assert load_config(written(tmp_path, dump_config(config))) == config


SPACE = """
name = "mine"
version = 1
description = {description}
[[slot]]
[slot.inner_product]
num_output = [4]
[solver.SGD]
base_lr = [0.1]
[training]
"""


@pytest.mark.parametrize("text", NASTY, ids=lambda text: ascii(text)[:40])
def test_a_space_cannot_say_what_is_not_in_its_language(text: str) -> None:
    """Strings in place of names, values and kinds of layers are refused by name."""
    import json

    word = json.dumps(text).replace("\x7f", "\\u007f")
    for line in (
        f"name = {word}",
        f"version = {word}",
        f"[solver.{word}]",
        f"[slot.{word}]",
        f"slot = {word}",
    ):
        with pytest.raises(SpaceError):
            parse_space(line, source="a.toml")


def test_a_description_is_shown_and_not_obeyed(
    tmp_path: Path, ribosome: Ribosome
) -> None:
    """Markup and escape sequences of a space's description do nothing."""
    shipped = Path(__file__).parents[2] / "genome" / "spaces" / "lenet.toml"
    lines = [
        line
        for line in shipped.read_text().splitlines()
        if not line.startswith("description")
    ]
    described = 'description = "[red]x[/] \\u001b[2J \\u202e [/b]"'
    path = written(tmp_path, "\n".join([described, *lines]))
    for options in ((path,), (path, "--json")):
        result = ribosome("spaces", *options)
        assert result.exit_code == 0, result.output
        assert "[red]x[/]" in result.output
        assert not set(HARMFUL) & set(result.output)
