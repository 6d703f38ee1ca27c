"""The supervisor: what it runs, when it stops caffe, what it leaves, and how it ends.

A shell script stands in for caffe: it logs as caffe does, and does what a file says.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path

import pytest

from ribosome.backends.base import Tested as Validation
from ribosome.backends.caffe.command import TRAINER, train_command
from ribosome.backends.caffe.endings import NO_CAFFE, TROUBLE, ending
from ribosome.backends.caffe.log_parser import LogParser
from ribosome.backends.caffe.train import run_solver, serve
from ribosome.runner.verdict import Seen, Verdict, judge, observe
from tests.backends.caffe.logs import Log, training

SOLVER = """\
net: "train_val.prototxt"
max_iter: 40
snapshot_prefix: "snapshot"
solver_mode: GPU
"""
FAKE = """\
#!/bin/sh
echo "$@" >> calls
echo "$GLOG_logtostderr $OPENBLAS_NUM_THREADS" > environment
snapshot() {
    echo weights of $1 > snapshot_iter_$1.caffemodel
    echo state of $1 > snapshot_iter_$1.solverstate
}
case $1 in
test) cat tested.log >&2 ;;
train)
"""

Fake = Callable[..., Path]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Makes a trial's folder, and a caffe that does what the given script says."""

    def make(
        script: str, *, limit_s: float = 0.0, log: list[str] | None = None
    ) -> Path:
        folder = tmp_path / "trial"
        folder.mkdir()
        (folder / "solver.prototxt").write_text(SOLVER)
        (folder / "train_val.prototxt").write_text("")
        settings = {"time_limit_s": limit_s, "test_iterations": 7, "max_iterations": 40}
        (folder / "trial.json").write_text(json.dumps(settings))
        (folder / "train.log").write_text("".join(log or training("bvlc")))
        tested = Log()
        tested.test_command(accuracy="0.75", loss="0.5")
        (folder / "tested.log").write_text("".join(tested.lines))
        caffe = tmp_path / "caffe"
        caffe.write_text(FAKE + script + "\n;;\nesac\n")
        caffe.chmod(0o755)
        monkeypatch.setenv("RIBOSOME_CAFFE", str(caffe))
        return folder

    return make


Run = Callable[..., "subprocess.CompletedProcess[str]"]


