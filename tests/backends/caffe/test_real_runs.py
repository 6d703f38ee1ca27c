"""Runs of the real caffe: every way to end, as the supervisor and the parser tell it.

The networks make their own images, so that no file of data is needed.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterable
from functools import reduce
from pathlib import Path

import pytest

from ribosome.backends.base import Ending, Iteration
from ribosome.backends.base import Tested as Validation
from ribosome.backends.caffe.command import train_command
from ribosome.backends.caffe.endings import ending
from ribosome.backends.caffe.log_parser import LogParser
from ribosome.runner.verdict import Seen, Verdict, judge, observe

pytestmark = pytest.mark.caffe

DATA = """
layer {{
  name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param {{
    shape {{ dim: 8 dim: 1 dim: 6 dim: 6 }} shape {{ dim: 8 }}
    data_filler {{ type: "gaussian" std: 1 }} data_filler {{ {labels} }}
  }}
  include {{ phase: {phase} }}
}}
"""
NET = """
layer {
  name: "conv1_0" type: "Convolution" bottom: "data" top: "conv1_0"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } }
}
layer {
  name: "pool2_0" type: "Pooling" bottom: "conv1_0" top: "pool2_0"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 }
}
layer {
  name: "ip3_0" type: "InnerProduct" bottom: "pool2_0" top: "ip3_0"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer {
  name: "loss" type: "SoftmaxWithLoss" bottom: "ip3_0" bottom: "label" top: "loss"
}
layer {
  name: "accuracy" type: "Accuracy" bottom: "ip3_0" bottom: "label" top: "accuracy"
  include { phase: TEST }
}
"""
SOLVER = """
net: "train_val.prototxt"
base_lr: {lr}
lr_policy: "fixed"
max_iter: {iterations}
display: {display}
test_iter: 3
test_interval: {iterations}
test_initialization: false
snapshot_prefix: "snapshot"
solver_mode: GPU
"""
ONE = 'type: "constant" value: 1'
NONE = 'type: "constant" value: 0'
LAST = 'type: "constant" value: 9'
ANY = 'type: "uniform" min: 0 max: 9.99'


def trial(
    folder: Path,
    *,
    net: str = NET,
    lr: float = 0.1,
    iterations: int = 40,
    display: int = 5,
    limit_s: float = 0.0,
    train: str = ONE,
    test: str = ONE,
) -> list[str]:
    """Writes the files of a trial; the supervisor's command for it."""
    phases = (("TRAIN", train), ("TEST", test))
    data = "".join(DATA.format(phase=phase, labels=labels) for phase, labels in phases)
    (folder / "train_val.prototxt").write_text(data + net)
    solver = SOLVER.format(lr=lr, iterations=iterations, display=display)
    (folder / "solver.prototxt").write_text(solver)
    settings = {"time_limit_s": limit_s, "test_iterations": 3}
    (folder / "trial.json").write_text(json.dumps(settings))
    save = str(folder / "weights")
    return list(train_command(str(folder), gpu=None, seed=1, save=save).argv)


def run(argv: list[str]) -> "subprocess.CompletedProcess[str]":
    """The trial to its end."""
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def verdict(lines: Iterable[str], exit_code: int) -> tuple[Seen, Verdict]:
    """What the runner makes of it."""
    parser, said = LogParser(), list(lines)
    events = [event for line in said for event in parser.feed(line)]
    seen = reduce(observe, events, Seen())
    return seen, judge(seen, exit_code, says=ending, lines=said[-40:])


def test_a_good_run_is_ok(tmp_path: Path) -> None:
    """It learns the only label, is validated, and its weights are kept."""
    done = run(trial(tmp_path))
    seen, judged = verdict(done.stderr.splitlines(), done.returncode)
    assert judged == Verdict("ok")
    assert seen.iteration == 40
    assert seen.tested is not None
    assert seen.tested.accuracy == 1.0
    assert seen.tested.loss < 0.5
    assert seen.batches_per_s
    assert (tmp_path / "weights").stat().st_size > 1000
    assert not list(tmp_path.glob("snapshot*"))


def test_a_seed_decides_everything(tmp_path: Path) -> None:
    """The same losses twice."""
    argv = trial(tmp_path, train=ANY, test=ANY)
    first, second = (verdict(run(argv).stderr.splitlines(), 0)[0] for _ in range(2))
    assert first.tested is not None
    assert first.tested == second.tested


@pytest.mark.parametrize(
    ("old", "new", "how", "says"),
    [
        (
            "kernel_size: 3",
            "kernel_sizee: 3",
            "invalid",
            'no field named "kernel_sizee"',
        ),
        (
            'bottom: "pool2_0"',
            'bottom: "poolX"',
            "invalid",
            "Unknown bottom blob 'poolX'",
        ),
        (
            "kernel_size: 3",
            "kernel_size: 9",
            "invalid",
            "layer conv1_0: Check failed: ",
        ),
        ('type: "Pooling"', 'type: "Poling"', "invalid", "Unknown layer type: Poling"),
        (
            'name: "conv1_0" type: "Convolution" bottom: "data" top: "conv1_0"',
            'name: "digits" type: "Data" top: "x" data_param '
            '{ source: "/nowhere" batch_size: 1 backend: LMDB } } '
            'layer { name: "conv1_0" type: "Convolution" bottom: "x" top: "conv1_0"',
            "crashed",
            "layer digits: Check failed: mdb_status == 0 (2 vs. 0) No such file",
        ),
    ],
)
def test_an_abort_says_why(
    tmp_path: Path, old: str, new: str, how: Ending, says: str
) -> None:
    """What was wrong with the network or its data, and the layer that was being built."""
    done = run(trial(tmp_path, net=NET.replace(old, new, 1)))
    judged = verdict(done.stderr.splitlines(), done.returncode)[1]
    assert done.returncode == 134
    assert judged.ending == how
    assert says in judged.message
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize("pool", ["MAX", "AVE"])
def test_nan_has_diverged(tmp_path: Path, pool: str) -> None:
    """Although the accuracy is 1, and whether caffe falls over in the end or not.

    Caffe takes the last of ten NaN for the largest, or none of them, by its version.
    """
    net = NET.replace("pool: MAX", f"pool: {pool}")
    done = run(trial(tmp_path, net=net, lr=1e30, train=ANY, test=LAST))
    seen, judged = verdict(done.stderr.splitlines(), done.returncode)
    assert "Optimization Done." in done.stderr
    assert "accuracy = 1\n" in done.stderr
    assert done.returncode == (134 if pool == "MAX" else 0)
    assert seen.finished
    assert judged.ending == "diverged"


def test_a_capped_loss_has_diverged(tmp_path: Path) -> None:
    """Certain of what is wrong: each sample's loss is at Caffe's cap, and finite."""
    done = run(trial(tmp_path, lr=1e5, test=NONE))
    assert done.returncode == 0
    assert "loss = 87.3365" in done.stderr
    assert verdict(done.stderr.splitlines(), 0)[1].ending == "diverged"


def test_a_time_limit_ends_in_a_validation(tmp_path: Path) -> None:
    """What was learned until then is validated, is ok, and is kept."""
    done = run(trial(tmp_path, iterations=10**8, display=5000, limit_s=0.3))
    seen, judged = verdict(done.stderr.splitlines(), done.returncode)
    assert judged == Verdict("ok")
    assert "Optimization stopped early" in done.stderr
    assert seen.tested is not None
    assert seen.tested.accuracy == 1.0
    assert 0 < seen.tested.iteration < 10**8
    assert f"snapshot_iter_{seen.tested.iteration}.caffemodel" in done.stderr
    assert (tmp_path / "weights").exists()


def test_sigterm_is_a_crash(tmp_path: Path) -> None:
    """Caffe's own end by a signal is the supervisor's exit code."""
    argv = trial(tmp_path, iterations=10**8, display=5000)
    lines = []
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if "] Iteration 0" in line:
                os.kill(int(line.split()[2]), signal.SIGTERM)  # glog's thread is caffe
                break
        lines += list(process.stderr)
    assert process.returncode == 143
    assert verdict(lines, process.returncode)[1].ending == "crashed"


@pytest.mark.parametrize("every", [10, 14])
def test_validations_during_training_change_nothing(tmp_path: Path, every: int) -> None:
    """Whether they come out even or not: the same losses, and the same last validation."""
    argv = trial(tmp_path, train=ANY)
    # Made-up images are drawn from the numbers that training draws from; read ones are not.
    net = (tmp_path / "train_val.prototxt").read_text()
    train, test, rest = net.partition('name: "data"')[2].partition('name: "data"')
    rest = rest.replace('type: "gaussian" std: 1', 'type: "constant" value: 1', 1)
    net = net.partition('name: "data"')[0] + 'name: "data"' + train + test + rest
    (tmp_path / "train_val.prototxt").write_text(net)
    plain = run(argv)
    solver = tmp_path / "solver.prototxt"
    text = solver.read_text().replace("test_interval: 40", f"test_interval: {every}")
    solver.write_text(text)
    settings = json.loads((tmp_path / "trial.json").read_text())
    settings |= {"check_every": every, "max_iterations": 40}
    (tmp_path / "trial.json").write_text(json.dumps(settings))
    checked = run(argv)
    told = []
    for done in (plain, checked):
        lines = done.stderr.splitlines()
        _, judged = verdict(lines, done.returncode)
        assert judged == Verdict("ok")
        parser = LogParser()
        events = [event for line in lines for event in parser.feed(line)]
        losses = [(e.iteration, e.loss) for e in events if isinstance(e, Iteration)]
        tested = [e.iteration for e in events if isinstance(e, Validation)]
        told.append((losses, tested))
    assert told[0][1] == [40]
    assert told[1][1] == [*range(every, 40, every), 40]
    assert [pair for pair in told[1][0] if pair[1] is not None] == [
        pair for pair in told[0][0] if pair[1] is not None
    ]
