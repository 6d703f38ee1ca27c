"""Trials of a fake trainer that does all that a trainer may do, cold and warm."""

import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_trainer import OK
from trial_kit import MODULE, Bench, finish, server_environment, until

from ribosome.backends.base import Command
from ribosome.backends.pytorch.parser import LogParser
from ribosome.runner import warm
from ribosome.runner.trial import Limits, Trial
from ribosome.runner.verdict import Verdict
from ribosome.runner.warm import Exit, Launcher


@pytest.fixture(scope="module", params=["warm", "cold"])
def launcher(request: pytest.FixtureRequest) -> Iterator[Launcher]:
    """One server for all tests of a kind."""
    preload = MODULE if request.param == "warm" else ""
    marker = f"trials-{request.param}-{os.getpid()}"
    environment = {**server_environment(marker), "SERVERS_OWN": "1"}
    with Launcher(preload, environment=environment) as launcher:
        yield launcher


@pytest.fixture
def bench(
    launcher: Launcher, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Bench]:
    """A bench for trials; afterwards no process of theirs may be left."""
    kind = request.node.callspec.params["launcher"]
    bench = Bench(launcher, tmp_path, f"trials-{kind}-{os.getpid()}")
    yield bench
    assert bench.left() == []


def told(bench: Bench) -> dict[str, object]:
    """What a trainer says of itself."""
    bench.run("tells")
    line = next(line for line in bench.log.splitlines() if line.startswith(b"told "))
    state: dict[str, object] = json.loads(line[5:])
    return state


def descriptors() -> int:
    """The number of files that this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_good_trial_is_ok(bench: Bench) -> None:
    """A regular trial ends as ok, with what its log said."""
    outcome = bench.run("ok")
    assert outcome.verdict.ending == "ok"
    assert outcome.seen.batches_per_s == 50.0
    assert outcome.seen.tested is not None
    assert outcome.seen.tested.accuracy == 0.75


def test_a_log_that_cannot_be_written_ends_the_trial(bench: Bench) -> None:
    """On a full disk a trial has crashed, and says why, with what it printed."""
    (bench.folder / "log.txt").symlink_to("/dev/full")
    verdict = bench.run(argv=("/bin/sh", "-c", "printf 'line\nhalf'; sleep 1000"))
    assert verdict.verdict.ending == "crashed"
    assert verdict.verdict.message == (
        "its log cannot be written: No space left on device; its log ends: line | half"
    )


def test_the_log_is_in_the_folder(bench: Bench) -> None:
    """All that the trainer printed stands in log.txt."""
    bench.run("exits", "3")
    assert bench.log == b"leaving\n"


def test_an_exception_is_shown(bench: Bench) -> None:
    """A trainer that raises has crashed, with its error as message."""
    verdict = bench.run("raises").verdict
    assert verdict.ending == "crashed"
    assert verdict.message.startswith("exit code 1: ValueError: no such luck (fake_")


@pytest.mark.parametrize("code", [1, 2, 3, 42, 255])
def test_exit_codes_come_through(bench: Bench, code: int) -> None:
    """The backend is asked about the very exit code of the trainer."""
    outcome = bench.run("exits", str(code), says={code: "invalid"}.get)
    assert outcome.verdict.ending == "invalid"


def test_exit_code_0_without_a_validation_is_a_crash(bench: Bench) -> None:
    """A trainer that leaves early with exit code 0 has crashed."""
    assert bench.run("exits", "0").verdict.ending == "crashed"


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM]
)
def test_signals_come_through(bench: Bench, number: signal.Signals) -> None:
    """A trainer that a signal ends has crashed, with the signal and its last words."""
    verdict = bench.run("signal", str(int(number))).verdict
    assert verdict.ending == "crashed"
    assert verdict.message == f"killed by signal {int(number)} ({number.name}): " + (
        "last words"
    )


def test_a_silent_trainer_is_ended(bench: Bench) -> None:
    """Without a line for the stall limit a trial ends, though it ignores SIGTERM."""
    verdict = bench.run("hangs", limits=Limits(stall_s=0.2)).verdict
    assert verdict.ending == "timeout"
    assert verdict.message == "no line of log for 0.2 s; its log ends: alive"


def test_output_without_a_line_is_silence(bench: Bench) -> None:
    """Dots that never make a line do not keep a trial going."""
    assert bench.run("dots", limits=Limits(stall_s=0.2)).verdict.ending == "timeout"


def test_a_trainer_that_prints_forever_is_ended(bench: Bench) -> None:
    """The wall limit holds for a trainer that never pauses."""
    verdict = bench.run("prints_forever", limits=Limits(wall_s=0.3)).verdict
    assert verdict.ending == "timeout"
    assert verdict.message.startswith("not done after 0.3 s; its log ends: tick")


def test_a_flood_of_log_leaves_the_worker_free(bench: Bench) -> None:
    """Each poll of a trial that floods its log is short."""
    trial = bench.start("prints_forever")
    until(lambda: select.select([trial], [], [], 0)[0])
    times = []
    for _ in range(20):
        before = time.process_time()
        trial.poll()
        times.append(time.process_time() - before)
    trial.kill()
    assert max(times) < 1.0


def test_200_megabytes_of_log_stay_small(bench: Bench) -> None:
    """A runaway log costs little disk, and its last lines are still read."""
    assert bench.run("floods", "200").verdict.ending == "ok"
    assert len(bench.log) < 5 << 20
    assert bench.log.endswith(b"event=done\n")


def test_a_line_of_20_megabytes_is_cut(bench: Bench) -> None:
    """An endless line costs little memory, and the lines after it are read."""
    assert bench.run("long_line").verdict.ending == "ok"
    assert len(bench.log) < 10_000


def test_binary_garbage_is_no_trouble(bench: Bench) -> None:
    """Any byte may stand in a log."""
    assert bench.run("garbage").verdict.ending == "ok"


@pytest.mark.parametrize("session", ["same", "new"])
def test_a_grandchild_does_not_hang_the_trial(bench: Bench, session: str) -> None:
    """What holds the log open after the trainer's end is killed, in any session."""
    assert bench.run("leaves_orphan", session).verdict.ending == "ok"


