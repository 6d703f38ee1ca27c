"""The launcher: what becomes of trials when servers die, hang or do not start."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from trial_kit import (
    HERE,
    MODULE,
    PATIENCE_S,
    Bench,
    alive,
    finish,
    marked,
    server_environment,
    state,
    until,
)

from ribosome.runner import warm
from ribosome.runner.warm import Launcher

WORKER = """
import os, sys, time
from pathlib import Path
from ribosome.runner.warm import Launcher
from trial_kit import Bench, server_environment
folder, preload, session = sys.argv[1:]
launcher = Launcher(preload, environment=server_environment(folder))
bench = Bench(launcher, Path(folder), folder)
trial = bench.start("hangs_with_child", session)
while bench.log != b"alive\\n":
    trial.poll()
    time.sleep(0.005)
print(launcher.server_pid, flush=True)
time.sleep(1000)
"""


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[str]:
    """A marker for all processes of a test; none of them may be left."""
    yield str(tmp_path)
    until(lambda: not marked(str(tmp_path), servers=True))


def bench_of(preload: str, folder: Path, marker: str) -> Bench:
    """A bench with a launcher of its own."""
    launcher = Launcher(preload, environment=server_environment(marker))
    return Bench(launcher, folder, marker)


def assert_replaced_once_stopped(bench: Bench) -> None:
    """Stop a bench's server: the next trial runs all the same, and that server is gone."""
    server = bench.launcher.server_pid
    assert server is not None
    os.kill(server, signal.SIGSTOP)
    assert bench.run("ok").verdict.ending == "ok"
    assert not alive(server)


@pytest.mark.parametrize("preload", [MODULE, ""])
def test_a_server_killed_in_mid_trial(
    tmp_path: Path, marker: str, preload: str
) -> None:
    """The trial has crashed, nothing of it is left, and the next one runs."""
    bench = bench_of(preload, tmp_path, marker)
    with bench.launcher:
        trial = bench.start("hangs_with_child", "same")
        until(lambda: trial.poll() is None and bench.log == b"alive\n")
        server = bench.launcher.server_pid
        assert server is not None
        os.kill(server, signal.SIGKILL)
        verdict = finish(trial).verdict
        assert verdict.ending == "crashed"
        assert "the process that forks trainers died (signal 9)" in verdict.message
        assert bench.run("ok").verdict.ending == "ok"


def test_a_server_killed_between_trials_is_replaced(
    tmp_path: Path, marker: str
) -> None:
    """A trial that meets a dead server gets a new one and does not notice."""
    bench = bench_of(MODULE, tmp_path, marker)
    with bench.launcher:
        bench.run("ok")
        server = bench.launcher.server_pid
        assert server is not None
        os.kill(server, signal.SIGKILL)
        assert bench.run("ok").verdict.ending == "ok"
        assert bench.launcher.server_pid != server


