"""Texts that break out of whatever they are put into, if anything lets them."""

from hypothesis import strategies as st

NASTY = (
    'x"""\nimport os\nos.system("id")\n"""',
    "x'''\nraise SystemExit\n'''",
    'x"\n}\nlayer { type: "Python" python_param { module: "os" layer: "system" } }',
    "x\\",
    'x\\"; import os #',
    "x\nimport os",
    "x\rimport os",
    "x\u2028import os",
    "x\u2029import os",
    "x\u0085import os",
    "x\x0cimport os",
    "x\x0bimport os",
    "\u202egnitsil\u2066",
    "\x1b]0;owned\x07\x1b[2J",
    "\x9b31m",
    "\x00layers\x00",
    "\x00",
    "{{ 7 * 7 }}{% raw %}{#",
    "%(name)s %s %n",
    "$(id) `id` ; id | id & id > x < y && id",
    "--help",
    "../../../etc/passwd",
    "/etc/passwd",
    "~root",
    "```\n# A heading\n```python\nimport os\n",
    "[x](javascript:alert(1)) <script>alert(1)</script>",
    "__class__",
    "__init__",
    "__import__('os').system('id')",
    "class",
    "None",
    "self",
    "forward",
    "ｆｏｒｗａｒｄ",
    "torch",
    "nn",
    "super",
    "x",
    "1/0",
    "[red]x[/red][/]",
    " ",
    "a" * 2000,
)
"""Each has been an attack on some program."""

HARMFUL = "\x00\x07\x0b\x0c\r\x1b\x85\x9b\u2028\u2029\u202a\u202e\u2066\u061c"
"""Letters that never stand in a text that we write."""


def texts() -> st.SearchStrategy[str]:
    """Any text that can stand in a UTF-8 file, nasty ones often."""
    drawn = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60)
    pair = st.tuples(st.sampled_from(NASTY), drawn).map("".join)
    return st.one_of(st.sampled_from(NASTY), drawn, pair)
