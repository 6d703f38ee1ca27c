"""Space files at random: slots that differ, and odd lists of alleles."""

import json

from hypothesis import strategies as st

from ribosome.genome.parameters import PADS, SECTIONS, SLOT_CASES, Parameter
from ribosome.genome.space import Space
from ribosome.genome.space_file import parse_space

_POOLS: dict[str, list[object]] = {
    "kernel_h": [1, 2, 3, 4, 5, 7, 8, 9, 30],
    "kernel_w": [1, 2, 3, 4, 5, 7, 8, 9, 30],
    "stride_h": [1, 2, 3, 4, 5, 8, 30],
    "stride_w": [1, 2, 3, 4, 5, 8, 30],
    "pad": list(PADS),
    "method": ["MAX", "AVE"],
    "region": ["ACROSS_CHANNELS", "WITHIN_CHANNEL"],
    "activation": ["none", "relu", "leaky_relu", "elu", "tanh", "sigmoid"],
    "weight_filler": ["xavier", "msra", "positive_unitball", "gaussian(0.00001)"],
    "local_size": [1, 3, 5],
    "count": [2, 3, 4, 64],
    "merge": [1, 2, 3, 9],
    "batch_size": [2, 3, 8],
    "base_lr": [0.001, 0.01, 1],
}
_NUMBERS: list[object] = [0.0, 0.25, 0.5, 0.9]
_WIDTHS: list[object] = [1, 2, 5]
_BOUNDED: list[object] = [0.25, 0.5, 0.9]


def _pool(name: str) -> list[object]:
    if name.startswith("num_"):
        return _WIDTHS
    return _POOLS.get(name, _BOUNDED if name in ("gamma", "fraction") else _NUMBERS)


@st.composite
def _genes(draw: st.DrawFn, parameters: dict[str, Parameter]) -> list[str]:
    """Lines of TOML for some of the parameters of a case."""
    lines = []
    for name, parameter in parameters.items():
        if parameter.default is not None and draw(st.integers(0, 2)) == 0:
            continue
        alleles = draw(
            st.lists(st.sampled_from(_pool(name)), min_size=1, max_size=3, unique=True)
        )
        if parameter.ascending:
            alleles.sort()  # type: ignore[call-overload]
            if name.endswith("_w") and draw(st.booleans()):
                alleles.insert(0, "same")
        lines.append(f"{name} = {json.dumps(alleles)}")
    return lines


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Any small space: up to five kinds of slots, each with cases and alleles of its own."""
    lines = ['name = "any"', "version = 1"]
    for section in ("input", "towers", "solver", "learning_rate", "training"):
        cases = SECTIONS[section]
        if section == "input" or section == "training":
            lines += [f"[{section}]", *draw(_genes(cases[section]))]
            continue
        names = draw(st.sets(st.sampled_from(list(cases)), min_size=1, max_size=2))
        for name in sorted(names):
            lines += [f"[{section}.{name}]", *draw(_genes(cases[name]))]
    for _ in range(draw(st.integers(1, 5))):
        lines += ["[[slot]]", f"repeat = {draw(st.integers(1, 3))}"]
        names = draw(st.sets(st.sampled_from(list(SLOT_CASES)), min_size=1, max_size=4))
        for name in sorted(names):
            lines += [f"[slot.{name}]", *draw(_genes(SLOT_CASES[name]))]
    return parse_space("\n".join(lines), source="any")