def test_a_module_that_does_not_import_means_cold_starts(
    tmp_path: Path, marker: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Trials run all the same, and one warning says why they start cold."""
    bench = bench_of("no_such_module", tmp_path, marker)
    with bench.launcher, caplog.at_level(logging.WARNING):
        assert bench.run("ok").verdict.ending == "ok"
        assert bench.run("ok").verdict.ending == "ok"
    (record,) = caplog.records
    assert "No module named 'no_such_module'" in record.getMessage()


def test_an_import_that_hangs_means_cold_starts(
    tmp_path: Path, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is not ready in time is killed and given up."""
    monkeypatch.setattr(warm, "START_LIMIT_S", 3.0)
    monkeypatch.setattr(warm, "PATIENCE", 1)
    bench = bench_of("hanging_preload", tmp_path, marker)
    with bench.launcher:
        assert bench.run("ok").verdict.ending == "ok"


def test_servers_that_never_start_end_the_trial(
    tmp_path: Path, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not even a cold start works, the trial has crashed and says so."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    bench = bench_of("", tmp_path, marker)
    with bench.launcher:
        verdict = bench.run("ok").verdict
    assert verdict.ending == "crashed"
    assert "does not start (exit code 1)" in verdict.message


def test_a_server_that_does_not_answer_is_killed(
    tmp_path: Path, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To kill a trial of a stopped server takes bounded time and leaves nothing."""
    monkeypatch.setattr(warm, "KILL_LIMIT_S", 0.2)
    bench = bench_of(MODULE, tmp_path, marker)
    with bench.launcher:
        trial = bench.start("hangs_with_child", "same")
        until(lambda: trial.poll() is None and bench.log == b"alive\n")
        assert bench.launcher.server_pid is not None
        os.kill(bench.launcher.server_pid, signal.SIGSTOP)
        trial.kill()
        until(lambda: not bench.left())


@pytest.mark.parametrize("preload", [MODULE, ""])
def test_a_stopped_server_is_replaced_before_a_trial(
    tmp_path: Path, marker: str, preload: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was ready and does not answer is killed, and the trial runs."""
    monkeypatch.setattr(warm, "ANSWER_LIMIT_S", 0.5)
    bench = bench_of(preload, tmp_path, marker)
    with bench.launcher:
        bench.run("ok")
        assert_replaced_once_stopped(bench)


def test_a_server_stopped_before_its_first_trial_is_replaced(
    tmp_path: Path, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's word that its import is done is enough for the shorter limit."""
    monkeypatch.setattr(warm, "ANSWER_LIMIT_S", 0.5)
    bench = bench_of(MODULE, tmp_path, marker)
    with bench.launcher:
        bench.launcher.prepare()
        # The spare is forked first, and the word follows it.
        until(lambda: len(marked(marker, servers=True)) == 2)
        until(lambda: bench.launcher._server and bench.launcher._server.ready_since)
        assert_replaced_once_stopped(bench)


def test_an_import_may_take_longer_than_an_answer(
    tmp_path: Path, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit for answers does not hold before the server is ready."""
    monkeypatch.setattr(warm, "ANSWER_LIMIT_S", 0.0)
    bench = bench_of("hanging_preload", tmp_path, marker)
    with bench.launcher:
        trial = bench.start("ok")
        server = bench.launcher._server
        for _ in range(3):
            assert trial.poll() is None
        assert server is not None
        assert server._process.poll() is None
        assert bench.launcher._server is server
        trial.kill()


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("preload", [MODULE, ""])
@pytest.mark.parametrize("session", ["same", "new"])
def test_a_killed_worker_leaves_nothing(
    tmp_path: Path, marker: str, preload: str, session: str, *, stopped: bool
) -> None:
    """SIGKILL of the worker ends server, trainer and its children; a stopped server too."""
    environment = {**os.environ, "PYTHONPATH": HERE}
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path), preload, session],
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,  # as workers are started
    ) as worker:
        assert worker.stdout is not None
        server = int(worker.stdout.readline())
        until(lambda: len(marked(marker)) == 2)
        if stopped:
            os.kill(server, signal.SIGSTOP)
            until(lambda: state(server) == "T")
        worker.kill()
        worker.wait(PATIENCE_S)
    until(lambda: not marked(marker, servers=True))


def test_close_ends_the_server(tmp_path: Path, marker: str) -> None:
    """After close no server is left."""
    bench = bench_of(MODULE, tmp_path, marker)
    bench.launcher.prepare()
    server = bench.launcher.server_pid
    assert server is not None
    bench.launcher.close()
    assert not alive(server)


def test_a_request_holds_only_what_is_other_than_the_servers() -> None:
    """What a trainer's environment adds, changes and lacks; nothing where it is the same."""
    launcher = Launcher("", environment={"A": "1", "B": "2"})
    assert launcher.changes({"A": "1", "B": "2"}) == {}
    assert launcher.changes({"A": "1", "C": "3"}) == {"B": None, "C": "3"}
    assert launcher.changes({"B": "9"}) == {"A": None, "B": "9"}
    assert launcher.changes({}) == {"A": None, "B": None}


def test_a_server_ended_by_sigterm_tells_nothing_before_all_is_dead(
    tmp_path: Path,
) -> None:
    """However long that takes: whose death it was is known, and nothing is left."""
    marker = f"slow-{os.getpid()}"
    with Launcher("slow_ending", environment=server_environment(marker)) as launcher:
        bench = Bench(launcher, tmp_path, marker)
        argv = (sys.executable, "-P", "-m", "slow_ending", "hangs_with_child", "new")
        trial = bench.start(argv=argv)
        until(lambda: trial.poll() is None and bench.log == b"alive\n")
        assert launcher.server_pid is not None
        os.kill(launcher.server_pid, signal.SIGTERM)
        assert finish(trial).blameless
        assert bench.left() == []
