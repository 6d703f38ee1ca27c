"""With one worker and a seed, a run killed anywhere and resumed is the run never stopped."""

import os
import random
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from run_kit import (
    TIMES,
    RealRun,
    Workers,
    killed_at_the_end,
    tiny_master,
    wait_until,
)

from ribosome.runner.journal import Journal
from ribosome.runner.launch import find_mpiexec
from ribosome.runner.records import read_trials
from ribosome.runner.schema import FILE

EVALUATIONS = 24


class Killed(BaseException):
    """Stands for SIGKILL: the master ends where it is raised."""


def story(folder: Path) -> list[dict[str, object]]:
    """All that a journal says but times: trials, in which order they were asked and told."""
    with closing(sqlite3.connect(folder / FILE)) as database:
        steps = database.execute("SELECT asked, told FROM trials ORDER BY trial")
        order = [dict(zip(("asked", "told"), row, strict=True)) for row in steps]
    rows = [msgspec.structs.asdict(record) for record in read_trials(folder)]
    return [
        {key: row[key] for key in row if key not in TIMES} | places
        for row, places in zip(rows, order, strict=True)
    ]


def random_state(folder: Path) -> str | None:
    """The state of the random numbers at a journal's end."""
    with closing(Journal(folder)) as journal:
        return journal.random_state()


def session(
    folder: Path,
    *,
    kill: Callable[[int], str | None],
    confirm: int = 0,
    **workers: object,
) -> bool:
    """Run until the end, or until killed; whether it came to its end.

    ``kill`` says of the number of a commit whether the master dies "before" or "after" it;
    else it goes on.
    """
    folder.mkdir(exist_ok=True)
    master, journal = tiny_master(
        folder,
        Workers(1, **workers),  # type: ignore[arg-type]
        evaluations=EVALUATIONS,
        confirm=confirm,
    )
    commit, count = journal.commit, 0

    def killing(state: Callable[[], str]) -> None:
        nonlocal count
        count += 1
        when = kill(count)
        if when == "before":
            raise Killed
        commit(state)
        if when == "after":
            raise Killed

    journal.commit = killing  # type: ignore[method-assign]
    try:
        master.run()
    except Killed:
        return False
    finally:
        journal.close()
    return True


def never(_: int) -> None:
    """No kill."""


DEADLY = {5: 1, 9: 2, 10: 1, 24: 2}
"""How many workers some trials take along: those with two end as lost."""


@pytest.fixture(scope="module", params=[{}, DEADLY], ids=["quiet", "deadly"])
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[int, int]]:
    """A run that was never stopped, and what its trials did to workers."""
    folder = tmp_path_factory.mktemp("whole")
    assert session(folder, kill=never, deadly=request.param)
    return folder, request.param


def test_a_kill_at_any_commit_leaves_no_trace(
    whole: tuple[Path, dict[int, int]], tmp_path: Path
) -> None:
    """Killed before or after each commit in turn, the resumed journal is the same."""
    expected, deadly = story(whole[0]), whole[1]
    place, ended = 0, False
    while not ended:
        place += 1
        for when in ("before", "after"):
            folder = tmp_path / f"{when}-{place}"
            ended = session(folder, kill={place: when}.get, deadly=deadly)
            if not ended:
                left = {trial: n for trial, n in deadly.items() if n == 2}
                session(folder, kill=never, deadly=left)
            assert story(folder) == expected
            assert random_state(folder) == random_state(whole[0])
    assert place > EVALUATIONS


def test_a_kill_while_the_best_are_confirmed_leaves_no_trace(tmp_path: Path) -> None:
    """The repeats that there are count, and those that are left come in the same order."""
    how: dict[str, object] = {"confirm": 4, "deadly": {EVALUATIONS + 3: 2}}
    assert session(tmp_path / "whole", kill=never, **how)  # type: ignore[arg-type]
    expected = story(tmp_path / "whole")
    assert len(expected) == EVALUATIONS + 8
    place, ended = EVALUATIONS - 4, False
    while not ended:
        place += 1
        for when in ("before", "after"):
            folder = tmp_path / f"{when}-{place}"
            ended = session(folder, kill={place: when}.get, **how)  # type: ignore[arg-type]
            if not ended:
                session(folder, kill=never, **how)  # type: ignore[arg-type]
            assert story(folder) == expected
    assert place > EVALUATIONS + 4


