"""Parses our own text with the schema of its flavour: what it does not know is our bug."""

from ribosome.backends.caffe.schema import Flavour
from ribosome.genome.errors import EmitError, ReadError


def check_text(text: str, message: str, flavour: Flavour) -> None:
    """Parse ``text`` as that message of Caffe's. Raises EmitError, naming the field."""
    from ribosome.backends.caffe.prototxt import parse

    try:
        parse(text, message, flavour, path="emitted text")
    except ReadError as error:
        raise EmitError(
            f"{flavour} would not read what was written for it ({error}); "
            "this is a bug of Ribosome: please report it"
        ) from None
