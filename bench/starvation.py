"""Whether many workers on few cores are all served, and how evenly.

A search that trains nothing, over MPI: every worker notes how long it waits from each report
of a result to its next work.

    python -m bench.starvation --ranks 63 --results 20000
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ribosome.runner import run
from ribosome.runner.config import Config
from ribosome.runner.launch import launched_rank, mpi_argv
from ribosome.runner.messages import (
    Left,
    Result,
    Work,
    decode_report,
    decode_to_worker,
)
from ribosome.runner.mpi import MpiEndpoint
from ribosome.runner.observer import Silent

if TYPE_CHECKING:
    from mpi4py import MPI

GOAL = 20.0
"""The longest wait, in means."""

WAITS = "waits"
"""The folder beside the run where each rank leaves its waits, in seconds."""


class TimedEndpoint(MpiEndpoint):
    """Notes the waits, and writes them down with the last word."""

    folder = Path()

    def __init__(self, world: "MPI.Intracomm") -> None:
        super().__init__(world)
        self._asked: float | None = None
        self._waits: list[float] = []

    def receive(self) -> list[bytes]:
        """The messages that are there."""
        messages = super().receive()
        if self._asked is not None and any(
            isinstance(decode_to_worker(data), Work) for data in messages
        ):
            self._waits.append(time.monotonic() - self._asked)
            self._asked = None
        return messages

    def send(self, data: bytes) -> None:
        """Send one Report."""
        events = decode_report(data).events
        if self._asked is None and any(isinstance(event, Result) for event in events):
            self._asked = time.monotonic()
        if events and isinstance(events[-1], Left):
            text = json.dumps(self._waits)
            (self.folder / f"{launched_rank()}.json").write_text(text)
        super().send(data)


def as_rank(folder: Path, results: int) -> None:
    """What every process under mpiexec does."""
    TimedEndpoint.folder = folder / WAITS
    run.MpiEndpoint = TimedEndpoint  # type: ignore[misc]
    settings = {
        "space": {"name": "menndl"},
        "search": {"evaluations": results, "guided": 0},
        "runner": {"gpus": "none"},
    }
    config = msgspec.convert(settings, Config)
    run.search(
        config,
        str(folder / "run"),
        resume=False,
        observer=Silent(),
        evaluator="noop",
    )


def main() -> None:
    """Print how long the workers waited, and whether the goal is reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=63, help="workers; one more leads")
    parser.add_argument("--results", type=int, default=20000)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder:
        as_rank(options.folder, options.results)
        return
    with tempfile.TemporaryDirectory() as folder:
        waits_folder = Path(folder, WAITS)
        waits_folder.mkdir()
        program = [sys.executable, "-m", "bench.starvation", "--folder", folder]
        program += ["--results", str(options.results)]
        began = time.monotonic()
        subprocess.run(mpi_argv(options.ranks + 1, program), check=True)
        seconds = time.monotonic() - began
        per_rank = [json.loads(path.read_text()) for path in waits_folder.iterdir()]
    waits = sorted(wait for rank in per_rank for wait in rank)
    mean = sum(waits) / len(waits)
    served = [len(rank) for rank in per_rank]
    print(
        f"{options.ranks} workers, {os.cpu_count()} cores, {options.results} results "
        f"in {seconds:.1f} s with the start, load {os.getloadavg()[0]:.1f}"
    )
    print(f"served: {sum(map(bool, served))} of {options.ranks} workers, ", end="")
    print(f"{min(served)} to {max(served)} times")
    print(
        f"wait: mean {1e3 * mean:.2f} ms, median {1e3 * waits[len(waits) // 2]:.2f} ms"
    )
    print(f"      99 % {1e3 * waits[int(0.99 * len(waits))]:.2f} ms, ", end="")
    print(f"longest {1e3 * waits[-1]:.2f} ms, {waits[-1] / mean:.1f} means")
    reached = all(served) and len(served) == options.ranks and waits[-1] <= GOAL * mean
    print(f"every worker served, longest wait within {GOAL:g} means: ", end="")
    print("reached" if reached else "missed")


if __name__ == "__main__":
    main()
