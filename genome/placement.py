"""Fills the slots of a space with the parts of a network, as near to them as can be."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ribosome.genome.fit import FLAT, Layer, MapSize, vanishes
from ribosome.genome.nearest_layer import Fitted, nearest_layer
from ribosome.genome.recognise import Part
from ribosome.genome.space import Space


@dataclass(frozen=True, slots=True)
class Placed:
    """A layer in the place of a part, and the map that it stands on."""

    layer: Layer
    left: MapSize


_State = tuple[int, MapSize]
"""How many parts stand, and the map behind them."""

_Cost = tuple[int, int, float]
_Path = tuple[Placed, Any] | None
"""The last layer placed, and the path before it."""
_Way = tuple[_Cost, _Path]
"""What a way to place parts costs, and its path."""

_Ways = dict[_State, _Way]

_KEPT = 4
"""Maps that are followed up for as many layers placed: rounding makes several possible."""


def place(space: Space, parts: Sequence[Part], images: MapSize) -> list[Placed] | None:
    """The cheapest way to fill the slots with all parts, in order; None where there is none.

    Goes through the slots with every number of parts that can stand so far. Of the maps
    that different roundings leave behind as many parts, only the cheapest few are kept;
    a way without roundings is never lost by that, as it is the cheapest.
    """
    ways: _Ways = {(0, images): ((0, 0, 0.0), None)}
    for run in space.runs:
        group = space.groups[run.start]
        fitted: dict[_State, Fitted | str] = {}
        for _ in run:
            after: _Ways = {}
            for (done, left), (cost, path) in ways.items():
                if any(vanishes(case.name, left) for case in group.cases):
                    _keep(after, (done, left), (cost, path))
                if done == len(parts):
                    continue
                found = fitted.get((done, left))
                if found is None:
                    found = nearest_layer(group, parts[done], left)
                    fitted[done, left] = found
                if isinstance(found, Fitted) and not found.problems:
                    total = _add(cost, found.cost)
                    placed = Placed(found.layer, left)
                    _keep(after, (done + 1, found.left), (total, (placed, path)))
            ways = _cheapest(after)
    full = [way for (done, _), way in ways.items() if done == len(parts)]
    if not full:
        return None
    layers: list[Placed] = []
    _, path = min(full, key=_cost)
    while path is not None:
        last, path = path
        layers.append(last)
    layers.reverse()
    return layers


def _cost(way: _Way) -> _Cost:
    return way[0]


def _add(a: _Cost, b: _Cost) -> _Cost:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def _keep(ways: _Ways, state: _State, way: _Way) -> None:
    if state not in ways or way[0] < ways[state][0]:
        ways[state] = way


def _cheapest(ways: _Ways) -> _Ways:
    kept: _Ways = {}
    count: Counter[int] = Counter()
    for state, way in sorted(ways.items(), key=lambda item: item[1][0]):
        count[state[0]] += 1
        if count[state[0]] <= _KEPT:
            kept[state] = way
    return kept


def layers_alone(
    space: Space, parts: Sequence[Part]
) -> tuple[list[Placed | None], list[str]]:
    """Each part as the best slot holds it, wherever that stands, and why none holds it.

    None for a part of a kind that no slot has.
    """
    groups = [space.groups[run.start] for run in space.runs]
    layers: list[Placed | None] = []
    problems: list[str] = []
    for part in parts:
        left = part.source[1:] if len(part.source) == 3 else FLAT
        tries = [nearest_layer(group, part, left) for group in groups]
        held = [found for found in tries if isinstance(found, Fitted)]
        if held:
            best = min(held, key=lambda fitted: (len(fitted.problems), fitted.cost))
            layers.append(Placed(best.layer, left))
            problems += best.problems
        else:
            layers.append(None)
            # A slot that has the kind of layer says more than one that has not.
            telling = max(groups, key=lambda group: part.case in group.which)
            problems.append(str(nearest_layer(telling, part, left)))
    return layers, problems


def in_order(space: Space, parts: Sequence[Part]) -> bool:
    """Whether the slots hold layers of the parts' kinds in their order, whatever the values."""
    counts = {0}
    for slot in space.slots:
        which = space.groups[slot].which
        placed = {n + 1 for n in counts if n < len(parts) and parts[n].case in which}
        counts = placed | (counts if which.keys() - _NEVER_EMPTY else set())
    return len(parts) in counts


_NEVER_EMPTY = {"inner_product", "batch_norm"}


def order_problem(space: Space, parts: Sequence[Part]) -> str:
    """What to say where the slots hold every part, but not all of them in their order."""
    if not parts:
        return "the network: has no layer, where no slot of the space may be empty"
    most = 16
    names = ", ".join(part.case for part in parts[:most])
    if len(parts) > most:
        names += ", ..."
    fits = in_order(space, parts)
    why = " without leaving one empty that may not be" if fits else ""
    return (
        f"{parts[-1].nodes[0].name}: ends {len(parts)} layers that the space's "
        f"{len(space.slots)} slots cannot hold in this order{why}: {names}"
    )
