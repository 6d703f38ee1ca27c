"""Slurm on this machine, without systemd: munged, slurmctld, and two slurmd as two nodes.

All its files are in one folder, its ports are free ones, and it leaves nothing: a Slurm that
this machine is part of does not notice.
"""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 240.0
NODES = ("node1", "node2")
GPUS = 2
"""Of each node. They are devices that are no GPUs: Slurm hands them out all the same."""

PROGRAMS = ("munged", "munge", "slurmctld", "slurmd", "sbatch", "srun", "scancel")

_CONF = """
ClusterName=ribosome
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
# No cgroups: the machine may be a container.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SwitchType=switch/none
MpiDefault=none
GresTypes=gpu
# More cores than there are.
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=10
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running Slurm: its folder, and the environment that its commands need."""

    folder: Path
    environment: dict[str, str]

    def call(self, *argv: object, cwd: Path | None = None) -> str:
        """Run a command to its end; what it prints. Raises AssertionError if it fails."""
        done = subprocess.run(
            [str(word) for word in argv],
            capture_output=True,
            text=True,
            cwd=cwd,
            env=self.environment,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def submit(self, script: Path) -> str:
        """Submit a job script from the folder that it lies in; the job's number."""
        return self.call("sbatch", "--parsable", script.name, cwd=script.parent).strip()

    def ended(self, job: str) -> bool:
        """Whether a job has ended, however."""
        under_way = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING")
        return self.state(job) not in under_way

    def state(self, job: str) -> str:
        """As in COMPLETED or FAILED."""
        return self._shown(job, "JobState")

    def exit_code(self, job: str) -> str:
        """As in 0:0: the code of the script, and the signal that ended it."""
        return self._shown(job, "ExitCode")

    def wait(self, job: str) -> str:
        """Wait for the end of a job; its state."""
        wait_for(lambda: self.ended(job), f"the end of job {job}")
        return self.state(job)

    def _shown(self, job: str, field: str) -> str:
        shown = self.call("scontrol", "--oneliner", "show", "job", job)
        return shown.partition(f" {field}=")[2].split()[0]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Look again and again until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)


def processes_of(folder: Path) -> list[int]:
    """The processes that were started by a cluster: its folder is in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"={folder}/slurm.conf\0".encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return [pid for pid in found if pid != os.getpid()]


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Start Slurm, and stop everything of it in the end, by process id."""
    folder = Path(tempfile.mkdtemp(prefix="ribosome-slurm-"))
    conf = folder / "slurm.conf"
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("SLURM")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SLURM_CONF": str(conf),
    }
    cluster = Cluster(folder, environment)
    _configure(folder)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(_end_the_rest, folder)
        start = stack.enter_context
        start(_daemon(folder, environment, _munged(folder)))
        wait_for((folder / "munge.socket").exists, "munged")
        start(_daemon(folder, environment, ["slurmctld", "-D", "-i"]))
        for node in NODES:
            start(_daemon(folder, environment, ["slurmd", "-D", "-N", node]))
        wait_for(lambda: _idle(cluster) == len(NODES), "the nodes to be idle")
        stack.callback(_end_jobs, cluster)
        yield cluster


def _configure(folder: Path) -> None:
    host = socket.gethostname().split(".")[0]
    port, *ports = _free_ports(1 + len(NODES))
    lines = [_CONF.format(host=host, port=port, folder=folder)]
    lines += [
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={own} CPUs=16 "
        f"Gres=gpu:{GPUS} State=UNKNOWN\n"
        for node, own in zip(NODES, ports, strict=True)
    ]
    lines.append("PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n")
    (folder / "slurm.conf").write_text("".join(lines))
    for gpu in range(GPUS):
        # Slurm wants devices; these are /dev/null by another name.
        os.mknod(folder / f"gpu{gpu}", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    files = f"{folder}/gpu[0-{GPUS - 1}]"
    (folder / "gres.conf").write_text(f"Name=gpu File={files}\n")
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)


def _munged(folder: Path) -> list[str]:
    own = {
        "key-file": "munge.key",
        "socket": "munge.socket",
        "pid-file": "munged.pid",
        "log-file": "munged.log",
        "seed-file": "munged.seed",
    }
    options = [f"--{option}={folder / name}" for option, name in own.items()]
    return ["munged", "--foreground", "--force", *options]


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def _daemon(
    folder: Path, environment: dict[str, str], argv: Sequence[str]
) -> Iterator[None]:
    with (folder / "daemons.out").open("ab") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out, env=environment)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _idle(cluster: Cluster) -> int:
    with suppress(AssertionError):
        shown = cluster.call("sinfo", "--noheader", "--Node", "--format=%T")
        return shown.split().count("idle")
    return 0


def _end_jobs(cluster: Cluster) -> None:
    cluster.call("scancel", "--state=PENDING")
    cluster.call("scancel", "--state=RUNNING")
    wait_for(lambda: not cluster.call("squeue", "--noheader"), "the end of all jobs")


def _end_the_rest(folder: Path) -> None:
    for pid in processes_of(folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
