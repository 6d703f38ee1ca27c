"""Parses our own text with the schema of its flavour: what it does not know is our bug."""

from collections.abc import Hashable

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


def check_form(form: Hashable, text: str, message: str, flavour: Flavour) -> None:
    """As `check_text`, once for all texts of a form: they differ in numbers and names."""
    if (form, flavour) not in _CHECKED:
        check_text(text, message, flavour)
        _CHECKED.add((form, flavour))


_CHECKED: set[tuple[Hashable, Flavour]] = set()
