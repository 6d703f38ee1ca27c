"""`ribosome doctor`: each check tells sound from missing."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ribosome.tools import doctor
from ribosome.tools.doctor import Finding


def program(path: Path, text: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def absent(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Make a distribution look as if it were not installed."""
    real: Callable[[str], str] = doctor.version

    def version(distribution: str) -> str:
        if distribution == name:
            raise doctor.PackageNotFoundError(distribution)
        return real(distribution)

    monkeypatch.setattr(doctor, "version", version)


def test_quick_checks_are_sound_here() -> None:
    """The machine that runs the tests has what they need."""
    for check in (doctor.python, doctor.packages, doctor.scikit_learn, doctor.cores):
        assert check().state == "ok"


def test_two_ranks_see_each_other_here() -> None:
    """The mpiexec of this environment fits its mpi4py."""
    finding = doctor.mpi()
    assert finding.state == "ok", finding


def test_a_mismatched_mpiexec_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ranks that are worlds of size 1 each: it says so, and what to do."""
    program(tmp_path / "mpiexec", 'test "$1" = --version || printf "<1>\\n<1>\\n"')
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    finding = doctor.mpi()
    assert finding.state == "note"
    assert "worlds of size 1 and 1" in finding.found
    assert "different MPIs" in finding.advice


def test_an_mpiexec_that_hangs_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check has a time limit."""
    program(tmp_path / "mpiexec", 'test "$1" = --version || exec sleep 60')
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(doctor, "MPI_CHECK_TIME_S", 0.2)
    assert "does not come to an end" in doctor.mpi().found


def test_no_mpiexec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Local workers need none, so it is a note."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = doctor.mpi()
    assert (finding.state, finding.required) == ("note", False)
    assert "pip install mpich" in finding.advice


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    absent(monkeypatch, "rich")
    finding = doctor.packages()
    assert (finding.state, finding.required) == ("missing", True)
    assert finding.advice == "pip install rich"


@pytest.fixture
def no_caffe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any caffe."""
    monkeypatch.delenv("RIBOSOME_CAFFE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("RIBOSOME_CACHE", str(tmp_path))


@pytest.mark.usefixtures("no_caffe")
def test_without_torch_and_caffe_nothing_trains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Torch is required."""
    absent(monkeypatch, "torch")
    finding = doctor.torch()
    assert (finding.state, finding.required) == ("missing", True)


def test_caffe_trains_without_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is a caffe, torch is only worth a note."""
    absent(monkeypatch, "torch")
    monkeypatch.setenv("RIBOSOME_CAFFE", str(program(tmp_path / "caffe", "")))
    finding = doctor.torch()
    assert (finding.state, finding.required) == ("note", False)
    assert "pip install torch" in finding.advice


@pytest.mark.usefixtures("no_caffe")
def test_a_torch_that_does_not_load_is_no_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is imported in a process of its own; the last line of its error is shown."""

    def broken(code: str, *, limit_s: float) -> subprocess.CompletedProcess[str]:
        del limit_s
        return subprocess.CompletedProcess(
            code, 1, "", "Trace\nImportError: libtorch\n"
        )

    monkeypatch.setattr(doctor, "_python", broken)
    finding = doctor.torch()
    assert (finding.state, finding.found) == ("missing", "ImportError: libtorch")


def test_a_caffe_is_named_with_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `caffe --version` prints."""
    path = program(tmp_path / "caffe", "echo caffe version 0.17.4")
    monkeypatch.setenv("RIBOSOME_CAFFE", str(path))
    assert doctor.caffe() == Finding("Caffe", "ok", f"0.17.4, {path}")


def test_no_caffe_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch trains without one; how to get one is said."""
    monkeypatch.delenv("RIBOSOME_CAFFE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = doctor.caffe()
    assert (finding.state, finding.found) == ("note", "none")
    assert "`make caffe`" in finding.advice


def test_a_caffe_that_lacks_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there and does not run: what the loader says is shown."""
    path = program(tmp_path / "caffe", "echo no libglog.so.1 >&2; exit 127")
    monkeypatch.setenv("RIBOSOME_CAFFE", str(path))
    finding = doctor.caffe()
    assert (finding.state, finding.found) == ("note", f"{path} does not run")
    assert "no libglog.so.1" in finding.advice


def test_a_cache_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in its place: the variable to set is named."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RIBOSOME_CACHE", str(tmp_path / "file" / "cache"))
    finding = doctor.cache()
    assert finding.state == "missing"
    assert "RIBOSOME_CACHE" in finding.advice


@pytest.mark.parametrize(
    ("finding", "code", "says"),
    [
        (Finding("a", "ok", "fine"), 0, "Ready to search."),
        (Finding("a", "note", "hm", "do this"), 0, "Ready to search."),
        (Finding("a", "missing", "no", "do this", True), 1, "is missing"),
    ],
)
def test_the_exit_code(
    ribosome, monkeypatch: pytest.MonkeyPatch, finding: Finding, code: int, says: str
) -> None:
    """1 only where something required is missing; advice is always shown."""

    def checks() -> Iterator[Finding]:
        yield finding

    monkeypatch.setattr(doctor, "checks", checks)
    result = ribosome("doctor")
    assert result.exit_code == code
    assert says in result.stdout
    assert finding.advice in result.stdout
