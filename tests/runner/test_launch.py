"""What launched this process, and how to launch a run over MPI."""

import stat
from pathlib import Path

import pytest

from ribosome.genome.errors import RunError
from ribosome.runner import launch


@pytest.mark.parametrize(
    ("environment", "ranks"),
    [
        ({}, 1),
        ({"PMI_SIZE": "3", "PMI_RANK": "1"}, 3),
        ({"PMI_SIZE": "1", "PMI_RANK": "0"}, 1),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, 4),
        ({"JSM_NAMESPACE_SIZE": "25200"}, 25200),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, 1),
        ({"SLURM_STEP_ID": "0", "SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "8"}, 8),
        ({"PMI_SIZE": "many"}, 1),
    ],
)
def test_the_environment_tells_the_ranks(
    environment: dict[str, str], ranks: int
) -> None:
    """Each launcher is known by what it sets; a batch script of Slurm is alone."""
    assert launch.launched_ranks(environment) == ranks


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, 0),
        ({"PMI_RANK": "2"}, 2),
        ({"OMPI_COMM_WORLD_RANK": "3"}, 3),
        ({"PMIX_RANK": "1"}, 1),
        ({"SLURM_PROCID": "5"}, 5),
    ],
)
def test_the_environment_tells_the_rank(environment: dict[str, str], rank: int) -> None:
    """The rank is known without MPI."""
    assert launch.launched_rank(environment) == rank


def fake_mpiexec(folder: Path, version: str) -> Path:
    """An mpiexec that only knows its version."""
    program = folder / "mpiexec"
    program.write_text(f"#!/bin/sh\necho '{version}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def test_the_mpiexec_beside_python_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An mpiexec in the virtual environment is taken before the one on PATH."""
    (tmp_path / "own").mkdir()
    (tmp_path / "path").mkdir()
    own = fake_mpiexec(tmp_path / "own", "HYDRA")
    fake_mpiexec(tmp_path / "path", "HYDRA")
    monkeypatch.setattr("sys.executable", str(own.with_name("python")))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert launch.find_mpiexec() == str(own)


def test_a_missing_mpiexec_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any mpiexec the error says what to install."""
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match="pip install mpich"):
        launch.find_mpiexec()


def test_mpich_needs_no_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is mpiexec, the number of ranks, and the program."""
    mpiexec = fake_mpiexec(tmp_path, "HYDRA build details")
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))  # no env, and what it is for left out
    argv = launch.mpi_argv(3, ["ribosome", "search"])
    assert argv == [str(mpiexec), "-n", "3", "ribosome", "search"]


def test_open_mpi_is_told_to_share_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open MPI refuses root, and more ranks than cores, unless it is told."""
    fake_mpiexec(tmp_path, "mpiexec (Open MPI) 5.0.8")
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    argv = launch.mpi_argv(2, ["true"])
    assert "--allow-run-as-root" in argv
    assert "--oversubscribe" in argv
    options = argv[argv.index("-n") :]
    assert (options[:2], options[-1]) == (["-n", "2"], "true")


@pytest.mark.parametrize("code", [0, 125])
def test_ranks_begin_with_signals_blocked_where_env_can_do_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """An env that does not know the option fails, and is done without."""
    mpiexec = fake_mpiexec(tmp_path, "HYDRA build details")
    (tmp_path / "env").write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / "env").chmod(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    holding = [] if code else ["env", "--block-signal=INT,TERM"]
    argv = launch.mpi_argv(2, ["ribosome"])
    assert argv == [str(mpiexec), "-n", "2", *holding, "ribosome"]


@pytest.mark.parametrize(
    ("version", "asked"), [("4.1.6", False), ("5.0.8", True), ("10.0.0", True)]
)
def test_open_mpi_is_asked_to_survive_a_death(version: str, *, asked: bool) -> None:
    """Versions before 5 know no such option."""
    options = launch.options_of(f"mpiexec (Open MPI) {version}")
    assert ("--with-ft" in options) == asked


def test_what_survives_a_death_is_told_by_the_environment() -> None:
    """Open MPI's launcher leaves a mark."""
    assert launch.survives_death({"OMPI_MCA_mpi_ft_enable": "1"})
    assert not launch.survives_death({"PMI_RANK": "1"})
