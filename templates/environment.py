"""The one Jinja2 environment that renders every text Ribosome emits."""

import re
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def plain(text: str) -> str:
    """A text from outside as one harmless line: for comments, docstrings and titles.

    Quotes, backslashes, line breaks and control characters become spaces, so that no name
    can end the comment or string that it stands in. A tuned genome is left as it is.
    """
    return re.sub(r"[^\w.,:;+\-()/~ ]", " ", text).strip()[:400]


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The environment: an undefined name is an error, blocks leave no blank lines."""
    made = Environment(
        loader=PackageLoader("ribosome.templates", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # source code, not HTML; `plain` guards its strings
        auto_reload=False,
    )
    made.filters["plain"] = plain
    return made


@lru_cache(maxsize=32)
def template(name: str) -> Template:
    """A compiled template by its file name."""
    return environment().get_template(name)
