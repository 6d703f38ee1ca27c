"""Searches on a real Slurm of two nodes, started by srun and by generated job scripts."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.slurm.cluster import GPUS, Cluster, processes_of, running_cluster, wait_for

CONFIG = """
[space]
name = "lenet"
[training]
max_iterations = {iterations}
time_limit_s = 60
[search]
strategy = "random"
evaluations = {evaluations}
[runner]
gpus = "none"
"""
SHOW = """#!/bin/bash
echo "$SLURM_PROCID $SLURM_NODEID $SLURM_LOCALID $(
    taskset --cpu-list --pid $$ | sed 's/.*: //') ${CUDA_VISIBLE_DEVICES-none} $*" \
    >>"$SHOWN/$SLURM_PROCID"
"""
"""A `ribosome` that only says where each rank is."""


def script(
    cluster: Cluster,
    folder: Path,
    *options: object,
    evaluations: int = 12,
    iterations: int = 5,
    system: str = "slurm",
) -> tuple[Path, Path]:
    """A generated job script for two nodes, and its run folder; their names are odd."""
    config = folder / "my 'first' search.toml"
    config.write_text(CONFIG.format(evaluations=evaluations, iterations=iterations))
    run = folder / 'run "$HOME"'
    out = folder / "job.sh"
    cluster.call(
        *("ribosome", "jobscript", "--system", system, "--nodes", 2, "--time", "1h"),
        *("--run", run.name, "-o", out, *options, config.name),
        cwd=folder,
    )
    return out, run


def results(cluster: Cluster, run: Path) -> list[dict[str, object]]:
    """What the journal has; nothing while there is none."""
    with suppress(AssertionError):
        found: list[dict[str, object]] = json.loads(
            cluster.call("ribosome", "results", run, "--json")
        )
        return [result for result in found if result["ending"] is not None]
    return []


def output(script: Path) -> str:
    """What all jobs of a script printed."""
    return "".join(path.read_text() for path in sorted(script.parent.glob("*.out")))


def ranks(cluster: Cluster, tmp_path: Path, *options: object, system: str = "slurm"):
    """Where the ranks of a job script were, by rank: node, place, cores, GPUs."""
    job_script, _ = script(cluster, tmp_path, *options, system=system)
    shown = tmp_path / "shown"
    shown.mkdir()
    program = tmp_path / "bin" / "ribosome"
    program.parent.mkdir()
    program.write_text(SHOW)
    program.chmod(0o755)
    path = f"{program.parent}:{cluster.environment['PATH']}"
    environment = {**cluster.environment, "PATH": path, "SHOWN": str(shown)}
    own = Cluster(cluster.folder, environment)
    assert own.wait(own.submit(job_script)) == "COMPLETED", output(job_script)
    lines = [line for file in shown.iterdir() for line in file.read_text().splitlines()]
    return {int(line.split()[0]): tuple(line.split()[1:5]) for line in lines}


def test_the_cluster_gives_the_master_a_place_of_its_own(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Rank 0 is one more task of the first node; every node has its workers."""
    found = ranks(cluster, tmp_path, "--workers-per-node", 3)
    places = {rank: (node, place) for rank, (node, place, *_) in found.items()}
    first = {rank: ("0", str(rank)) for rank in range(4)}
    assert places == first | {rank: ("1", str(rank - 4)) for rank in range(4, 7)}


def test_every_rank_sees_all_gpus_of_its_node(cluster: Cluster, tmp_path: Path) -> None:
    """Slurm hides none from a rank: which one is a worker's own, Ribosome chooses."""
    found = ranks(cluster, tmp_path, "--gpus-per-node", GPUS)
    assert [found[rank][3] for rank in range(5)] == ["0,1"] * 5


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_workers_run_on_the_cores_of_their_gpus(
    cluster: Cluster, tmp_path: Path
) -> None:
    """The master has the first core, the worker of the first GPU the cores beside it."""
    (tmp_path / "own.toml").write_text(
        'scheduler = "slurm"\nmpi = "none"\nwhole_nodes = true\n'
        f'gpus_per_node = {GPUS}\ncores_of_gpus = ["0-1", "0-1"]\n'
    )
    found = ranks(cluster, tmp_path, system="own.toml")
    assert [found[rank][2] for rank in range(5)] == ["0", "1", "0,1", "0,1", "0,1"]