def test_a_closed_output_is_not_the_end(bench: Bench) -> None:
    """A trainer that closes its output early is waited for, and without spinning."""
    trial = bench.start("closes_output")
    polls = 0
    while (outcome := trial.poll()) is None:
        select.select([trial], [], [], 1.0)
        polls += 1
    assert outcome.verdict.ending == "ok"
    assert polls < 10


class LastMoment:
    """A trainer that writes its whole log between our look at it and its end."""

    pid = 1

    def __init__(self) -> None:
        self.log = -1

    def launch(self, *request: object) -> "LastMoment":
        """Start; the last part of the request is the log's descriptor."""
        self.log = int(str(request[-1]))
        return self

    def fileno(self) -> int:
        """Something to watch."""
        return self.log

    def poll(self) -> Exit:
        """Write and end."""
        os.write(self.log, OK.encode())
        os.close(self.log)
        return Exit(0)


def test_words_of_the_last_moment_are_read(tmp_path: Path) -> None:
    """What a trainer has written is taken in after its end is known."""
    trial = Trial(
        LastMoment(),  # type: ignore[arg-type]
        Command(argv=()),
        tmp_path,
        {},
        parser=LogParser(),
        says=lambda _: None,
        limits=Limits(),
    )
    outcome = trial.poll()
    assert outcome is not None
    assert outcome.verdict.ending == "ok"


@pytest.mark.parametrize("then", ["ends", "hangs"])
def test_a_nan_loss_ends_a_trial(bench: Bench, then: str) -> None:
    """Accuracy 1 and exit code 0 do not save it, and nobody waits for its end."""
    assert bench.run("diverges", then).verdict.ending == "diverged"


def test_out_of_memory_is_told_by_the_log(bench: Bench) -> None:
    """A trainer that fails with the framework's words for it is out_of_memory."""
    verdict = bench.run("out_of_memory").verdict
    assert verdict.ending == "out_of_memory"
    assert "Tried to allocate 2 GiB" in verdict.message


def test_a_program_that_is_not_there(bench: Bench) -> None:
    """A trainer that cannot be started has crashed, and the message says why."""
    verdict = bench.run(argv=("no-such-program", "train")).verdict
    assert verdict.ending == "crashed"
    assert "cannot start no-such-program: No such file" in verdict.message


def test_a_foreign_program_runs_beside_a_warm_server(bench: Bench) -> None:
    """A command that is not the preloaded module's is executed."""
    verdict = bench.run(argv=(sys.executable, "-c", "print(6 * 7)")).verdict
    assert verdict.message == "the trainer ended without a validation: 42"


def test_a_killed_trial_leaves_nothing(bench: Bench) -> None:
    """After kill no process of the trial runs, even if it ignores SIGTERM."""
    trial = bench.start("hangs")
    until(bench.left)
    trial.kill()
    assert bench.left() == []


def test_a_trial_can_be_killed_before_it_runs(bench: Bench) -> None:
    """A trial that is forgotten at once neither runs nor disturbs the next."""
    bench.start("hangs").kill()
    assert bench.run("ok").verdict.ending == "ok"


def test_the_trainer_leads_a_session(bench: Bench) -> None:
    """A terminal's signals do not reach it, and its whole session can be killed."""
    state = told(bench)
    assert state["session"] == state["pid"]


def test_the_trainer_is_in_its_folder(bench: Bench) -> None:
    """A trainer starts in the folder of its trial."""
    assert told(bench)["folder"] == str(bench.folder)


