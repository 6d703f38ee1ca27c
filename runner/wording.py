"""What msgspec finds wrong with a value, in the words of who writes a TOML file."""

import re
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a string in quotes",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}
_NONE: Mapping[str, str] = MappingProxyType({})


def plainly(
    error: msgspec.ValidationError, phrases: Mapping[str, str] = _NONE
) -> tuple[str, str]:
    """What was expected and where: ("expected a whole number >= 2", "search.population").

    ``phrases`` are words for whole phrases of msgspec's, as for one kind of string.
    """
    what, _, place = str(error).partition(" - at `$.")
    for phrase, words in phrases.items():
        what = what.replace(phrase, words)
    what = what.partition(", got")[0].replace("Expected", "expected")
    what = re.sub(r"`(\w+)`", lambda name: _WORDS.get(name[1], name[1]), what)
    return what, place.rstrip("`")
