"""The sources: no pickle, no eval and no shell, but where a reason is given here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
ROOMS = ("genome", "templates", "backends", "search", "runner", "tools")
SOURCES = sorted(path for room in ROOMS for path in (TOP / room).rglob("*.py"))

MODULES = frozenset(
    (
        *("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal"),
        *("shelve", "dbm", "copyreg", "yaml", "code", "codeop", "pty", "xmlrpc"),
    )
)
"""Modules that make objects or code of bytes."""

CALLS = frozenset(
    (
        *("eval", "exec", "compile", "__import__", "os.system", "os.popen"),
        *("subprocess.getoutput", "subprocess.getstatusoutput", "tempfile.mktemp"),
        *("shutil.unpack_archive", "builtins.eval", "builtins.exec"),
    )
)
METHODS = frozenset(("extractall", "extract"))
PICKLING = frozenset(
    (
        *("send", "recv", "bcast", "gather", "scatter", "isend", "irecv", "ssend"),
        *(
            "allgather",
            "alltoall",
            "reduce",
            "allreduce",
            "sendrecv",
            "bsend",
            "issend",
        ),
    )
)
"""mpi4py's methods in lower case: they send pickles."""

ALLOWED = {
    (
        "backends/pytorch/trial.py",
        "compile",
    ): "the trainer runs the network that we wrote",
    ("backends/pytorch/trial.py", "exec"): "the trainer runs the network that we wrote",
}
"""By file and call: why it may be."""

NO_MPI = {
    "runner/local.py": "a socket",
    "runner/frames.py": "a socket",
    "runner/worker_main.py": "a socket",
    "runner/warm.py": "a socket, of JSON",
    "runner/forkserver.py": "a socket, of JSON",
    "runner/server.py": "a socket, of JSON",
    "runner/spare.py": "a socket, of JSON",
    "runner/master.py": "the transport, of messages in msgpack",
    "runner/dismissal.py": "the transport, of messages in msgpack",
    "runner/outbox.py": "the transport, of messages in msgpack",
    "runner/worker.py": "the endpoint, of messages in msgpack",
    "backends/pytorch/validation.py": "a tensor's gather",
}
"""Files with methods of these names, and whose they are. runner/mpi.py is not here: its
own `send` is called on ``self`` only."""


def name_of(node: ast.expr) -> str:
    """A call's callee, as in os.system."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            return f"{name_of(value)}.{attribute}"
    return "?"


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file, and what it calls."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield name_of(node.func), node


def keywords(call: ast.Call) -> dict[str, object]:
    """The constants among a call's keyword arguments."""
    return {
        keyword.arg: keyword.value.value
        for keyword in call.keywords
        if keyword.arg and isinstance(keyword.value, ast.Constant)
    }


def short(path: Path) -> str:
    """A file's path from the top."""
    return str(path.relative_to(TOP))


def test_there_are_sources() -> None:
    """Guard: the rooms are where these tests look for them."""
    assert len(SOURCES) > 100


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_a_source_makes_no_code_and_no_objects_of_bytes(path: Path) -> None:
    """No module of pickles, no eval, no shell; torch and numpy load numbers only."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not MODULES & {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in MODULES
            assert (node.module, "system") not in {
                (node.module, alias.name) for alias in node.names if node.module == "os"
            }
    for name, call in calls(path):
        last = name.rpartition(".")[2]
        where = f"{short(path)}:{call.lineno}: {name}"
        if name in CALLS:
            assert (short(path), name) in ALLOWED, where
        assert last not in METHODS, where
        given = keywords(call)
        assert not given.get("shell"), where
        assert not given.get("allow_pickle"), where
        if last in ("CDLL", "LoadLibrary"):  # the C library that is loaded, no other
            assert ast.unparse(call.args[0]) == "None", where
        if name == "torch.load":
            assert given.get("weights_only") is True, where
        if name in ("np.load", "numpy.load"):
            assert given.get("allow_pickle") is False, where


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_mpi_sends_buffers_and_no_pickles(path: Path) -> None:
    """mpi4py's methods in lower case pickle: none is called on a communicator."""
    for name, call in calls(path):
        target, _, method = name.rpartition(".")
        if method in PICKLING and target and short(path) not in NO_MPI:
            assert short(path) == "runner/mpi.py", (
                f"{short(path)}:{call.lineno}: {name}"
            )
            assert target == "self", f"{short(path)}:{call.lineno}: {name}"


def test_every_exception_is_one() -> None:
    """An exception that nothing needs any more is removed from the list."""
    found = {(short(path), name) for path in SOURCES for name, _ in calls(path)}
    assert set(ALLOWED) <= found
    methods = {
        short(path)
        for path in SOURCES
        for name, _ in calls(path)
        if name.rpartition(".")[2] in PICKLING
    }
    assert set(NO_MPI) <= methods