def test_the_trainer_has_its_own_environment(bench: Bench) -> None:
    """Its environment is the one given, with nothing of the server's left in it."""
    expected = server_environment(bench.marker)
    given = told(bench)["environment"]
    assert isinstance(given, dict)
    assert {k: v for k, v in given.items() if k != "LC_CTYPE"} == {
        k: v for k, v in expected.items() if k != "LC_CTYPE"
    }


def test_the_trainer_inherits_no_files(bench: Bench) -> None:
    """Beside its input and outputs a trainer has no file of the worker's open."""
    assert told(bench)["files"] == [0, 1, 2, 3]  # 3 reads the list


def test_the_trainer_has_no_input(bench: Bench) -> None:
    """A trainer that asks its input a question gets no answer."""
    assert told(bench)["input"] == os.devnull


def test_trials_follow_each_other(bench: Bench) -> None:
    """A crash in one trial has no effect on the next."""
    endings = [
        bench.run(*what).verdict.ending
        for what in (["signal", "11"], ["ok"], ["raises"], ["ok"])
    ]
    assert endings == ["crashed", "ok", "crashed", "ok"]


def test_no_descriptor_is_left_open(bench: Bench) -> None:
    """A thousand trials do not run out of descriptors."""
    bench.run("ok")
    before = descriptors()
    bench.run("ok")
    bench.run("closes_output")
    bench.start("hangs").kill()
    assert descriptors() == before


def test_a_trainer_that_somebody_ended_by_sigterm_is_known(bench: Bench) -> None:
    """A batch system does that, or a Ctrl-C, and no network."""
    assert bench.run("signal", str(int(signal.SIGTERM))).blameless
    assert bench.run("exits", "143").blameless
    assert bench.run("exits", "130").blameless


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_no_other_signal_is_taken_for_sigterm(
    bench: Bench, number: signal.Signals
) -> None:
    """Those are ends that networks come to."""
    assert not bench.run("signal", str(int(number))).blameless


def test_what_a_limit_ends_is_not_blameless(bench: Bench) -> None:
    """Limits kill; and what was said before counts: a NaN, memory that ran out."""
    assert not bench.run("hangs", limits=Limits(stall_s=0.2)).blameless
    assert not bench.run("diverges", "hangs").blameless


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_trial_whose_server_died_is_blameless(
    bench: Bench, launcher: Launcher, number: signal.Signals
) -> None:
    """The server runs no network; one that kills it does so again, and has crashed then."""
    trial = bench.start("hangs")
    until(lambda: trial.poll() is None and bench.log == b"alive\n")
    assert launcher.server_pid is not None
    os.kill(launcher.server_pid, number)
    assert finish(trial).blameless
    assert not bench.run("ok").blameless


def test_the_end_of_a_trainer_whose_server_is_stopped_is_no_timeout(
    bench: Bench, launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows how it ended: it has no result, and the next trial gets another server."""
    monkeypatch.setattr(warm, "ANSWER_LIMIT_S", 0.3)
    fifo = bench.folder / "go"
    os.mkfifo(fifo)
    script = "echo begun; read line < go; echo done"
    trial = bench.start(argv=("/bin/sh", "-c", script), limits=Limits(stall_s=0.5))
    until(lambda: trial.poll() is None and bench.log == b"begun\n")
    assert launcher.server_pid is not None
    os.kill(launcher.server_pid, signal.SIGSTOP)
    fifo.write_text("\n")
    outcome = finish(trial)
    assert outcome.blameless
    assert "the process that forks trainers died" in outcome.verdict.message
    assert bench.run("ok").verdict.ending == "ok"


def test_a_halted_trial_is_ok_with_its_last_check(bench: Bench) -> None:
    """It is ended at once, and how its trainer took that is of no interest."""
    trial = bench.start("checks", "hangs")
    until(lambda: trial.poll() or trial.tested)
    trial.halt("others are better")
    outcome = finish(trial)
    assert outcome.verdict == Verdict("ok", "others are better", stopped=True)
    assert outcome.seen.tested is not None
    assert outcome.seen.tested.accuracy == 0.25
    assert not outcome.blameless


def test_a_trial_that_has_ended_meanwhile_is_not_halted(bench: Bench) -> None:
    """It keeps the accuracy of its last validation."""
    trial = bench.start("checks", "ends")
    until(lambda: b"event=done" in bench.log or trial.poll())
    trial.poll()
    trial.halt("too late")
    outcome = finish(trial)
    assert outcome.verdict == Verdict("ok")
    assert outcome.seen.iterations == 10


def test_a_trial_without_a_check_is_not_halted(bench: Bench) -> None:
    """There is no accuracy that it could end with."""
    trial = bench.start("hangs")
    until(lambda: trial.poll() or b"alive" in bench.log)
    trial.halt("why not")
    trial.poll()
    assert trial.poll() is None
    trial.kill()
