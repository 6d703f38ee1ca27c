"""What a search says at its end of the data that it has read."""

from pathlib import Path

import pytest

from ribosome.runner.config import Config, TaskConfig
from ribosome.runner.journal import Journal
from ribosome.runner.messages import Ready
from ribosome.tools import summary
from ribosome.tools.summary import staged, unstaged


def join(run: Path, *workers: tuple[str, str, int]) -> None:
    """Workers join a run: host, the copy that they read, and bytes read for it."""
    journal = Journal(run)
    for number, (host, copy, read) in enumerate(workers, 1):
        ready = Ready(host, 1, staged=copy, bytes_read=read)
        journal.worker(number, ready, at=float(number))
    journal.commit(lambda: "{}")
    journal.close()


_MASTER = "read from the data folder, besides what the master checked."


@pytest.mark.parametrize(
    ("workers", "line"),
    [
        ([("n1", "", 0), ("n1", "", 0)], ""),
        (
            [("n1", "/bb", 0), ("n1", "/bb", 3 << 20)],
            f"Data staged on 1 node: 3 MiB {_MASTER}",
        ),
        (
            [(node, "/bb", size) for node in ("n1", "n2") for size in (3 << 20, 0)],
            f"Data staged on 2 nodes: 6 MiB {_MASTER}",
        ),
        (
            [(node, "/bb", 3 << 20) for node in ("n1", "n2", "n1")],
            f"Data staged on 2 nodes in 3 copies: 9 MiB {_MASTER}",
        ),
        # Another run of the user's had made the copy.
        ([("n1", "/bb", 0)], f"Data staged on 1 node: 0 B {_MASTER}"),
        (
            [("n1", "/bb", 3 << 20), ("n3", "", 0), ("n2", "", 0), ("n2", "", 0)],
            f"Data staged on 1 node: 3 MiB {_MASTER} "
            "Workers on n2, n3 read the data folder itself.",
        ),
        (
            [("n0", "/bb", 1024), *((f"n{n}", "", 0) for n in range(1, 8))],
            f"Data staged on 1 node: 1 KiB {_MASTER} "
            "Workers on n1, n2, n3, n4 and 3 nodes more read the data folder itself.",
        ),
    ],
)
def test_what_was_staged_is_nodes_times_data(
    run: Path, workers: list[tuple[str, str, int]], line: str
) -> None:
    """Over all sessions of a run; what was not staged is never passed over."""
    join(run, *workers)
    assert staged(run) == line


def test_results_say_what_was_staged(ribosome, run: Path) -> None:
    """Below the table, on lines for people."""
    assert "staged" not in ribosome("results", run).stdout
    join(run, ("n1", "/bb", 3 << 20))
    output = " ".join(ribosome("results", run).stdout.split())
    assert "Data staged on 1 node: 3 MiB read" in output
    assert "staged" not in ribosome("results", run, "--json").stdout


def test_a_search_says_that_trials_read_a_shared_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which kind that is, too; of a local disk nothing is said."""
    (tmp_path / "data.json").touch()
    config = Config(task=TaskConfig(data=str(tmp_path)))
    monkeypatch.setattr(summary, "is_shared", lambda _: False)
    assert unstaged(config) == ""
    monkeypatch.setattr(summary, "is_shared", lambda _: True)
    monkeypatch.setattr(summary, "kind", lambda _: "nfs4")
    assert unstaged(config) == "Data not staged: every trial read it from nfs4."
