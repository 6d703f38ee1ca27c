"""Which ranks share a machine, with the real mpiexec."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from ribosome.runner.placement import Place

PROGRAM = str(Path(__file__).with_name("nodes_program.py"))


def launch(
    ranks: int, *failing: int, **environ: str
) -> subprocess.CompletedProcess[str]:
    """So many ranks, of which some cannot begin, to their end."""
    mpiexec = Path(sys.executable).with_name("mpiexec")
    if not mpiexec.exists():
        pytest.skip("no mpiexec beside this Python: pip install mpich")
    program = [sys.executable, "-P", PROGRAM, *map(str, failing)]
    return subprocess.run(
        [str(mpiexec), "-n", str(ranks), *program],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def places(ranks: int, **environ: str) -> list[Place]:
    """What rank 0 learns of the others."""
    done = launch(ranks, **environ)
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=list[Place])


def test_the_master_learns_of_every_workers_gpus() -> None:
    """In the order of ranks, without the master's own."""
    found = places(4)
    assert [place.worker for place in found] == [1, 2, 3]
    assert [len(place.gpus) for place in found] == [1, 2, 3]
    assert found[2].gpus[1].identity == "GPU-1"
    assert {place.host for place in found} == {os.uname().nodename}


def test_ranks_of_one_machine_are_neighbours() -> None:
    """A node is named by its lowest rank, the master's if it is there."""
    assert [place.node for place in places(4)] == [0, 0, 0]


def test_ranks_of_two_machines_are_told_apart() -> None:
    """MPICH can make believe that even and odd ranks are on a node each."""
    found = places(5, MPIR_CVAR_ODD_EVEN_CLIQUES="1")
    assert [place.node for place in found] == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        ((2,), f"error: rank 2 on {os.uname().nodename}: no config at 2"),
        (
            (1, 3),
            f"error: rank 1 on {os.uname().nodename} (and 1 more rank): no config at 1",
        ),
        ((0, 1, 2, 3), "rank 0 says it itself"),
        ((0,), "rank 0 says it itself"),
    ],
)
def test_a_rank_that_cannot_begin_ends_all(failing: tuple[int, ...], said: str) -> None:
    """Rank 0 alone says why; no rank is left to wait for the one that failed."""
    done = launch(4, *failing)
    assert done.returncode != 0
    assert done.stderr.splitlines() == [said]
