"""The tasks of the command line: measure, write the table, draw the plot."""

import argparse
import sys
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import msgspec

from bench.search.cells import CELLS
from bench.search.confirm import confirm
from bench.search.methods import PEERS, config_of, revision
from bench.search.plots import plot
from bench.search.report import Table, nas_goals, nk_goals, svm_goals, table
from bench.search.results import Settings, Store
from bench.search.tables import HOW_TO_INSTALL
from bench.search.utilisation import utilisation

_OURS = {"nas": ("ours",), "nk": ("ours",), "fcnet": ("svm", "svm-paper", "ours")}
_PEERS = {"nas": PEERS, "nk": PEERS, "fcnet": ("random", "tpe", "gp")}


def run(options: argparse.Namespace) -> int:
    """Run what the options name; the exit code."""
    try:
        variants = dict(variant_of(text) for text in options.variant)
    except ValueError as error:
        print(f"bench.search: {error}", file=sys.stderr)
        return 2
    if clash := variants.keys() & {"ours", "svm", "svm-paper", "gp", *PEERS}:
        print(f"bench.search: a variant cannot be called {min(clash)}", file=sys.stderr)
        return 2
    store = Store(options.out.absolute(), {"ours": {}, **variants})
    for task in CELLS:
        if options.task in (task, "all"):
            search(task, store, variants, options)
    if options.task in ("confirm", "all"):
        lines = confirm(store.cache, options.seeds, jobs=options.jobs)
        note("confirm", lines, store.folder)
    if options.task in ("utilisation", "all"):
        note("utilisation", utilisation(store.cache), store.folder)
    return 0


def variant_of(text: str) -> tuple[str, Settings]:
    """A variant of ours, "name:key=value,key=value", and its settings.

    Raises ValueError if it is not of that form, or not settings of [search].
    """
    name, colon, rest = text.partition(":")
    pairs = [pair.partition("=") for pair in rest.split(",") if pair]
    if not (name and colon) or not all(key and equals for key, equals, _ in pairs):
        raise ValueError(f"--variant {text!r}: write name:key=value,key=value")
    settings = {key: _value(value) for key, _, value in pairs}
    try:
        config_of(settings)
    except msgspec.ValidationError as error:
        raise ValueError(f"--variant {text!r}: {error}") from None
    return name, settings


def _value(text: str) -> object:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def search(
    task: str,
    store: Store,
    variants: dict[str, Settings],
    options: argparse.Namespace,
) -> None:
    """Measure the cells of a task that the options name; report all that are known."""
    peers = _PEERS[task]
    every = [*_OURS[task], *variants, *peers]
    chosen = options.methods.split(",") if options.methods else every
    if unknown := [name for name in chosen if name not in every]:
        sys.exit(f"bench.search: {task} has no method {unknown[0]}: {', '.join(every)}")
    check_installed(chosen)
    cells = [cell for cell in CELLS[task] if options.cells in cell.name]
    if options.fresh:
        for cell in cells:
            for method in chosen:
                store.place(cell, method).unlink(missing_ok=True)
    began = time.monotonic()
    for cell, method, seeds in store.measure(
        cells, chosen, options.seeds, jobs=options.jobs
    ):
        if seeds:
            seconds, began = time.monotonic() - began, time.monotonic()
            print(f"{cell.name} {method}: {seeds} seeds in {seconds:.1f} s", flush=True)
    found = {
        cell: {name: store.read(cell, name, stale=name in peers) for name in every}
        for cell in CELLS[task]
    }
    write(task, found, peers, store.folder)


def check_installed(methods: list[str]) -> None:
    """End the program with a line that says what to install if a method needs it."""
    for name in methods:
        try:
            revision(name, {})
        except PackageNotFoundError as error:
            sys.exit(f"bench.search: {name} needs {error.name}: add {HOW_TO_INSTALL}")


def write(task: str, found: Table, peers: tuple[str, ...], folder: Path) -> None:
    """Write a task's report and draw its figure; print its goals."""
    goals: list[str] = []
    if task == "nas":
        goals = nas_goals(found, peers)
    elif task == "nk":
        goals = [line for cell in found for line in nk_goals(cell, found[cell])]
    else:
        goals = svm_goals(found)
    tables = [
        line
        for cell, methods in found.items()
        if any(methods.values())
        for line in table(cell, methods)
    ]
    note(task, goals, folder, *tables)
    plot(found, folder / f"{task}.png")


def note(task: str, shown: list[str], folder: Path, *more: str) -> None:
    """Print the lines of a task's report that are shown, and write all of them."""
    place = folder / f"{task}.md"
    place.write_text("\n".join([f"## {task}", "", *shown, *more]))
    print("\n".join(shown), f"-> {place}", sep="\n", flush=True)
