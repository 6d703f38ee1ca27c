"""`ribosome search`: what it hands to the runner, what it prints, how it starts MPI."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from ribosome.runner import launch
from ribosome.runner.observer import Best, Interrupted, Status, Summary
from ribosome.runner.signals import let_through

PATIENCE_S = 60.0

CONFIG = """
[space]
name = "lenet"
[search]
evaluations = 3
population = 2
[training]
max_iterations = 3
"""


@pytest.fixture(autouse=True)
def signals_put_back() -> Iterator[None]:
    """What the command does to the signals of its process is undone."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)
    let_through()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config of a small search."""
    path = tmp_path / "small.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch, lenet_genomes: list[str]) -> list:
    """Calls of the runner's search, which is replaced: it shows one status and ends."""
    calls = []
    best = Best(2, 0.75, lenet_genomes[1])

    def search(config, folder, *, resume, observer):
        calls.append((config, folder, resume))
        endings = {"ok": 2, "timeout": 1}
        observer.update(Status(3, 3, 0, 2, best, endings, 1200.0, 9.0, 0.0))
        observer.warn("a worker was lost")
        return Summary(folder, 3, 2, 6.0, best, endings)

    monkeypatch.setattr("ribosome.runner.run.search", search)
    monkeypatch.setattr("ribosome.tools.summary.read_workers", lambda _: [])
    monkeypatch.setattr("ribosome.tools.summary.ended_early", lambda _: [])
    return calls


def test_config_and_overrides_reach_the_runner(
    ribosome, searched, config: Path, tmp_path: Path
) -> None:
    """The config is read with --set applied; folder and --resume are handed on."""
    run = tmp_path / "run"
    result = ribosome(
        *("search", config, "-o", run, "--resume"),
        *("--set", "search.seed=9", "--set", "runner.workers=1"),
    )
    assert result.exit_code == 0, result.stderr
    ((settings, folder, resume),) = searched
    assert (settings.search.seed, settings.runner.workers) == (9, 1)
    assert settings.space.name == "lenet"
    assert (folder, resume) == (str(run), True)


@pytest.mark.usefixtures("searched")
def test_the_end_shows_the_best_and_what_to_do(
    ribosome, config: Path, lenet_genomes
) -> None:
    """The network as a table, its accuracy, counts by ending, exact commands."""
    output = ribosome("search", config, "-o", "my run").stdout
    assert "The best network: trial 2, accuracy 0.7500 on 360 validation" in output
    assert "finalip" in output
    assert "3 networks evaluated: 2 ok, 1 timeout." in output
    assert f"ribosome decode {lenet_genomes[1]} --backend pytorch -o" in output
    assert "ribosome export 'my run' --backend pytorch -o" in output


@pytest.mark.usefixtures("searched")
def test_the_printed_commands_work(ribosome, config: Path, tmp_path) -> None:
    """The line that decodes the best network can be run as it stands."""
    output = ribosome("search", config, "-o", tmp_path / "run").stdout
    line = next(line for line in output.splitlines() if " decode " in line)
    arguments = line.split()[1:-1]
    assert ribosome(*arguments, tmp_path / "best").exit_code == 0
    assert (tmp_path / "best" / "network.py").is_file()


@pytest.mark.usefixtures("searched")
def test_progress_none_prints_warnings_only(ribosome, config: Path) -> None:
    """For scripts: stdout stays empty, stderr has the warning."""
    result = ribosome("search", config, "-o", "run", "--progress", "none")
    assert result.stdout == ""
    assert result.stderr == "ribosome: warning: a worker was lost\n"


@pytest.mark.usefixtures("searched")
def test_progress_live_shows_a_bar(ribosome, config: Path) -> None:
    """The display is forced where stdout only leads to a terminal."""
    output = ribosome("search", config, "-o", "run", "--progress", "live").stdout
    assert "\x1b[" in output
    assert "3 of 3 networks" in output