def run(folder: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    """The supervisor as a program of its own."""
    command = train_command(str(folder), gpu=None, seed=3)
    return subprocess.run(
        [*command.argv, *more], capture_output=True, text=True, timeout=60, check=False
    )


def verdict(done: "subprocess.CompletedProcess[str]") -> tuple[Seen, Verdict]:
    """What the runner makes of it."""
    parser = LogParser()
    lines = done.stderr.splitlines()
    events = [event for line in lines for event in parser.feed(line)]
    seen = reduce(observe, events, Seen())
    return seen, judge(seen, done.returncode, says=ending, lines=lines)


def calls(folder: Path) -> list[str]:
    """The arguments of each call of caffe."""
    return (folder / "calls").read_text().splitlines()


def test_the_command_starts_the_supervisor() -> None:
    """Its argv is this Python's, and a warm process can take the trial over."""
    command = train_command("/x/3", gpu=1, seed=5, save="/x/3/weights")
    arguments = ["/x/3", "--seed", "5", "--gpu", "1", "--save", "/x/3/weights"]
    assert list(command.argv) == [sys.executable, "-P", "-m", TRAINER, *arguments]
    assert command.preload == TRAINER
    assert train_command("/x", gpu=None, seed=5).argv[4:] == ("/x", "--seed", "5")


def test_the_solver_of_a_run_has_its_device_and_seed() -> None:
    """Whatever the emitted one says; nothing else is changed."""
    text = run_solver(SOLVER + "random_seed: 1\n", seed=2**32 + 3, gpu=False)
    kept = SOLVER.replace("solver_mode: GPU\n", "")
    assert text == kept + "solver_mode: CPU\nrandom_seed: 3\n"
    assert "solver_mode: GPU\n" in run_solver(SOLVER, seed=1, gpu=True)


def test_a_run_is_ok(fake: Fake) -> None:
    """The log goes through, the exit code is caffe's, the arguments are right."""
    folder = fake("cat train.log >&2; echo to stdout; snapshot 40")
    done = run(folder)
    assert done.stderr == "".join(training("bvlc"))
    assert done.stdout == "to stdout\n"
    assert verdict(done)[1] == Verdict("ok")
    assert calls(folder) == ["train -solver run.prototxt"]
    assert "random_seed: 3" in (folder / "run.prototxt").read_text()


def test_a_gpu_is_handed_on(fake: Fake) -> None:
    """As caffe's own option, and in the solver."""
    folder = fake("cat train.log >&2; snapshot 40")
    assert run(folder, "--gpu", "0").returncode == 0
    assert calls(folder) == ["train -solver run.prototxt -gpu 0"]
    assert "solver_mode: GPU" in (folder / "run.prototxt").read_text()


@pytest.mark.parametrize(
    ("given", "threads"),
    [
        ({"OPENBLAS_NUM_THREADS": "3"}, "3"),
        ({}, "1"),
    ],
)
def test_threads_are_the_environments(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], threads: str
) -> None:
    """One, unless it says otherwise; and caffe logs to stderr."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    folder = fake("cat train.log >&2")
    run(folder)
    assert (folder / "environment").read_text() == f"1 {threads}\n"


def test_the_last_snapshot_is_saved(fake: Fake, tmp_path: Path) -> None:
    """Of several the one of most iterations; neither it nor any other stays behind."""
    folder = fake("cat train.log >&2; snapshot 9; snapshot 40; snapshot 5")
    (folder / "snapshot_iter_99.caffemodel").write_text("of an earlier run")
    assert run(folder, "--save", str(tmp_path / "weights")).returncode == 0
    assert (tmp_path / "weights").read_text() == "weights of 40\n"
    assert not list(folder.glob("snapshot_*"))
    assert {p.name for p in tmp_path.iterdir()} == {"trial", "caffe", "weights"}


def test_nothing_is_saved_of_a_run_that_failed(fake: Fake, tmp_path: Path) -> None:
    """Half-trained weights are no result."""
    folder = fake("snapshot 5; exit 1")
    assert run(folder, "--save", str(tmp_path / "weights")).returncode == 1
    assert not (tmp_path / "weights").exists()


def test_a_lost_snapshot_is_a_crash(fake: Fake, tmp_path: Path) -> None:
    """Weights that were asked for and are not there are no regular end."""
    done = run(fake("cat train.log >&2"), "--save", str(tmp_path / "weights"))
    assert verdict(done)[1].ending == "crashed"
    assert "no snapshot" in verdict(done)[1].message


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 1", 1),
        ("exit 134", 134),
        ("kill -ABRT $$", 134),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ],
)
def test_the_exit_code_is_caffes(fake: Fake, script: str, code: int) -> None:
    """128 and the signal where one ended it."""
    assert run(fake(script)).returncode == code


STOPPED = """\
head -n {head} train.log >&2
trap 'tail -n +{tail} train.log >&2; snapshot 13; exit 0' INT
sleep 60 & wait
"""


def stopped(flavour: str) -> tuple[list[str], int]:
    """A log that a SIGINT cuts short, and how many lines of it come before."""
    log = Log(flavour)
    log.start()
    log.display(0, "2.3", printed="-1e-43 iter/s, 0.1s/20 iters")
    before = sum(line.count("\n") for line in log.lines)
    log.snapshot(13)
    log.stop_early()
    return log.lines, before


@pytest.mark.parametrize("flavour", ["bvlc", "nvcaffe 0.16.5"])
def test_a_time_limit_ends_in_a_validation(
    fake: Fake, tmp_path: Path, flavour: str
) -> None:
    """Caffe is stopped once, and what it leaves is validated and saved."""
    log, before = stopped(flavour)
    script = STOPPED.format(head=before, tail=before + 1)
    folder = fake(script, limit_s=0.2, log=log)
    done = run(folder, "--save", str(tmp_path / "weights"))
    seen, judged = verdict(done)
    assert judged == Verdict("ok")
    assert seen.tested == Validation(accuracy=0.75, loss=0.5, iteration=13)
    test = "test -model train_val.prototxt -weights snapshot_iter_13.caffemodel"
    assert calls(folder) == ["train -solver run.prototxt", f"{test} -iterations 7"]
    assert (tmp_path / "weights").read_text() == "weights of 13\n"


def test_a_stop_without_a_snapshot_is_a_crash(fake: Fake) -> None:
    """There is nothing to validate, and no fitness."""
    log, before = stopped("bvlc")
    script = STOPPED.format(head=before, tail=before + 1).replace("snapshot 13; ", "")
    _, judged = verdict(run(fake(script, limit_s=0.1, log=log)))
    assert judged == Verdict(
        "crashed", "caffe ended without a validation, and left no snapshot"
    )


def test_the_end_of_caffe_is_the_end(fake: Fake) -> None:
    """Although something that it has started holds its log open."""
    done = run(fake("sleep 100 & cat train.log >&2; exit 0"))
    assert verdict(done)[1] == Verdict("ok")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_caffe_ends_with_its_supervisor(fake: Fake, number: signal.Signals) -> None:
    """Whatever ends the one ends the other: the pipe that both write to is closed."""
    folder = fake("trap '' INT TERM; echo up >&2; exec sleep 60")
    command = train_command(str(folder), gpu=None, seed=3)
    read, write = os.pipe()
    with subprocess.Popen(
        command.argv, stdout=write, stderr=subprocess.PIPE
    ) as process:
        os.close(write)
        assert process.stderr is not None
        assert process.stderr.readline() == b"up\n"
        process.send_signal(number)
        with os.fdopen(read) as pipe:
            assert pipe.read() == ""  # comes to its end once nobody holds the pipe
    expected = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -9}
    assert process.returncode == expected[number]


def test_no_caffe_says_what_to_do(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal's message tells how to get one."""
    folder = fake("exit 0")
    monkeypatch.setenv("RIBOSOME_CAFFE", str(folder / "nowhere"))
    done = run(folder)
    assert done.returncode == NO_CAFFE
    assert verdict(done)[1].ending == "crashed"
    assert "make caffe" in verdict(done)[1].message
    assert "RIBOSOME_CAFFE" in verdict(done)[1].message


