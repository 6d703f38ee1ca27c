"""Trials per second where training takes no time: what a process per trial costs.

A whole search with local workers: master, journal, wire, decoding, PyTorch's files written,
a process, its log read, its end judged, its folder removed. *Warm* trials run in a fork of
a process that has loaded the trainer, *cold* ones execute a program (/bin/echo). The floor,
in the same run: as many processes that do nothing but start /bin/true and wait for it.

    python -m bench.subprocess_trials
    python -m bench.subprocess_trials --profile     # of one worker, in this process
"""

import argparse
import cProfile
import multiprocessing
import os
import pstats
import select
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import msgspec

from bench.noop_trainer import LOG
from ribosome.backends.base import Command
from ribosome.backends.pytorch.backend import PyTorch
from ribosome.genome.space_file import load_space
from ribosome.runner.config import Config
from ribosome.runner.messages import Setup, Work
from ribosome.runner.observer import Silent
from ribosome.runner.records import read_trials
from ribosome.runner.run import search
from ribosome.runner.trial_evaluator import TrialEvaluator

GOAL = 500
NAME = "noop-trainer"
ROOT = Path(__file__).parents[1]


class Noop(PyTorch):
    """PyTorch's files, and a trainer that does nothing with them."""

    name = NAME

    def command(
        self, folder: str, *, gpu: int | None, seed: int, save: str = ""
    ) -> Command:
        """Of a program that prints, or warm of the module that prints the same."""
        del folder, gpu, seed, save
        module = "bench.noop_trainer"
        return Command(argv=("/bin/echo", module, f"\n{LOG}"), preload=module)


def install(folder: Path) -> None:
    """Make the backend a plug-in of this process and all that it starts."""
    info = folder / "noop_trainer-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(
        f"[ribosome.backends]\n{NAME} = bench.subprocess_trials:Noop\n"
    )
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), str(ROOT)])
    sys.path[:0] = [str(folder), str(ROOT)]


def config(*, trials: int, workers: int, warm: bool) -> Config:
    """A search for nothing, on the CPU."""
    tables = {
        "space": {"name": "lenet"},
        "backend": {"name": NAME},
        "search": {"evaluations": trials, "strategy": "random"},
        "runner": {"workers": workers, "gpus": "none", "warm_start": warm},
    }
    return msgspec.convert(tables, Config)


def rate(*, trials: int, workers: int, warm: bool) -> float:
    """Trials per second, the first tenth left out: workers start meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        search(
            config(trials=trials, workers=workers, warm=warm),
            folder,
            resume=False,
            observer=Silent(),
        )
        done = read_trials(folder)
    assert all(trial.ending == "ok" for trial in done), done[-1]
    times = sorted(trial.finished_at or 0.0 for trial in done)
    first = len(times) // 10
    return (len(times) - first) / (times[-1] - times[first])


def floor(*, processes: int, workers: int) -> float:
    """Programs per second that as many plain processes start and wait for."""
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        pool.map(_start_and_wait, [10] * workers, chunksize=1)
        began = time.perf_counter()
        pool.map(_start_and_wait, [processes // workers] * workers, chunksize=1)
        return processes / (time.perf_counter() - began)


def _start_and_wait(times: int) -> None:
    for _ in range(times):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


def profile(*, trials: int, warm: bool) -> None:
    """Print where one worker's evaluator spends its time; its server's is not seen."""
    from numpy.random import default_rng

    from ribosome.genome.codec import pack
    from ribosome.search.variation import draw

    space, generator = load_space("lenet"), default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        settings = config(trials=trials, workers=1, warm=warm)
        evaluator = TrialEvaluator(Setup(msgspec.json.encode(settings), folder, 1))
        profiler = cProfile.Profile()
        for trial in range(trials):
            work = Work(trial, pack(space, draw(space.groups, generator)), 1, 1.0)
            if trial == trials // 10:
                began = time.perf_counter()
                profiler.enable()
            evaluator.start(work)
            while evaluator.poll() is None:
                select.select([evaluator.fileno()], [], [], 0.25)
        profiler.disable()
        seconds = time.perf_counter() - began
        evaluator.close()
    print(f"{seconds / (trials - trials // 10) * 1e3:.2f} ms per trial under profile")
    pstats.Stats(profiler).sort_stats("tottime").print_stats(30)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=3000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--times", type=int, default=1, help="median of so many")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder))
        if given.profile:
            profile(trials=given.trials, warm=True)
            return
        how = {"trials": given.trials, "workers": given.workers}
        times = range(given.times)
        floors = [floor(processes=2000, workers=given.workers) for _ in times]
        rates = {
            kind: [rate(**how, warm=kind == "warm") for _ in times]
            for kind in ("warm", "cold")
        }
    load = os.getloadavg()[0]
    print(f"{given.workers} workers, {os.cpu_count()} cores, load {load:.1f}\n")
    print(f"floor  {median(floors):7.0f}/s")
    for kind, found in rates.items():
        print(f"{kind}   {median(found):7.0f}/s")
    slowest = min(median(found) for found in rates.values())
    print(f"goal   {GOAL:7}/s, {'reached' if slowest >= GOAL else 'missed'}")


if __name__ == "__main__":
    main()
