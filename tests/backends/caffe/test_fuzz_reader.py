"""Damaged prototxt: refused, or read, but never with a traceback."""

import pytest

from bench.fuzz_caffe import read_mutants


@pytest.mark.parametrize("seed", range(4))
def test_mutants_are_read_or_refused(seed: int) -> None:
    """Nothing but ReadError of one line, and some mutants are still networks."""
    read, slowest = read_mutants(500, seed)
    assert 10 < read < 490
    assert slowest < 10.0
