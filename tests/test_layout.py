"""The rooms: what each may import, what is installed, and how quickly it is imported."""

import ast
import configparser
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
MAY_IMPORT = {
    "genome": {"genome"},
    "templates": {"templates"},
    "backends": {"genome", "templates", "backends"},
    "search": {"genome", "search"},
    "runner": {"genome", "templates", "backends", "search", "runner"},
    "tools": {"genome", "templates", "backends", "search", "runner", "tools"},
}
"""The right-hand column of the design's table of rooms."""


def modules(room: str) -> list[Path]:
    """Every source file of a room."""
    return sorted((TOP / room).rglob("*.py"))


def imported(path: Path, *, at_import: bool) -> set[str]:
    """The modules that a file names in imports; ``at_import``: outside functions only."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    later = (ast.FunctionDef, ast.AsyncFunctionDef) if at_import else ()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif isinstance(node, later) or _for_types_only(node):
            continue
        waiting += ast.iter_child_nodes(node)
    return found


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_the_design_allows(room: str) -> None:
    """Data flows one way: no import leads back up."""
    for path in modules(room):
        names = imported(path, at_import=False)
        rooms = {n.split(".")[1] for n in names if n.startswith("ribosome.")}
        assert rooms <= MAY_IMPORT[room], path


def test_every_folder_with_modules_is_installed() -> None:
    """setup.cfg lists each package once, and where it lies."""
    config = configparser.ConfigParser()
    config.read(TOP / "setup.cfg")
    packages = set(config["options"]["packages"].split())
    folders = {path.parent for room in MAY_IMPORT for path in modules(room)}
    expected = {
        "ribosome." + ".".join(folder.relative_to(TOP).parts) for folder in folders
    }
    assert packages == expected


@pytest.mark.parametrize(
    "heavy", ["torch", "sklearn", "mpi4py", "matplotlib", "PIL", "google", "cv2"]
)
def test_heavy_libraries_are_imported_only_where_they_are_needed(heavy: str) -> None:
    """No module of the command line's path imports them at its top."""
    trainer = TOP / "backends" / "pytorch"
    for room in MAY_IMPORT:
        for path in modules(room):
            if path.parent == trainer and heavy == "torch":
                continue
            names = {name.split(".")[0] for name in imported(path, at_import=True)}
            assert heavy not in names, path


def test_no_source_file_is_long() -> None:
    """One concept, one file: none has more than 400 lines."""
    for room in MAY_IMPORT:
        for path in modules(room):
            assert len(path.read_text().splitlines()) <= 400, path
