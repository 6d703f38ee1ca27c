"""How Caffe's supervisor ends: its exit codes, and how it says what went wrong.

Caffe itself has three exit codes: 0 for a regular end (and for one that SIGINT asked for),
1 for an unknown flag, and 134, SIGABRT, for everything else: a network that cannot be
built, a missing file, a lack of memory, and some runs that came to their end and only then
fell over what NaN had done to their memory. So 134 says nothing; the log does
(`ribosome.backends.caffe.log_parser`).
"""

from ribosome.backends.base import Ending

TROUBLE = 2
"""What the supervisor itself cannot begin or bring to its end; argparse's code too."""

NO_CAFFE = 127
"""There is no caffe to run; the shell's code for a command that is not found."""

INTERRUPTED = 130

FAILED = "ribosome failed: "
"""How the line begins in which the supervisor itself says what is wrong."""

_ENDINGS: dict[int, Ending] = {
    0: "ok",
    1: "crashed",
    TROUBLE: "crashed",
    NO_CAFFE: "crashed",
}


def ending(exit_code: int) -> Ending | None:
    """The ending that an exit code stands for; None for one that says nothing.

    Caffe's abort (134, or -6) and every other signal say nothing.
    """
    return _ENDINGS.get(exit_code)
