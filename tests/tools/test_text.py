"""Numbers as people read them."""

import pytest

from ribosome.genome.space import Gene
from ribosome.tools import text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (12_345, "12.3k"),
        (999_600, "1M"),
        (1.5e9, "1.5G"),
        (2e16, "20P"),
    ],
)
def test_counts(value: float, shown: str) -> None:
    """Three digits and a letter."""
    assert text.count(value) == shown


def test_counts_of_kinds() -> None:
    """The most first, equal ones by name, none of what there is none of."""
    kinds = {"timeout": 1, "ok": 5, "out_of_memory": 1, "lost": 0}
    assert text.counts(kinds) == "5 ok, 1 out of memory, 1 timeout"


@pytest.mark.parametrize(
    ("octets", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (3 << 20, "3 MiB")],
)
def test_sizes(octets: int, shown: str) -> None:
    """Powers of 1,024, as operating systems count memory."""
    assert text.size(octets) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0 s"), (59.4, "59 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")],
)
def test_durations(seconds: float, shown: str) -> None:
    """Two units at most."""
    assert text.duration(seconds) == shown


def test_a_long_list_is_shortened() -> None:
    """The first four, the last one, and how many there are."""
    assert text.listed(range(1, 129)) == "1, 2, 3, 4, ..., 128 (128 values)"


@pytest.mark.parametrize(
    ("gene", "shown"),
    [
        (Gene("a", ("relu",), (1.0,)), "always relu"),
        (Gene("a", (1, 2), (3.0, 3.0)), "1, 2"),
        (Gene("a", (1, 2), (3.0, 1.0)), "1 75%, 2 25%"),
        (
            Gene("a", tuple(range(20)), (1.0,) * 19 + (19.0,)),
            "0, 1, 2, 3, ..., 19 (20 values); likeliest 19 50%",
        ),
    ],
)
def test_alleles(gene: Gene, shown: str) -> None:
    """Shares stand only where the alleles are not equally likely."""
    assert text.alleles(gene) == shown


@pytest.mark.parametrize(
    ("share", "shown"), [(0.5, "50%"), (0.01, "1%"), (0.0041, "0.4%"), (0.0, "0%")]
)
def test_percent(share: float, shown: str) -> None:
    """Small shares keep a digit that is not zero."""
    assert text.percent(share) == shown
