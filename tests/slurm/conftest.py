"""One cluster for all tests of the room; they are skipped where it is not asked for."""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.slurm.cluster import PROGRAMS, Cluster, running_cluster

VARIABLE = "RIBOSOME_SLURM"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running Slurm."""
    if not os.environ.get(VARIABLE):
        pytest.skip("a real Slurm is started by `make slurm-test` only")
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        pytest.fail(f"needs root and Debian's slurm-wlm and munge; missing: {missing}")
    with running_cluster() as running:
        yield running
