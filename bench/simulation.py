"""The real master before thousands of simulated workers, in virtual time.

One hour of Summit by default: as many networks as 25,200 workers can evaluate in that time
if one takes 172.8 s in the mean, 525,000. The master's own time counts as it is measured
here, so that its limits show. Before that a validation: what the simulation says of a few
workers, beside local processes that sleep for the same times.

    python -m bench.simulation --workers 25200 --hours 1
"""

import argparse
import os
import tempfile
from pathlib import Path

import msgspec
import numpy as np

from ribosome.runner.config import Config
from ribosome.runner.observer import Silent
from ribosome.runner.records import read_trials
from ribosome.runner.run import search
from ribosome.runner.simulation.clock import Service
from ribosome.runner.simulation.machine import SimulatedMachine
from ribosome.runner.simulation.simulate import Figures, simulate
from ribosome.runner.simulation.workload import as_in, log_normal

SUMMIT_HOUR = 525_000
"""Networks; the two goals that follow are those of so many."""

CPU_GOAL_S = 300.0
MEMORY_GOAL = 1000.0
AGREEMENT_GOAL = 0.05
_TRIAL_S = 0.05
_EACH = 120
"""Trials of a worker in the validation."""


def config_of(evaluations: int, *, space: str = "menndl", workers: int = 2) -> Config:
    """Evolution with its default settings."""
    settings = {
        "space": {"name": space},
        "search": {"evaluations": evaluations, "guided": 0},
        "runner": {"workers": workers, "gpus": "none"},
    }
    return msgspec.convert(settings, Config)


def rate_of(folder: Path) -> float:
    """Results per second of a run, start and end of it left out."""
    times = sorted(trial.finished_at or 0.0 for trial in read_trials(folder))
    first, last = len(times) // 10, len(times) - len(times) // 10
    return (last - first - 1) / (times[last - 1] - times[first])


def validate(workers: int, folder: Path) -> tuple[float, float]:
    """Results per second of local processes that sleep, and of as many simulated ones."""
    config = config_of(_EACH * workers, space="lenet", workers=workers)
    real, simulated = folder / f"real{workers}", folder / f"simulated{workers}"
    search(
        config,
        str(real),
        resume=False,
        observer=Silent(),
        evaluator=f"noop:{_TRIAL_S}",
    )
    machine = SimulatedMachine(
        workers,
        seconds=as_in(real, np.random.default_rng(1)),
        service=Service(live=True),
    )
    simulate(config, machine, folder=simulated)
    return rate_of(real), rate_of(simulated)


def hours(options: argparse.Namespace, folder: Path) -> Figures:
    """The run that the figures are of."""
    evaluations = round(options.workers * options.hours * 3600.0 / options.mean)
    machine = SimulatedMachine(
        options.workers,
        seconds=log_normal(
            options.mean, np.random.default_rng(1), spread=options.spread
        ),
        service=Service(
            live=options.service == "live", per_message_s=1e-6 * options.wire
        ),
        latency_s=1e-6 * options.latency,
        tells_deaths=False,
    )
    return simulate(config_of(evaluations, space=options.space), machine, folder=folder)


def show(figures: Figures) -> None:
    """Print the figures of a run, and whether the goals are reached."""
    summary = figures.summary
    print(f"networks                    {summary.session:12,}")
    print(f"virtual time                {summary.seconds:12,.0f} s")
    if figures.fed_s is not None:
        print(f"until each worker has work  {figures.fed_s:12.2f} s")
    if figures.networks_per_s is not None and figures.utilisation is not None:
        print(f"in full swing               {figures.networks_per_s:12.1f} networks/s")
        print(f"workers busy                {100 * figures.utilisation:12.4f} %")
    print(f"wait between two trials     {1e3 * figures.mean_wait_s:12.3f} ms, mean")
    print(
        f"                            {1e3 * figures.longest_wait_s:12.1f} ms, longest"
    )
    print(f"messages                    {figures.messages:12,}")
    print(f"master, time for a result   {figures.master_us:12.0f} us")
    print(f"master, busy                {100 * figures.master_load:12.2f} %")
    whole = summary.session >= SUMMIT_HOUR
    memory = verdict(figures.bytes_per_network <= MEMORY_GOAL) if whole else "too short"
    cpu = verdict(figures.real_cpu_s <= CPU_GOAL_S) if whole else "too short"
    print(
        f"memory for a network        {figures.bytes_per_network:12.0f} bytes", end=""
    )
    print(f"  (goal {MEMORY_GOAL:.0f}: {memory})")
    print(f"this took                   {figures.real_cpu_s:12.0f} s of a core", end="")
    print(f"  (goal {CPU_GOAL_S:.0f}: {cpu}), {figures.real_s:.0f} s by the clock")


def verdict(reached: bool) -> str:
    """In a word."""
    return "reached" if reached else "missed"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=25200)
    parser.add_argument("--hours", type=float, default=1.0, help="virtual")
    parser.add_argument("--mean", type=float, default=172.8, help="seconds of a trial")
    parser.add_argument("--spread", type=float, default=0.5, help="deviation / mean")
    parser.add_argument("--latency", type=float, default=10.0, help="us of a message")
    parser.add_argument(
        "--wire", type=float, default=0.0, help="us of the master for a message"
    )
    parser.add_argument("--service", choices=("live", "none"), default="live")
    parser.add_argument("--space", default="menndl")
    parser.add_argument(
        "--validate", type=int, nargs="*", default=[2, 4, 8, 16], metavar="WORKERS"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.validate:
            print(f"trials of {_TRIAL_S} s: results/s of local processes, simulated")
        for workers in options.validate:
            real, simulated = validate(workers, folder)
            off = simulated / real - 1.0
            print(
                f"{workers:7} workers  {real:8.1f}  {simulated:8.1f}  {100 * off:+.1f} %"
                f"  (goal 5 %: {verdict(abs(off) <= AGREEMENT_GOAL)})",
                flush=True,
            )
        print(
            f"\n{options.workers} workers, trials of {options.mean} s (log-normal, "
            f"deviation {options.spread} of the mean), space {options.space}, "
            f"load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        show(hours(options, folder / "hours"))


if __name__ == "__main__":
    main()
