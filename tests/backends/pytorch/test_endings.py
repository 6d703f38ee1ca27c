"""Exit codes, and the endings of exceptions."""

import errno

import pytest

from ribosome.backends.base import Ending
from ribosome.backends.pytorch.endings import (
    EXIT_CODES,
    INTERRUPTED,
    USAGE,
    Diverged,
    Invalid,
    blaming,
    ending,
    ending_of,
    one_line,
)
from ribosome.genome.errors import DataError


class OutOfMemoryError(RuntimeError):
    """Named as torch's, which cannot be had without a GPU."""


def test_each_ending_has_an_exit_code_of_its_own() -> None:
    """What the trainer exits with is what the worker reads."""
    assert {name: ending(code) for name, code in EXIT_CODES.items()} == {
        name: name for name in EXIT_CODES
    }


@pytest.mark.parametrize("code", [USAGE, INTERRUPTED, -9, -15, 77])
def test_other_exit_codes_say_nothing(code: int) -> None:
    """A signal, or a code that is not the trainer's, stands for no ending."""
    assert ending(code) is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), "out_of_memory"),
        (
            OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
            "out_of_memory",
        ),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "out_of_memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out_of_memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "crashed"),
        (Diverged("NaN"), "diverged"),
        (Invalid("no"), "invalid"),
        (DataError("no"), "invalid"),
        (RuntimeError("boom"), "crashed"),
        (ValueError("a word like out of memory in a message"), "crashed"),
    ],
)
def test_an_exception_stands_for_an_ending(error: Exception, expected: Ending) -> None:
    """Being out of memory is told from what is wrong otherwise."""
    assert ending_of(error) == expected


def test_what_a_network_raises_is_its_own_fault() -> None:
    """An error while a network runs is Invalid, with the error as its cause."""
    with (
        pytest.raises(Invalid, match="ValueError: odd") as caught,
        blaming("network.py"),
    ):
        raise ValueError("odd")
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("CUDA error: unspecified"), DataError("no")]
)
def test_memory_device_and_data_are_not_the_networks_fault(error: Exception) -> None:
    """They come through as they are."""
    with pytest.raises(type(error)), blaming("network.py"):
        raise error


def test_a_message_is_one_line_and_short() -> None:
    """A message of many lines, with a C++ stack in it, is cut."""
    text = one_line(RuntimeError("first\n  second\n" + "frame\n" * 1000))
    assert text.startswith("RuntimeError: first second frame")
    assert len(text) == 500
