"""The job scripts whose text is kept: `make golden` writes them anew."""

from dataclasses import replace
from pathlib import Path

import msgspec

from ribosome.runner.config import Config, RunnerConfig, TrainingConfig
from ribosome.runner.jobscript import Job, render
from ribosome.runner.system import System, load_system

FOLDER = Path(__file__).parent / "golden" / "jobscripts"

HOUR = 60
ODD = 'it\'s "odd" $HOME `x` \\ ü *.toml'
DIGITS = Job(config="digits.toml", run="runs/digits", nodes=1, minutes=2 * HOUR)
CONFIG = Config()
SHARED = Config(runner=RunnerConfig(trials_per_gpu=3))
THREADED = Config(training=TrainingConfig(threads=4))


def job(**changes: object) -> Job:
    """A job that differs from the usual one."""
    return replace(DIGITS, **changes)  # type: ignore[arg-type]


def system(name: str, **changes: object) -> System:
    """A shipped system, changed."""
    return msgspec.structs.replace(load_system(name), **changes)


SCRIPTS: dict[str, tuple[System, Config, Job]] = {
    "summit": (
        system("summit"),
        CONFIG,
        job(nodes=4200, minutes=6 * HOUR, account="ABC123", name="menndl"),
    ),
    "summit_three_trials_a_gpu": (system("summit"), SHARED, job(nodes=2)),
    "frontier": (system("frontier"), CONFIG, job(nodes=2, account="abc123")),
    "perlmutter": (system("perlmutter"), SHARED, job(nodes=64, account="m1_g")),
    "slurm": (
        system("slurm", gpus_per_node=4),
        THREADED,
        job(nodes=3, queue="gpu", minutes=36 * HOUR),
    ),
    "slurm_without_gpus": (system("slurm", workers_per_node=8), CONFIG, DIGITS),
    "local": (system("local"), CONFIG, job(minutes=None)),
    "local_over_mpi": (system("local", gpus_per_node=4), CONFIG, job(minutes=90)),
    "odd_names": (
        system("slurm", gpus_per_node=1),
        CONFIG,
        job(config=f"-{ODD}", run=f"a run/{ODD}"),
    ),
    "all_keys": (
        System(
            scheduler="slurm",
            description='the "best" $(machine)',
            gpus_per_node=2,
            cores_of_gpus=("0-15", "16-31"),
            whole_nodes=True,
            queue="gpu",
            directives=("--mem=0", "--constraint=a100"),
            mpi="pmix",
            launcher_options=("--label", "--chdir=/scratch/a b"),
            setup=("module load python", 'source "$HOME/ribosome/bin/activate"'),
            warning_s=300,
        ),
        CONFIG,
        DIGITS,
    ),
}
"""Every shipped system, and what can be different."""


def rendered(name: str) -> str:
    """A job script as it is written today."""
    return render(*SCRIPTS[name])


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in SCRIPTS:
        (FOLDER / f"{name}.sh").write_text(rendered(name), encoding="utf-8")