def test_an_interrupted_search_says_how_to_go_on(
    ribosome, monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    """Exit code 130; the runner's line with the command goes to stderr."""

    def search(*_: object, **__: object) -> Summary:
        raise Interrupted("interrupted; resume with: ribosome search ... --resume")

    monkeypatch.setattr("ribosome.runner.run.search", search)
    result = ribosome("search", config, "-o", "run")
    assert result.exit_code == 130
    assert result.stderr.splitlines() == [
        "ribosome: interrupted; resume with: ribosome search ... --resume"
    ]


def test_a_misspelt_key_names_the_nearest(ribosome, error_of, tmp_path: Path) -> None:
    """One line with file, key and what was meant."""
    path = tmp_path / "c.toml"
    path.write_text("[search]\nevalutions = 3\n")
    said = error_of(ribosome("search", path, "-o", tmp_path / "run"))
    assert "c.toml" in said
    assert "unknown key 'evalutions' in [search]; did you mean 'evaluations'?" in said


def test_a_missing_config_is_named(ribosome, error_of, tmp_path: Path) -> None:
    """A path that does not exist."""
    said = error_of(ribosome("search", tmp_path / "no.toml", "-o", tmp_path / "run"))
    assert "no.toml: no such config file" in said


def test_a_search_without_a_network_says_where_to_look(
    ribosome, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that shows the failures, as it can be run."""

    def search(*_: object, **__: object) -> Summary:
        return Summary("my run", 3, 3, 6.0, None, {"crashed": 3})

    monkeypatch.setattr("ribosome.runner.run.search", search)
    monkeypatch.setattr("ribosome.tools.summary.read_workers", lambda _: [])
    monkeypatch.setattr("ribosome.tools.summary.ended_early", lambda _: [])
    output = ribosome("search", config, "-o", "my run").stdout
    assert "See why: ribosome results 'my run' --failures\n" in output


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list:
    """What the program would become; it goes on living."""
    calls = []

    def become(program: str, argv: list[str], environment: dict[str, str]) -> None:
        calls.append((program, argv, environment))
        raise SystemExit(0)

    monkeypatch.setattr(os, "execvpe", become)
    return calls


def test_an_interrupt_before_mpiexec_starts_is_not_lost(
    ribosome, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes while the options of mpiexec are found out: one line, and exit code 130."""

    def interrupted(_ranks: int, argv: Sequence[str]) -> list[str]:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
        return ["false", *argv]

    monkeypatch.setattr(launch, "mpi_argv", interrupted)
    result = ribosome("search", config, "-o", "run", "--mpi", 3)
    assert result.exit_code == 130
    assert result.stderr == "ribosome: interrupted before the run began\n"
    # Let through, they would be taken by what catches them here.
    for number in (signal.SIGINT, signal.SIGTERM):
        assert signal.sigwait([number]) == number


def test_mpi_starts_itself_under_mpiexec(
    ribosome, launched, monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    """The same search, without --mpi, as so many ranks; stdout's nature is told."""
    terminal = os.terminal_size((123, 45))
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: terminal)
    result = ribosome(
        *("search", config, "-o", "run", "--resume", "--mpi", 3),
        *("--set", "search.seed=2"),
    )
    assert result.exit_code == 0
    ((program, argv, environment),) = launched
    assert argv[0] == program
    assert Path(program).name == "mpiexec"
    assert argv[argv.index("-n") + 1] == "3"
    assert argv[argv.index(sys.executable) :] == [
        *(sys.executable, "-P", "-m", "ribosome.tools.cli", "search", str(config)),
        *("-o", "run", "--set", "search.seed=2", "--resume", "--progress", "plain"),
    ]
    assert (environment["COLUMNS"], environment["LINES"]) == ("123", "45")


def test_mpi_checks_the_config_first(
    ribosome, error_of, launched, config: Path
) -> None:
    """A wrong override is said once, by one process, before mpiexec starts."""
    result = ribosome(
        "search", config, "-o", "run", "--mpi", 3, "--set", "search.sed=1"
    )
    assert "unknown key 'sed' in [search]; did you mean 'seed'?" in error_of(result)
    assert launched == []


def test_a_missing_mpiexec_says_what_to_install(
    ribosome, error_of, monkeypatch: pytest.MonkeyPatch, config: Path, tmp_path: Path
) -> None:
    """Neither beside Python nor on PATH: one line."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    result = ribosome("search", config, "-o", "run", "--mpi", 2)
    assert "pip install mpich" in error_of(result)


def test_one_rank_is_not_enough(ribosome, config: Path) -> None:
    """A master needs a worker."""
    assert ribosome("search", config, "-o", "run", "--mpi", 1).exit_code == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay_s", [0.0, 0.1, 0.3])
def test_a_signal_while_the_ranks_start_ends_the_run_as_later(
    config: Path, tmp_path: Path, number: signal.Signals, delay_s: float
) -> None:
    """From the moment that ranks exist on: one line and exit code 130, no traceback."""
    if not Path(sys.executable).with_name("mpiexec").exists():
        pytest.skip("no mpiexec beside this Python: pip install mpich")
    if "env" not in launch.mpi_argv(2, []):
        pytest.skip("env cannot block signals here: coreutils 8.31 can")
    program = [sys.executable, "-P", "-m", "ribosome.tools.cli", "search", config]
    more = ["--mpi", "3", "--set", "search.evaluations=4000"]
    marker = f"EARLY_SIGNAL={os.getpid()}"
    process = subprocess.Popen(
        [*map(str, program), "-o", str(tmp_path / "run"), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "EARLY_SIGNAL": str(os.getpid())},
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while len(_ranks_with(marker)) < 3:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(delay_s)  # any moment will do: each must end alike
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert errors.count("interrupted after") == 1
    assert "Traceback" not in errors


def _ranks_with(marker: str) -> list[Path]:
    """The processes of a run over MPI that are ranks: Python, with a rank's number."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            environ = (path / "environ").read_bytes().split(b"\0")
            named = (path / "cmdline").read_bytes().split(b"\0")[0]
            ranked = any(entry.startswith(b"PMI_RANK=") for entry in environ)
            if ranked and marker.encode() in environ and b"python" in named:
                found.append(path)
    return found


def test_a_search_over_mpi_from_end_to_end(
    ribosome, config: Path, tmp_path: Path
) -> None:
    """Real mpiexec, real trainers: three networks, results, and the export of the best.

    The weights that are exported give the journal's accuracy with torch alone.
    """
    run = tmp_path / "run"
    program = (sys.executable, "-P", "-m", "ribosome.tools.cli")
    done = subprocess.run(
        [*program, "search", config, "-o", run, "--mpi", "3"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "The best network: trial" in done.stdout
    assert done.stdout.count("Searching lenet for digits") == 1
    trials = json.loads(ribosome("results", run, "--json").stdout)
    assert [trial["ending"] for trial in trials] == ["ok", "ok", "ok"]
    assert {trial["worker"] for trial in trials} == {1, 2}

    out = tmp_path / "best"
    result = ribosome("export", run, "-o", out)
    assert result.exit_code == 0, result.stderr
    assert "training it again" not in result.stderr
    check = subprocess.run(
        [sys.executable, "-c", _CHECK, os.environ["RIBOSOME_CACHE"]],
        cwd=out,
        capture_output=True,
        text=True,
        check=True,
    )
    best = max(trial["fitness"] for trial in trials)
    assert float(check.stdout) == pytest.approx(best, abs=1e-6)


_CHECK = """
import sys
import numpy, torch
from network import Network
network = Network()
network.load_state_dict(torch.load("weights.pt", map_location="cpu", weights_only=True))
network.eval()
folder = sys.argv[1] + "/data/digits-1/"
pixels = torch.from_numpy(numpy.load(folder + "val_images.npy")).float()
labels = torch.from_numpy(numpy.load(folder + "val_labels.npy"))
print((network(pixels * 0.0625).argmax(1) == labels).float().mean().item())
"""
