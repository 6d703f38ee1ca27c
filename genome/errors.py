"""Errors that a user can act on.

::

    RibosomeError
    ├── SpaceError          a space file that says something impossible
    ├── GenomeError         a genome that is damaged or of another space
    ├── EncodeError         a network that the space cannot express
    ├── ShapeError          an op that its input does not fit
    ├── UnsupportedOp       an op that a backend has no code for
    ├── EmitError           text that a backend refuses to write
    ├── ReadError           a network file that cannot be read
    ├── DataError           a data folder or a source that cannot be trained on
    ├── ConfigError         a config file or an option that is wrong
    └── RunError            a run that cannot start, go on or be read

Every message is one line: what is wrong, where, and what to do.
"""


class RibosomeError(Exception):
    """What every error of Ribosome's own descends from."""


class SpaceError(RibosomeError):
    """A space file that says something impossible."""


class GenomeError(RibosomeError):
    """A genome that is damaged, or of another space or version."""


class EncodeError(RibosomeError):
    """A network that the space cannot express.

    ``problems`` says one by one, layer by layer, what it cannot; the message holds the
    first few of them.
    """

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class ShapeError(RibosomeError):
    """An op that its input does not fit."""


class UnsupportedOp(RibosomeError):
    """An op, or a value of one of its fields, that a backend has no code for."""


class EmitError(RibosomeError):
    """Text that a backend refuses to write."""


class ReadError(RibosomeError):
    """A network file, or a file of weights, that cannot be read."""


class DataError(RibosomeError):
    """A data folder or a source that cannot be trained on."""


class ConfigError(RibosomeError):
    """A config file or an option that is wrong."""


class RunError(RibosomeError):
    """A run that cannot start, go on or be read."""