@pytest.mark.parametrize("seed", range(6))
def test_many_kills_leave_no_trace(
    whole: tuple[Path, dict[int, int]], tmp_path: Path, seed: int
) -> None:
    """A run that is killed again and again comes to the same end, as long as it moves on."""
    moments = random.Random(seed)
    sessions = 0
    while not session(
        tmp_path / "run",
        kill=lambda _: moments.choice(("before", "after", None, None)),
        deadly={trial: n for trial, n in whole[1].items() if n == 2},
    ):
        sessions += 1
    assert sessions > 3
    assert story(tmp_path / "run") == story(whole[0])


@pytest.fixture
def runs(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[RealRun, RealRun]:
    """Two run folders that do not exist yet: of a run to be killed, and of a whole one."""
    marker = f"RUN_MARKER={request.node.name}-{os.getpid()}"
    return RealRun(tmp_path / "run", marker), RealRun(tmp_path / "whole", marker)


@pytest.mark.parametrize(
    ("strategy", "mode"), [("evolution", "wal"), ("random", "rollback")]
)
def test_a_killed_process_leaves_no_trace(
    runs: tuple[RealRun, RealRun], strategy: str, mode: str
) -> None:
    """SIGKILL of a real master after some of its commits, its worker a process of its own."""
    run, whole = runs
    options = (
        "search.evaluations=40",
        f'search.strategy="{strategy}"',
        "runner.workers=1",
        f'runner.journal="{mode}"',
    )
    whole.finish(*options, evaluator="noop")
    for commits in (1, 2, 5, 9):
        process = run.start(
            *options, "--resume", f"--die-after={commits}", evaluator="noop"
        )
        _, errors = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), errors
    run.finish(*options, "--resume", evaluator="noop")
    assert story(run.folder) == story(whole.folder)
    assert run.left_behind() == []


def test_another_transport_leaves_no_trace(runs: tuple[RealRun, RealRun]) -> None:
    """A run that began with a local worker and goes on over MPI, in a folder that moved."""
    pytest.importorskip("mpi4py")
    run, whole = runs
    options = ("search.evaluations=40", "runner.workers=1")
    whole.finish(*options, evaluator="noop")
    _, errors = run.start(*options, "--die-after=5", evaluator="noop").communicate()
    assert not errors
    moved = RealRun(run.folder.with_name("moved"), run.marker)
    run.folder.rename(moved.folder)
    launcher = (find_mpiexec(), "-n", "2")
    moved.finish(*options, "--resume", launcher=launcher, evaluator="noop")
    assert story(moved.folder) == story(whole.folder)


def without_speed(folder: Path) -> list[dict[str, object]]:
    """The story without what depends on how busy the machine is."""
    return [{**row, "batches_per_s": None} for row in story(folder)]


def test_a_killed_training_leaves_no_trace(runs: tuple[RealRun, RealRun]) -> None:
    """With the real trainer and iterations as the only limit, down to the best's weights.

    The trial that was cut off is trained anew, whatever stands in its folder.
    """
    pytest.importorskip("torch")
    run, whole = runs
    options = (
        "search.evaluations=5",
        "training.max_iterations=4",
        "training.time_limit_s=0",
        "runner.workers=1",
    )
    whole.finish(*options, evaluator="trial")
    process = run.start(*options, evaluator="trial")
    with killed_at_the_end(process):
        wait_until(lambda: (run.folder / "trials" / "3" / "log.txt").exists())
    run.left_behind()
    half = run.folder / "trials" / "3"
    half.mkdir(exist_ok=True)
    (half / "weights").write_bytes(b"half of them")
    (half / "log.txt").write_text("iteration=1 loss=0.0\n")
    (half / "left.py").write_text("")
    run.finish(*options, "--resume", evaluator="trial")
    assert without_speed(run.folder) == without_speed(whole.folder)
    kept = sorted(path.name for path in (whole.folder / "trials").iterdir())
    assert sorted(path.name for path in (run.folder / "trials").iterdir()) == kept
    assert kept
    for name in kept:
        ours, theirs = (each.folder / "trials" / name for each in runs)
        assert [path.name for path in sorted(ours.iterdir())] == [
            path.name for path in sorted(theirs.iterdir())
        ]
        assert (ours / "weights").read_bytes() == (theirs / "weights").read_bytes()
