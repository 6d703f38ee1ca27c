"""Lines of Python as ruff formats them, and names that Python accepts."""

import keyword
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import isfinite

LINE_LENGTH = 88
_INDENT = " " * 4
_RESERVED = frozenset(
    {
        *("x", "forward", "reset_parameters", "multipliers", "training", "compile"),
        *("add_module", "apply", "bfloat16", "buffers", "call_super_init", "children"),
        *("cpu", "cuda", "double", "dump_patches", "eval", "extra_repr", "float"),
        *("get_buffer", "get_extra_state", "get_parameter", "get_submodule", "half"),
        *("ipu", "load_state_dict", "modules", "mtia", "named_buffers", "parameters"),
        *("named_children", "named_modules", "named_parameters", "register_buffer"),
        *("register_backward_hook", "register_full_backward_hook", "T_destination"),
        *("register_forward_hook", "register_forward_pre_hook"),
        *("register_full_backward_pre_hook", "register_state_dict_pre_hook"),
        *("register_load_state_dict_post_hook", "register_load_state_dict_pre_hook"),
        *("register_state_dict_post_hook", "type", "xpu", "zero_grad"),
        *("register_module", "register_parameter", "set_extra_state"),
        *("set_submodule", "share_memory", "state_dict", "to", "to_empty", "train"),
    }
)
"""Attributes of nn.Module and of ours that a layer must not hide."""


def legal_names(names: Iterable[str]) -> dict[str, str]:
    """A Python identifier of its own for each name; a legal one stays as it is."""
    legal: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        word = unique = _legal(name)
        count = 2
        while unique in taken:
            unique, count = f"{word}_{count}", count + 1
        taken.add(unique)
        legal[name] = unique
    return legal


@lru_cache(maxsize=4096)
def _legal(name: str) -> str:
    word = re.sub(r"[^0-9A-Za-z_]", "_", name)[:40].strip("_") or "layer"
    if word[0].isdigit():
        word = f"layer_{word}"
    return f"{word}_layer" if keyword.iskeyword(word) or word in _RESERVED else word


def number(value: float) -> str:
    """A number as Python reads it back; infinities and NaN have no literal."""
    return repr(value) if isfinite(value) else f'float("{value}")'


def call(head: str, arguments: Sequence[str], *, indent: int) -> list[str]:
    """The lines of ``head(arguments)`` at an indent in characters, without the indent.

    Broken as ruff breaks them: all on one line, else all arguments on the next, else one
    argument a line with a comma behind each.
    """
    joined = ", ".join(arguments)
    line = f"{head}({joined})"
    if indent + len(line) <= LINE_LENGTH:
        return [line]
    if indent + len(_INDENT) + len(joined) <= LINE_LENGTH:
        return [f"{head}(", _INDENT + joined, ")"]
    lines = [f"{head}("]
    for argument in arguments:
        lines += _argument(argument, indent + len(_INDENT))
    return [*lines, ")"]


def _argument(argument: str, indent: int) -> list[str]:
    """One argument on lines of its own; a tuple that is too long is opened."""
    is_tuple = argument.startswith("(") and argument.endswith(")")
    if indent + len(argument) + 1 <= LINE_LENGTH or not is_tuple:
        return [f"{_INDENT}{argument},"]
    items = argument[1:-1].split(", ")
    opened = [f"{_INDENT * 2}{item}," for item in items]
    return [f"{_INDENT}(", *opened, f"{_INDENT}),"]


def chain(head: str, terms: Sequence[str], *, indent: int) -> list[str]:
    """The lines of ``head = terms`` at an indent, each term but the first with its operator.

    Broken as ruff breaks them: all on one line, else in brackets, else a term a line.
    """
    joined = " ".join(terms)
    line = f"{head} = {joined}"
    if indent + len(line) <= LINE_LENGTH:
        return [line]
    if indent + len(_INDENT) + len(joined) <= LINE_LENGTH:
        return [f"{head} = (", _INDENT + joined, ")"]
    return [f"{head} = (", *(_INDENT + term for term in terms), ")"]
