"""What is seen to before the first trial."""

from collections.abc import Callable

import pytest

from ribosome.backends.pytorch import backend
from ribosome.backends.pytorch.backend import PyTorch
from ribosome.genome.errors import ConfigError
from ribosome.genome.task import DIGITS


def test_where_torch_is_not_installed_nothing_is_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each trial would crash, and the search would come to its end all the same."""
    missing: Callable[[str], None] = lambda _: None  # noqa: E731
    monkeypatch.setattr(backend, "find_spec", missing)
    with pytest.raises(ConfigError, match=r"needs torch, which .* lacks: `pip install"):
        PyTorch().prepare(DIGITS)


def test_with_torch_nothing_has_to_be_made() -> None:
    """The trainer reads the data folder itself."""
    pytest.importorskip("torch")
    assert PyTorch().prepare(DIGITS) == ""
