"""What every test shares: a cache of its own, kept under build/, and a real caffe."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import settings

from ribosome.backends.caffe.binary import VARIABLE, find_caffe
from ribosome.genome.errors import ConfigError
from ribosome.tools.cli import cli

# Looked for before the cache is another, for `make caffe` leaves it in the user's. One that
# is named and cannot be run is for the user to know, and no reason to skip.
try:
    os.environ[VARIABLE] = find_caffe()
except ConfigError:
    if os.environ.get(VARIABLE):
        raise
NO_CAFFE = f"no caffe binary: run `make caffe`, or set {VARIABLE}"

os.environ["RIBOSOME_CACHE"] = str(Path(__file__).parents[1] / "build" / "test-cache")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no failure; CI draws the same examples every time.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``caffe`` where there is none."""
    if not os.environ.get(VARIABLE):
        for item in items:
            if item.get_closest_marker("caffe"):
                item.add_marker(pytest.mark.skip(reason=NO_CAFFE))


@pytest.fixture(scope="session")
def cache_of_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder for all tests of a process: the digits are made once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def ribosome(
    cache_of_session: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Call `ribosome` with arguments, on a terminal of 80 columns that is none."""
    monkeypatch.setenv("RIBOSOME_CACHE", str(cache_of_session))
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: object) -> Result:
        return CliRunner().invoke(
            cli, [str(argument) for argument in arguments], prog_name="ribosome"
        )

    return call
