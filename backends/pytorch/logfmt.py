"""One line of a trainer's log: ``event=iteration iteration=50 loss=0.53``.

Logfmt: pairs of key and value, apart by a space. A value with a space, a quote, an equals
sign or a control character in it stands in double quotes, escaped as in JSON.
"""

import json
import re

_PAIR = r'([a-z][a-z0-9_]*)=("(?:[^"\\]|\\.)*"|[^\s"=]*)'
_PAIRS = re.compile(_PAIR)
_LINE = re.compile(rf"{_PAIR}(?: {_PAIR})*")
_PLAIN = re.compile(r"[!#-<>-\[\]-~]+")


def format_line(event: str, **values: str | int | float) -> str:
    """A line for an event, without the newline; nine digits of a float, as in float32."""
    pairs = {"event": event, **values}
    return " ".join(f"{key}={_text(value)}" for key, value in pairs.items())


def parse_line(line: str) -> dict[str, str]:
    """Keys and values of a line; empty for a line that is not wholly logfmt."""
    text = line.strip()
    if not text.startswith("event=") or not _LINE.fullmatch(text):
        return {}
    try:
        return {key: _value(raw) for key, raw in _PAIRS.findall(text)}
    except ValueError:
        return {}


def _text(value: str | int | float) -> str:
    if isinstance(value, float):
        return f"{value:.9g}"
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _value(raw: str) -> str:
    return str(json.loads(raw)) if raw.startswith('"') else raw
