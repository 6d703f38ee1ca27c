"""Lines and names of the generated source."""

import pytest

from ribosome.backends.pytorch.source import legal_names

torch = pytest.importorskip("torch", reason="install the extra: pip install torch")


def test_no_layer_hides_an_attribute_of_module() -> None:
    """Whatever torch's Module has, no layer is called so."""
    attributes = set(dir(torch.nn.Module()))
    assert attributes.isdisjoint(legal_names(attributes).values())
