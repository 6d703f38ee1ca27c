"""Lines and names of the generated source."""

import math

import pytest

from ribosome.backends.pytorch.source import chain, legal_names, number

torch = pytest.importorskip("torch", reason="install the extra: pip install torch")


def test_no_layer_hides_an_attribute_of_module() -> None:
    """Whatever torch's Module has, no layer is called so."""
    attributes = set(dir(torch.nn.Module()))
    assert attributes.isdisjoint(legal_names(attributes).values())


@pytest.mark.parametrize("value", [0.1, 1e-05, -3.0, 1e300, math.inf, -math.inf])
def test_a_number_reads_back_as_itself(value: float) -> None:
    """Infinities too, which have no literal."""
    assert eval(number(value)) == value  # noqa: S307


def test_nan_reads_back_as_nan() -> None:
    """NaN has no literal either."""
    assert math.isnan(eval(number(math.nan)))  # noqa: S307


@pytest.mark.parametrize(
    ("term", "lines"),
    [
        ("a" * 65, [f"variable = {'a' * 65} + b"]),
        ("a" * 66, ["variable = (", f"    {'a' * 66} + b", ")"]),
        ("a" * 72, ["variable = (", f"    {'a' * 72} + b", ")"]),
        ("a" * 73, ["variable = (", f"    {'a' * 73}", "    + b", ")"]),
    ],
)
def test_a_long_sum_breaks_as_ruff_breaks_it(term: str, lines: list[str]) -> None:
    """On one line, in brackets, or a term a line: 88 columns, an indent of 8 among them."""
    assert chain("variable", [term, "+ b"], indent=8) == lines
