"""Reads a space file (TOML) into a Space.

::

    name = "menndl"
    version = 1
    [input]
    jitter = [0.0, 0.01]
    [[slot]]
    repeat = 13
    [slot.convolution]
    weight = 3.0                                    # of the case, when drawn at random
    num_output = { range = [1, 128], power = -1 }   # weight of an allele: value^power
    kernel_h = { alleles = [1, 3, 5], weights = [1, 4, 2] }
    stride_h = [1, 2]
    [solver.SGD]
    base_lr = [0.01, 0.1]

`ribosome.genome.parameters` lists the sections, cases and parameters. A parameter with one
allele costs no bits.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import NoReturn

from ribosome.genome.errors import SpaceError
from ribosome.genome.harmless import harmless
from ribosome.genome.parameters import SECTIONS, SLOT_CASES, Parameter
from ribosome.genome.space import Allele, Case, Gene, Group, Space
from ribosome.genome.toml import parse_toml, read_text

_NAME = "abcdefghijklmnopqrstuvwxyz0123456789_"
_MOST_SLOTS = 256
_MOST_ALLELES = 65536
_MOST_POWER = 10_000
_MOST_WEIGHT = 1e100  # so that their sum is finite


def shipped_spaces() -> tuple[str, ...]:
    """The names of the spaces that come with Ribosome."""
    files = resources.files("ribosome.genome.spaces").iterdir()
    return tuple(
        sorted(file.name[:-5] for file in files if file.name.endswith(".toml"))
    )


@lru_cache(maxsize=32)
def load_space(name_or_path: str) -> Space:
    """The space of a shipped name or of a path to a space file.

    Raises SpaceError, with file and place, for anything that a space file may not say.
    """
    names = shipped_spaces()
    if name_or_path in names:
        file = resources.files("ribosome.genome.spaces") / f"{name_or_path}.toml"
        return parse_space(file.read_text(encoding="utf-8"), source=name_or_path)
    path = Path(name_or_path)
    if path.suffix != ".toml" and "/" not in name_or_path:
        near = get_close_matches(name_or_path, names, n=1)
        hint = f"did you mean {near[0]}?" if near else "or give a path ending in .toml"
        raise SpaceError(
            f"no space is called {name_or_path!r}: there are {', '.join(names)}; {hint}"
        )
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise SpaceError(f"cannot read the space file {path}: {error}") from None
    return parse_space(text, source=str(path))


def parse_space(text: str, *, source: str) -> Space:
    """The space that a TOML text describes; ``source`` names it in errors."""
    try:
        document = parse_toml(text)
    except ValueError as error:  # also a number with too many digits
        raise SpaceError(f"space file {source}: not valid TOML: {error}") from None
    return _Reader(source).space(document)


class _Reader:
    """Turns a parsed document into a Space; every error carries the source."""

    def __init__(self, source: str) -> None:
        self._source = source

    def space(self, document: Mapping[str, object]) -> Space:
        self._known(
            document,
            ["name", "version", "description", "slot", *SECTIONS],
            "at the top",
        )
        name, version = document.get("name"), document.get("version")
        if not (isinstance(name, str) and name and set(name) <= set(_NAME)):
            self._fail("name must be of lower-case letters, digits and _")
        if not name[0].isalpha():
            self._fail("name must begin with a letter")
        if type(version) is not int or not 1 <= version <= 999999:
            self._fail("version must be a whole number from 1 to 999999")
        groups = [
            self._section(section, document[section])
            for section in ("input", "towers")
            if section in document
        ]
        first = len(groups)
        runs: list[range] = []
        for place, table in enumerate(self._slots(document), start=1):
            start = len(groups)
            groups += self._run(place, table, number=start - first)
            runs.append(range(start, len(groups)))
        slots = range(first, len(groups))
        if len(slots) > _MOST_SLOTS:
            self._fail(f"has {len(slots)} slots; {_MOST_SLOTS} are the most")
        for section in ("solver", "training"):
            if section not in document:
                self._fail(f"[{section}] is missing: add it, as in the shipped spaces")
        rate = document.get("learning_rate", {"fixed": {}})
        groups.append(self._section("solver", document["solver"]))
        groups.append(self._section("learning_rate", rate))
        groups.append(self._section("training", document["training"]))
        description = " ".join(str(document.get("description", "")).split())
        return Space(
            name=name,
            version=version,
            groups=tuple(groups),
            slots=slots,
            runs=tuple(runs),
            description=harmless(description),
        )

    def _slots(self, document: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
        slots = document.get("slot")
        if not (
            isinstance(slots, list)
            and slots
            and all(isinstance(slot, dict) for slot in slots)
        ):
            self._fail("has no [[slot]]: a space needs at least one")
        return slots

    def _run(
        self, place: int, table: Mapping[str, object], *, number: int
    ) -> list[Group]:
        where = f"[[slot]] number {place}"
        self._known(table, ["repeat", *SLOT_CASES], f"in {where}")
        repeat = table.get("repeat", 1)
        if type(repeat) is not int or not 1 <= repeat <= _MOST_SLOTS:
            self._fail(
                f"{where}: repeat must be a whole number from 1 to {_MOST_SLOTS}"
            )
        given = {key: value for key, value in table.items() if key != "repeat"}
        cases = self._cases(SLOT_CASES, given, where)
        return [Group(f"slot {number + i}", cases) for i in range(1, repeat + 1)]

    def _section(self, section: str, table: object) -> Group:
        known = SECTIONS[section]
        where = f"[{section}]"
        if not isinstance(table, dict):
            self._fail(f"{where} must be a table")
        if list(known) == [section]:
            table = {section: table}
            return Group(section, self._cases(known, table, where))
        self._known(table, list(known), f"in {where}")
        return Group(section, self._cases(known, table, where))

    def _cases(
        self,
        known: Mapping[str, Mapping[str, Parameter]],
        given: Mapping[str, object],
        where: str,
    ) -> tuple[Case, ...]:
        cases: list[Case] = []
        for name, parameters in known.items():
            if name not in given:
                continue
            table = given[name]
            place = where if f"[{name}]" == where else f"{where}, {name}"
            if not isinstance(table, dict):
                self._fail(f"{place} must be a table")
            self._known(table, ["weight", *parameters], f"in {place}")
            weight = table.get("weight", 1.0)
            if not _is_weight(weight):
                self._fail(f"{place}: weight must be a positive number")
            genes = tuple(
                self._gene(parameter, spec, table, place)
                for parameter, spec in parameters.items()
            )
            cases.append(Case(name, genes, float(weight)))
        if not cases:
            self._fail(f"{where} is empty: give it one of {', '.join(known)}")
        return tuple(cases)

    def _gene(
        self, name: str, spec: Parameter, table: Mapping[str, object], where: str
    ) -> Gene:
        place = f"{where}: {name}"
        if name not in table:
            if spec.default is None:
                self._fail(
                    f"{place} is missing: give its alleles, as in {name} = [...]"
                )
            return Gene(name, (spec.default,), (1.0,))
        given = table[name]
        fields = given if isinstance(given, dict) else {"alleles": given}
        self._known(fields, ["alleles", "range", "weights", "power"], f"in {place}")
        alleles = self._alleles(fields, place)
        for allele in alleles:
            if type(allele) not in (int, float, str) or not spec.check(allele):
                self._fail(f"{place}: {allele!r} is not {spec.wants}")
        seen: set[Allele] = set()
        for allele in alleles:
            if allele in seen:
                self._fail(f"{place}: the allele {allele!r} stands twice; remove one")
            seen.add(allele)
        if spec.ascending:
            numbers = [a for a in alleles if not isinstance(a, str)]
            if numbers != sorted(numbers) or any(
                isinstance(a, str) for a in alleles[1:]
            ):
                self._fail(
                    f"{place}: write the alleles in ascending order, words first"
                )
        return Gene(name, alleles, self._weights(fields, alleles, place))

    def _alleles(self, fields: Mapping[str, object], place: str) -> tuple[Allele, ...]:
        if ("alleles" in fields) == ("range" in fields):
            self._fail(f"{place}: give either alleles or range")
        if "range" in fields:
            ends = fields["range"]
            if not (
                isinstance(ends, list)
                and len(ends) == 2
                and all(type(end) is int for end in ends)
                and 0 <= ends[1] - ends[0] < _MOST_ALLELES
            ):
                self._fail(f"{place}: range must be two whole numbers, first to last")
            return tuple(range(ends[0], ends[1] + 1))
        alleles = fields["alleles"]
        if not isinstance(alleles, list):
            self._fail(f"{place} must be a list of alleles, or a table with one")
        if not alleles:
            self._fail(f"{place}: the list of alleles is empty; give at least one")
        if len(alleles) > _MOST_ALLELES:
            self._fail(f"{place}: has more than {_MOST_ALLELES} alleles")
        return tuple(alleles)

    def _weights(
        self, fields: Mapping[str, object], alleles: tuple[Allele, ...], place: str
    ) -> tuple[float, ...]:
        if "weights" in fields:
            weights = fields["weights"]
            if not (
                "power" not in fields
                and isinstance(weights, list)
                and len(weights) == len(alleles)
                and all(_is_weight(weight) for weight in weights)
            ):
                self._fail(
                    f"{place}: weights must be {len(alleles)} positive numbers, one for "
                    "each allele, and no power beside them"
                )
            return tuple(float(weight) for weight in weights)
        power = fields.get("power", 0)
        if type(power) not in (int, float) or not abs(power) <= _MOST_POWER:  # type: ignore[arg-type]
            self._fail(f"{place}: power must be a number of at most {_MOST_POWER}")
        if power == 0:
            return (1.0,) * len(alleles)
        if any(isinstance(a, str) or a <= 0 for a in alleles):
            self._fail(f"{place}: power needs alleles that are positive numbers")
        largest = max(float(a) for a in alleles)
        try:
            powers = tuple((float(a) / largest) ** float(power) for a in alleles)  # type: ignore[arg-type]
        except OverflowError:
            powers = ()
        if not powers or not all(_is_weight(weight) for weight in powers):
            self._fail(f"{place}: power {power} leaves no weight to some alleles")
        return powers

    def _known(
        self, table: Mapping[str, object], known: Sequence[str], where: str
    ) -> None:
        for key in table:
            if key not in known:
                folded = {name.lower(): name for name in known}
                near = [folded[k] for k in get_close_matches(key.lower(), folded, n=1)]
                hint = (
                    f"did you mean {near[0]!r}?"
                    if near
                    else "known: " + ", ".join(known)
                )
                self._fail(f"unknown key {key!r} {where}; {hint}")

    def _fail(self, what: str) -> NoReturn:
        raise SpaceError(f"space file {self._source}: {what}")


def _is_weight(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 < value <= _MOST_WEIGHT
    )
