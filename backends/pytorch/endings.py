"""How the trainer's process ends: its exit codes, and the ending that each stands for.

Nothing here imports torch, so that a worker can read an exit code without it.
"""

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from ribosome.backends.base import Ending
from ribosome.genome.errors import DataError, RibosomeError

EXIT_CODES: dict[Ending, int] = {
    "ok": 0,
    "crashed": 1,  # also Python's own, for an error that nobody caught
    "diverged": 3,
    "invalid": 4,
    "out_of_memory": 5,
}
USAGE = 2
"""Arguments that make no sense; argparse's own code, and no fault of the network."""
INTERRUPTED = 130

_ENDINGS = {code: ending for ending, code in EXIT_CODES.items()}

# What torch says where it has no exception class for being out of memory.
_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "std::bad_alloc",
    "STATUS_ALLOC_FAILED",
)


class Diverged(RibosomeError):
    """Training blew up: NaN, infinity, or a loss that stays at Caffe's cap."""


class Invalid(RibosomeError):
    """The network, or what stands beside it, cannot be built or run."""


class Rejected(Invalid):
    """The network cannot learn, as a batch before the first iteration has shown."""


class Usage(RibosomeError):
    """An argument that asks for what is not there."""


def ending(exit_code: int) -> Ending | None:
    """The ending that an exit code of the trainer stands for; None for any other code.

    A negative code, a signal, says nothing here: only who sent it knows why.
    """
    return _ENDINGS.get(exit_code)


def ending_of(error: BaseException) -> Ending:
    """The ending that an exception in the trainer stands for."""
    if _is_memory(error):
        return "out_of_memory"
    if isinstance(error, Diverged):
        return "diverged"
    if isinstance(error, Invalid | DataError):
        return "invalid"
    return "crashed"


@contextmanager
def blaming(path: str) -> Iterator[None]:
    """What is raised in here is the fault of the network in the file ``path``: Invalid.

    Being out of memory is not, nor is an error of the device, nor what is Ribosome's own.
    """
    try:
        yield
    except RibosomeError:
        raise
    except Exception as error:
        if _is_memory(error) or _is_device(error):
            raise
        raise Invalid(one_line(error, path=path)) from error


def one_line(error: BaseException, *, path: str = "") -> str:
    """An exception in one line, with the line of the file ``path`` that it came through.

    At most 500 characters: some of torch's messages hold a C++ stack.
    """
    text = " ".join(str(error).split())
    if isinstance(error, SyntaxError) or not isinstance(error, RibosomeError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if path and frame.filename == path]
    if lines:
        text = f"{path.rpartition('/')[2]} line {lines[-1]}: {text}"
    return text if len(text) <= 500 else text[:497] + "..."


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        sign.lower() in text for sign in _NO_MEMORY
    )


def _is_device(error: BaseException) -> bool:
    signs = ("CUDA error", "CUDA driver", "CUDNN_STATUS", "CUBLAS_STATUS")
    return type(error).__name__ == "AcceleratorError" or any(
        sign in str(error) for sign in signs
    )
