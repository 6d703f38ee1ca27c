"""Job scripts: paths, names and accounts are words of the shell and never its commands."""

import re
import subprocess

import pytest

from ribosome.genome.errors import ConfigError
from ribosome.runner.config import Config
from ribosome.runner.jobscript import Job, render
from ribosome.runner.system import load_system

from .nasty import HARMFUL, NASTY

SYSTEMS = ("local", "slurm", "summit")
DIRECTIVE = re.compile(r"^#(?:SBATCH|BSUB).*$", re.MULTILINE)


def script(system: str, **fields: str) -> str:
    """A job script of that system."""
    given = {"config": "a.toml", "run": "run", **fields}
    return render(load_system(system), Config(), Job(nodes=1, minutes=60, **given))  # type: ignore[arg-type]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("path", NASTY, ids=lambda path: ascii(path)[:40])
def test_a_path_is_one_word(system: str, path: str) -> None:
    """The shell reads back the path that was given, or there is no script."""
    try:
        text = script(system, config=path, run=path)
    except ConfigError:
        return
    assert not set(HARMFUL) & set(text)
    assert DIRECTIVE.findall(text) == DIRECTIVE.findall(script(system))
    for name in ("config", "run"):
        start = text.index(f"\n{name}=") + 1
        line = text[start : text.index("\n", start)]
        said = subprocess.run(
            ["bash", "--norc", "-c", f'{line}\nprintf %s "${name}"'],
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        assert said.removeprefix("./") == path


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("field", ["name", "account", "queue"])
@pytest.mark.parametrize("word", NASTY, ids=lambda word: ascii(word)[:40])
def test_a_word_for_the_scheduler_is_a_word(system: str, field: str, word: str) -> None:
    """No directive of somebody's own, and no command."""
    try:
        text = script(system, **{field: word})
    except ConfigError:
        return
    assert re.fullmatch(r"[\w.+@:-]+", word)
    plain = script(system, **{field: "plain"})
    assert text.count("\n") == plain.count("\n")
