"""Which caffe is run, and what is said where there is none."""

from pathlib import Path

import pytest

from ribosome.backends.caffe.binary import (
    built_caffe,
    caffe_version,
    find_caffe,
)
from ribosome.genome.errors import ConfigError


def program(path: Path, text: str = "echo caffe version 1.0.0") -> Path:
    """An executable shell script, in a folder that is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No caffe anywhere: no variable, an empty PATH, an empty cache."""
    monkeypatch.delenv("RIBOSOME_CAFFE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("RIBOSOME_CACHE", str(tmp_path / "cache"))
    caffe_version.cache_clear()


def test_the_variable_goes_before_path_and_path_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is named is meant; what is installed was chosen; what we built is left."""
    built = program(built_caffe())
    assert find_caffe() == str(built)
    installed = program(tmp_path / "bin" / "caffe")
    assert find_caffe() == str(installed)
    named = program(tmp_path / "own" / "caffe-nv")
    monkeypatch.setenv("RIBOSOME_CAFFE", str(named))
    assert find_caffe() == str(named)


def test_a_relative_path_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trials run in folders of their own."""
    program(tmp_path / "caffe")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RIBOSOME_CAFFE", "./caffe")
    assert find_caffe() == str(tmp_path / "caffe")


def test_without_any_it_says_where_it_looked_and_what_to_do(tmp_path: Path) -> None:
    """One line for the user."""
    with pytest.raises(ConfigError) as caught:
        find_caffe()
    message = str(caught.value)
    for part in ("RIBOSOME_CAFFE", "PATH", str(tmp_path / "cache"), "`make caffe`"):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("named", "wrong"),
    [
        ("nowhere", "does not exist"),
        ("bin", "is a folder"),
        ("text", "not an executable file"),
    ],
)
def test_what_is_named_must_be_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, wrong: str
) -> None:
    """Nothing else is taken in its place: the user would train with another."""
    program(tmp_path / "bin" / "caffe")
    (tmp_path / "text").write_text("")
    monkeypatch.setenv("RIBOSOME_CAFFE", str(tmp_path / named))
    with pytest.raises(ConfigError, match=wrong):
        find_caffe()


def test_the_version_is_asked_once(tmp_path: Path) -> None:
    """Thousands of trials are started by one process."""
    caffe = program(
        tmp_path / "caffe", f"echo x >> {tmp_path}/asked; echo caffe version 0.16.5"
    )
    assert [caffe_version(str(caffe)) for _ in range(2)] == ["0.16.5"] * 2
    assert (tmp_path / "asked").read_text() == "x\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("echo libglog.so.1 is missing >&2; exit 127", "libglog.so.1 is missing"),
        ("echo latte version 2", "latte version 2"),
        ("exit 1", "'nothing'"),
    ],
)
def test_a_program_that_is_no_caffe(tmp_path: Path, text: str, says: str) -> None:
    """What it says is passed on."""
    with pytest.raises(ConfigError, match=says):
        caffe_version(str(program(tmp_path / "caffe", text)))


def test_a_program_of_another_machine(tmp_path: Path) -> None:
    """It is executable and no program: an error of ours, no traceback."""
    (tmp_path / "caffe").write_bytes(b"\x7fELF of something else")
    (tmp_path / "caffe").chmod(0o755)
    with pytest.raises(ConfigError, match="does not run"):
        caffe_version(str(tmp_path / "caffe"))


@pytest.mark.caffe
def test_the_caffe_here_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that the tests marked ``caffe`` use gives a version."""
    monkeypatch.undo()
    assert caffe_version(find_caffe()).count(".") == 2
