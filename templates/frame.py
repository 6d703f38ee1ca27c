"""Templates of which most is the same each time: rendered once, then filled.

A search writes thousands of files that differ in a genome, a few numbers and a list of
layers. Rendering them whole would take most of the time.
"""

from collections.abc import Mapping
from typing import Any

from ribosome.templates.environment import template

_MARK = "\x00"


class Frame:
    """A rendered template with places in it; `fill` gives the text."""

    def __init__(self, rendered: str) -> None:
        # Every second part is the name of a place.
        self._parts = rendered.split(_MARK)

    def fill(self, texts: Mapping[str, str]) -> str:
        """The text with every place filled. Raises KeyError for one without a text."""
        filled = self._parts.copy()
        filled[1::2] = [texts[name] for name in filled[1::2]]
        return "".join(filled)


def frame(name: str, **values: Any) -> Frame:
    """The frame of a template: in it, ``{{ place("layers") }}`` is a place."""
    return Frame(template(name).render(**values, place=_place))


def _place(name: str) -> str:
    return f"{_MARK}{name}{_MARK}"
