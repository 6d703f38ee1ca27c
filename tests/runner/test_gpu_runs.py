"""Whole runs on a machine that looks as if it had four GPUs: who trains on which."""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from gpu_backend import MEETING
from gpu_kit import gpu_lines, listing
from run_kit import RealRun, killed_at_the_end

from ribosome.runner.records import read_trials, read_workers

NAMES = ("GPU-a", "GPU-b", "GPU-c", "GPU-d")
SETTINGS = (
    'backend.name="gpus"',
    'runner.gpus="auto"',
    'runner.keep_trials="all"',
    'runner.stage="none"',
    "search.evaluations=16",
)


@pytest.fixture
def run(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> RealRun:
    """A run folder that does not exist yet, with the backend that tells of GPUs."""
    plugin = tmp_path / "site" / "gpu_backend-1.dist-info"
    plugin.mkdir(parents=True)
    (plugin / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: gpu_backend\nVersion: 1\n"
    )
    (plugin / "entry_points.txt").write_text(
        "[ribosome.backends]\ngpus=gpu_backend:GpuBackend\n"
    )
    here = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", f"{plugin.parent}{os.pathsep}{here}")
    programs = tmp_path / "bin"
    programs.mkdir()
    listing(programs, gpu_lines(*"abcd"))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    for name in ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    return RealRun(tmp_path / "run", f"RUN_MARKER={request.node.name}-{os.getpid()}")


@pytest.fixture
def mpiexec() -> str:
    """The mpiexec beside this Python."""
    beside = Path(sys.executable).with_name("mpiexec")
    if not beside.exists():
        pytest.skip("no mpiexec beside this Python: pip install mpich")
    return str(beside)


def seen(
    run: RealRun,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
    *options: str,
    **how: object,
) -> dict[int, str]:
    """What the trainers of each worker saw, which must always be the same."""
    meeting = run.folder.parent / "meeting"
    meeting.mkdir()
    monkeypatch.setenv(MEETING, f"{workers} {meeting}")
    run.finish(*SETTINGS, *options, evaluator="trial", **how)
    found: dict[int, set[str]] = {}
    for record in read_trials(run.folder):
        assert record.ending == "ok", record.message
        log = (run.folder / "trials" / str(record.trial) / "log.txt").read_text()
        line = next(line for line in log.splitlines() if line.startswith("sees "))
        found.setdefault(record.worker, set()).add(line.removeprefix("sees "))
    assert run.left_behind() == []
    assert all(len(lines) == 1 for lines in found.values())
    return {worker: lines.pop() for worker, lines in sorted(found.items())}


def test_one_machine_alone_uses_all_its_gpus(
    run: RealRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four GPUs are four workers without MPI, each with a GPU of its own, as recorded."""
    assert seen(run, monkeypatch, 4, 'runner.workers="auto"') == {
        worker: f"CUDA_VISIBLE_DEVICES={name} --gpu=0"
        for worker, name in enumerate(NAMES, start=1)
    }
    recorded = {record.worker: record.gpu for record in read_workers(run.folder)}
    assert recorded == dict(enumerate(NAMES, start=1))


def test_two_trainers_share_a_gpu(
    run: RealRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With trials_per_gpu = 2 there are eight workers, two on each, with half of it."""
    options = ('runner.workers="auto"', "runner.trials_per_gpu=2")
    found = seen(run, monkeypatch, 8, *options)
    assert Counter(found.values()) == {
        f"CUDA_VISIBLE_DEVICES={name} RIBOSOME_GPU_SHARE=0.500000 --gpu=0": 2
        for name in NAMES
    }


def test_the_masters_rank_takes_no_gpu(
    run: RealRun, monkeypatch: pytest.MonkeyPatch, mpiexec: str
) -> None:
    """Five ranks on one node with four GPUs: ranks 1 to 4 use all of them."""
    found = seen(run, monkeypatch, 4, launcher=(mpiexec, "-n", "5"))
    assert found == {
        worker: f"CUDA_VISIBLE_DEVICES={name} --gpu=0"
        for worker, name in enumerate(NAMES, start=1)
    }


def test_a_mask_for_each_rank_is_respected(
    run: RealRun, monkeypatch: pytest.MonkeyPatch, mpiexec: str
) -> None:
    """Ranks that are shown one GPU each, in an order of the launcher's, keep it."""
    masked = 'CUDA_VISIBLE_DEVICES=$((3 - PMI_RANK)) exec "$@"'
    launcher = (mpiexec, "-n", "4", "sh", "-c", masked, "sh")
    found = seen(run, monkeypatch, 3, launcher=launcher)
    assert found == {
        worker: f"CUDA_VISIBLE_DEVICES={3 - worker} --gpu=0" for worker in (1, 2, 3)
    }


@pytest.mark.parametrize("ranks", [None, 6])
def test_too_few_gpus_end_the_run_before_it_begins(
    run: RealRun, request: pytest.FixtureRequest, ranks: int | None
) -> None:
    """One line with the map, exit code 1, no run folder, nobody left."""
    launcher: tuple[str, ...] = ()
    if ranks is not None:
        launcher = (request.getfixturevalue("mpiexec"), "-n", str(ranks))
    process = run.start(
        *SETTINGS, "runner.workers=5", evaluator="trial", launcher=launcher
    )
    with killed_at_the_end(process):
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    (line,) = errors.splitlines()
    assert "5 workers, 4 GPUs, trials_per_gpu = 1: worker 1 -> GPU-a" in line
    assert "worker 5 -> none" in line
    assert not run.folder.exists()
    assert run.left_behind() == []


@pytest.mark.parametrize(("setting", "notices"), [("auto", 1), ("none", 0)])
def test_a_run_on_the_cpu_says_so_once(
    run: RealRun, monkeypatch: pytest.MonkeyPatch, setting: str, notices: int
) -> None:
    """Unless that is what the config asks for."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "")
    process = run.start(f'runner.gpus="{setting}"', evaluator="noop")
    with killed_at_the_end(process):
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert errors.count("no GPU is visible: trials train on the CPU") == notices


def test_a_required_gpu_that_is_missing_is_an_error(
    run: RealRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With runner.gpus = "require" nothing trains on the CPU by mistake."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "")
    process = run.start('runner.gpus="require"', evaluator="noop")
    with killed_at_the_end(process):
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert 'runner.gpus = "require", but no worker on' in errors
    assert not run.folder.exists()
