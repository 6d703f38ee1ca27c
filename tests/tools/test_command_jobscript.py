"""`ribosome jobscript`: what it prints, writes and refuses."""

import os
from pathlib import Path

import pytest

from ribosome.runner.system import system_text
from tests.tools.conftest import Ribosome

CONFIG = Path(__file__).parents[2] / "examples" / "digits.toml"


def test_it_prints_a_script(ribosome: Ribosome) -> None:
    """Name and run folder come from the config's name."""
    result = ribosome(
        *("jobscript", "--system", "summit", "--nodes", 4200, "--time", "6:00"),
        *("--account", "ABC123", CONFIG),
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("#!/bin/bash\n#BSUB -J digits\n")
    assert "#BSUB -P ABC123\n#BSUB -q batch\n#BSUB -W 6:00\n#BSUB -nnodes 4200\n" in (
        result.stdout
    )
    assert "\nrun=runs/digits\n" in result.stdout
    assert result.stderr == ""


def test_it_writes_an_executable(ribosome: Ribosome, tmp_path: Path) -> None:
    """With -o there is a file, and nothing on stdout."""
    out = tmp_path / "job.sh"
    result = ribosome("jobscript", "--system", "local", CONFIG, "-o", out)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert os.access(out, os.X_OK)
    assert out.read_text().startswith("#!/bin/bash\n")


def test_options_reach_the_script(ribosome: Ribosome) -> None:
    """Each where it belongs."""
    said = ribosome(
        *("jobscript", "--system", "slurm", "--gpus-per-node", 4, "--time", "90m"),
        *("--queue", "gpu", "--name", "first", "--run", "my run", CONFIG),
    ).stdout
    assert "#SBATCH --job-name=first\n" in said
    assert "#SBATCH --partition=gpu\n#SBATCH --time=1:30:00\n" in said
    assert "#SBATCH --gpus-per-node=4\n" in said
    assert "\nrun='my run'\n" in said


def test_other_gpus_than_the_systems_have_no_known_cores(ribosome: Ribosome) -> None:
    """Nothing is bound to cores that are beside another GPU."""
    arguments = ("jobscript", "--system", "frontier", "--time", "1h", CONFIG)
    assert "taskset" in ribosome(*arguments).stdout
    assert "taskset" not in ribosome(*arguments, "--gpus-per-node", 4).stdout


def test_without_gpus_the_workers_are_counted(ribosome: Ribosome) -> None:
    """Nodes whose GPUs are left alone have the workers that they are given."""
    options = ("--gpus-per-node", 0, "--workers-per-node", 4, "--time", "1h")
    said = ribosome("jobscript", "--system", "frontier", *options, CONFIG).stdout
    assert " --ntasks=5 " in said
    assert "--gpus" not in said


def test_show_prints_the_file_to_start_from(ribosome: Ribosome) -> None:
    """No config is needed for it."""
    result = ribosome("jobscript", "--system", "frontier", "--show")
    assert result.exit_code == 0
    assert result.stdout == system_text("frontier")


def test_a_job_that_may_be_too_long_is_warned_of(ribosome: Ribosome) -> None:
    """On stderr: the script is written all the same."""
    result = ribosome("jobscript", "--system", "summit", "--time", "3:00", CONFIG)
    assert result.exit_code == 0
    assert "warning: jobs of up to 45 nodes ran at most 2 hours here" in result.stderr
    assert result.stdout.startswith("#!/bin/bash\n")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--system", "summit"), "give --time"),
        (("--system", "summit", "--time", "soon"), "time 'soon'"),
        (("--system", "summit", "--time", "1h", "--account", "a b"), "account 'a b'"),
        (("--system", "slurm", "--time", "1h"), "give --gpus-per-node"),
        (("--system", "local", "--nodes", 2), "a job is of one node"),
        (
            ("--system", "frontier", "--time", "1h", "--workers-per-node", 4),
            "--workers-per-node is for nodes without GPUs, and these have 8",
        ),
        (
            ("--system", "slurm", "--gpus-per-node", 4, "--workers-per-node", 8),
            "--workers-per-node is for nodes without GPUs, and these have 4",
        ),
        (("--time", "1h"), "--system"),
    ],
)
def test_wrong_usage(
    ribosome: Ribosome, options: tuple[object, ...], says: str
) -> None:
    """Exit code 2, and what to give."""
    result = ribosome("jobscript", *options, CONFIG)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_a_config_is_needed(ribosome: Ribosome) -> None:
    """It decides how many trials share a GPU."""
    result = ribosome("jobscript", "--system", "local")
    assert result.exit_code == 2
    assert "Missing argument 'CONFIG'" in result.stderr


def test_a_misspelt_system(ribosome: Ribosome, error_of) -> None:
    """The nearest is named."""
    text = error_of(ribosome("jobscript", "--system", "sumit", CONFIG))
    assert "did you mean 'summit'?" in text


def test_a_bad_config(ribosome: Ribosome, error_of, tmp_path: Path) -> None:
    """It is found now, not when the job runs."""
    path = tmp_path / "bad.toml"
    path.write_text("[runner]\ntrials_per_gp = 2\n")
    text = error_of(ribosome("jobscript", "--system", "local", path))
    assert "trials_per_gpu" in text
