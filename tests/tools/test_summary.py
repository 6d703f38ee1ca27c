"""What a search says at its end of the data that it has read."""

from pathlib import Path

import pytest

from ribosome.runner.config import Config, TaskConfig
from ribosome.runner.journal import Journal
from ribosome.tools import summary
from ribosome.tools.summary import staged, unstaged


def join(run: Path, *workers: tuple[str, int]) -> None:
    """Workers join a run: host, and bytes read."""
    journal = Journal(run)
    for number, (host, read) in enumerate(workers, 1):
        journal.worker(
            number, host=host, pid=1, gpu=None, bytes_read=read, at=float(number)
        )
    journal.commit(lambda: "{}")
    journal.close()


@pytest.mark.parametrize(
    ("workers", "line"),
    [
        ([("n1", 0), ("n1", 0)], ""),
        (
            [("n1", 0), ("n1", 3 << 20)],
            "Data staged on 1 node: 3 MiB read from the shared file system.",
        ),
        (
            [("n1", 3 << 20), ("n1", 0), ("n2", 3 << 20), ("n2", 0)],
            "Data staged on 2 nodes: 6 MiB read from the shared file system.",
        ),
        (
            [("n1", 3 << 20), ("n2", 3 << 20), ("n1", 3 << 20)],
            "Data staged on 2 nodes in 3 copies: 9 MiB read from the shared "
            "file system.",
        ),
    ],
)
def test_what_was_staged_is_nodes_times_data(
    run: Path, workers: list[tuple[str, int]], line: str
) -> None:
    """The bytes of all workers are summed, over all sessions of a run."""
    join(run, *workers)
    assert staged(run) == line


def test_results_say_what_was_staged(ribosome, run: Path) -> None:
    """Below the table, on lines for people."""
    assert "staged" not in ribosome("results", run).stdout
    join(run, ("n1", 3 << 20))
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