def test_a_search_under_srun(cluster: Cluster, tmp_path: Path) -> None:
    """Started by srun alone: a master, workers on both nodes, and every result is there."""
    _, run = script(cluster, tmp_path, "--workers-per-node", 1)
    cluster.call(
        *("srun", "--mpi=pmi2", "--nodes=2", "--ntasks=3", "--kill-on-bad-exit=0"),
        *("ribosome", "search", "my 'first' search.toml", "-o", run),
        cwd=tmp_path,
    )
    found = results(cluster, run)
    assert len(found) == 12
    assert {result["worker"] for result in found} == {1, 2}


def test_a_search_under_sbatch(cluster: Cluster, tmp_path: Path) -> None:
    """A generated script runs a whole search on two nodes; each worker takes part."""
    job_script, run = script(cluster, tmp_path, "--workers-per-node", 2, evaluations=16)
    state = cluster.wait(cluster.submit(job_script))
    assert state == "COMPLETED", output(job_script)
    found = results(cluster, run)
    assert sorted(result["trial"] for result in found) == list(range(1, 17))  # type: ignore[type-var]
    assert {result["worker"] for result in found} == {1, 2, 3, 4}


def test_the_warning_ends_a_search_in_good_order(
    cluster: Cluster, tmp_path: Path
) -> None:
    """No trial counts as crashed, and the same script, submitted again, goes on."""
    options = ("--workers-per-node", 2)
    job_script, run = script(
        cluster, tmp_path, *options, evaluations=40, iterations=200
    )
    job = cluster.submit(job_script)
    wait_for(lambda: len(results(cluster, run)) >= 4, "the first results")
    cluster.call("scancel", "--signal=URG", job)
    cluster.wait(job)
    before = results(cluster, run)
    assert cluster.exit_code(job) == "130:0", output(job_script)
    assert 4 <= len(before) < 40
    assert cluster.wait(cluster.submit(job_script)) == "COMPLETED", output(job_script)
    after = results(cluster, run)
    assert {result["ending"] for result in after} <= {"ok", "diverged"}
    assert [result for result in after if result in before] == before
    assert sorted(result["trial"] for result in after) == list(range(1, 41))  # type: ignore[type-var]


def test_the_time_limit_is_warned_of(cluster: Cluster, tmp_path: Path) -> None:
    """Slurm itself sends the warning, and the job ends before its time is up."""
    (tmp_path / "own.toml").write_text(
        'scheduler = "slurm"\nmpi = "pmi2"\nworkers_per_node = 1\nwarning_s = 60\n'
    )
    options = ("--time", "2m")
    job_script, run = script(
        cluster, tmp_path, *options, evaluations=100_000, system="own.toml"
    )
    job = cluster.submit(job_script)
    assert cluster.wait(job) == "FAILED", output(job_script)
    assert cluster.exit_code(job) == "130:0"
    assert {result["ending"] for result in results(cluster, run)} <= {"ok", "diverged"}


def test_a_killed_rank_costs_its_trial_only(cluster: Cluster, tmp_path: Path) -> None:
    """The others go on, its genome is issued again, and the job ends well."""
    options = ("--workers-per-node", 2)
    job_script, run = script(
        cluster, tmp_path, *options, evaluations=40, iterations=200
    )
    job = cluster.submit(job_script)
    wait_for(lambda: len(results(cluster, run)) >= 4, "the first results")
    os.kill(worker_process(cluster, rank=4), signal.SIGKILL)
    cluster.wait(job)
    found = results(cluster, run)
    assert sorted(result["trial"] for result in found) == list(range(1, 41)), (  # type: ignore[type-var]
        output(job_script)
    )


def worker_process(cluster: Cluster, *, rank: int) -> int:
    """The process of a rank itself, which is the parent of its trainers."""
    for pid in processes_of(cluster.folder):
        with suppress(OSError):
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if f"SLURM_PROCID={rank}".encode() in variables and b"search" in words:
                return pid
    raise AssertionError(f"no process of rank {rank}")


def test_nothing_is_left(cluster: Cluster) -> None:
    """When a cluster has been stopped, neither a process nor a file of it is there."""
    del cluster  # skips where no Slurm is asked for
    with running_cluster() as own:
        assert processes_of(own.folder)
        own.call("srun", "--ntasks=2", "true")
    assert not processes_of(own.folder)
    assert not own.folder.exists()