def test_a_caffe_that_does_not_start_says_so(fake: Fake, tmp_path: Path) -> None:
    """An executable file that is no program."""
    folder = fake("exit 0")
    (tmp_path / "caffe").write_bytes(b"\x7fELF no program")
    done = run(folder)
    assert done.returncode == NO_CAFFE
    assert "does not start" in verdict(done)[1].message


@pytest.mark.parametrize("name", ["solver.prototxt", "trial.json"])
@pytest.mark.parametrize("text", [None, b"\xff\xfe"])
def test_a_folder_without_its_files_says_so(
    fake: Fake, name: str, text: bytes | None
) -> None:
    """Missing or damaged: one line, with the file's name."""
    folder = fake("exit 0")
    (folder / name).unlink()
    if text is not None:
        (folder / name).write_bytes(text)
    done = run(folder)
    assert (done.returncode, done.stderr.count("\n")) == (TROUBLE, 1)
    assert name in verdict(done)[1].message


def test_a_full_disk_is_named(fake: Fake) -> None:
    """What the system says, and of which folder: the error itself has no name by then."""
    folder = fake("exit 0")
    (folder / "run.prototxt").symlink_to("/dev/full")
    done = run(folder)
    assert (done.returncode, done.stderr.count("\n")) == (TROUBLE, 1)
    assert f"{folder}: No space left on device" in verdict(done)[1].message


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"time_limit_s": 1, "test_iterations": 0}']
)
def test_settings_that_make_no_sense_are_refused(fake: Fake, text: str) -> None:
    """One line that says to emit the trial again."""
    folder = fake("exit 0")
    (folder / "trial.json").write_text(text)
    done = run(folder)
    assert (done.returncode, done.stderr.count("\n")) == (TROUBLE, 1)
    assert "emit the trial again" in done.stderr


@pytest.mark.parametrize("argv", [[], ["/nowhere", "--seed", "1"], ["--what"]])
def test_usage_is_no_traceback(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Arguments that make no sense give argparse's code."""
    assert serve(argv) == TROUBLE
    assert "Traceback" not in capsys.readouterr().err
    assert serve(["--help"]) == 0
