"""Makes every genome fit its task: the rules that turn genes into a plan of layers.

The rules, applied from the first slot to the last; ``h`` and ``w`` are the map's size there:

1. Towers: no more than input channels; cut and merged at once is not cut. ``merge`` counts
   layers that take effect; a merge behind the last of them is behind the last of them.
2. Behind an inner product there is no map: convolution, pooling, global pooling, LRN and
   inception have no effect. Pooling of either kind has none on a 1 x 1 map.
3. A kernel never exceeds its input: kernel_h = min(kernel_h, h). "same" in kernel_w means
   the kernel_h so found, then at most w; in stride_w, the stride_h so found.
4. Padding is (kernel - 1) // 2 of the kernel so found, on the axes that have it.
5. A convolution's stride is at most h + 2 pad - kernel + 1, which leaves one value; a
   pooling's is at most its kernel, and 1 where the kernel covers the axis.
6. Slots without effect vanish: the others close ranks and are numbered from 1.

Two genomes with the same plan decode to the same network and solver; `canonical` gives the
one representative of all of them, by the first allele of each gene that leads to the plan.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import getitem
from typing import Any, TypeVar

from ribosome.genome.parameters import PADS, SAME
from ribosome.genome.space import Allele, Case, Genes, Group, Space
from ribosome.genome.task import Task

_T = TypeVar("_T")

Values = tuple[Any, ...]
"""What a case's parameters came to, in the order of its genes."""

MapSize = tuple[int, int]
"""Height and width of what is left of the image; (0, 0) behind an inner product."""

FLAT: MapSize = (0, 0)
_CACHE = 4096
"""Layers that are kept as fitted: a child shares most of its slots with a parent."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A slot that takes effect: its case and its parameters, in the order of its genes.

    Kernels and strides are numbers here; ``pad`` is the pair (pad_h, pad_w).
    """

    case: str
    values: Values


@dataclass(frozen=True, slots=True)
class Plan:
    """A genome as fitted to a task: what decode builds and canonical writes down.

    ``towers`` and ``merge`` are 1 and 0 where nothing is cut. ``settings`` holds the
    case and the parameters of every group that is no slot, by the group's name.
    """

    layers: tuple[Layer, ...]
    towers: int
    merge: int
    settings: tuple[tuple[str, str, Values], ...]


def fit(space: Space, genes: Genes, task: Task) -> tuple[Plan, Genes]:
    """The plan of a genome for a task, by the rules above, and its canonical genes."""
    layers, slots = _fit_slots(space, genes, task)
    towers, settings = (1, 0), []
    for position, group in zip(space.settings, space.other_groups, strict=True):
        if group.name == "towers":
            towers, _ = _fit_towers(group, genes[position], len(layers), task.channels)
        else:
            settings.append(_setting(group, genes[position]))
    plan = Plan(tuple(layers), *towers, tuple(settings))
    return plan, _with_slots(space, genes, slots, len(layers), task)


def express(space: Space, plan: Plan, task: Task) -> Genes | None:
    """The canonical genes of a plan; None where the space cannot express it."""
    first = space.slots.start
    left = (task.height, task.width)
    slots = _express_slots(space, plan.layers, first, left, set())
    if slots is None:
        return None
    try:
        settings = {group: (case, values) for group, case, values in plan.settings}
        others = [
            express_towers(group, plan, task)
            if group.name == "towers"
            else _express_setting(group, *settings[group.name])
            for group in space.other_groups
        ]
    except KeyError:
        return None
    return (*others[:first], *slots, *others[first:])


def canonical(space: Space, genes: Genes, task: Task) -> Genes:
    """The one representative of all genomes that mean the same for a task."""
    layers, slots = _fit_slots(space, genes, task)
    return _with_slots(space, genes, slots, len(layers), task)


def vanishes(case: str, left: MapSize) -> bool:
    """Whether a slot of that case has no effect on a map of that size."""
    if case == "none":
        return True
    if case in ("inner_product", "batch_norm"):
        return False
    return left == FLAT or (case in ("pooling", "global_pooling") and left == (1, 1))


def _with_slots(
    space: Space, genes: Genes, slots: list[tuple[int, ...]], layers: int, task: Task
) -> Genes:
    """Canonical genes. Outside of slots and towers no two alleles mean the same."""
    start, stop = space.slots.start, space.slots.stop
    written = [*genes[:start], *slots, *genes[stop:]]
    cut = space.index.get("towers")
    if cut is not None:
        group, chosen = space.groups[cut], genes[cut]
        _, written[cut] = _fit_towers(group, chosen, layers, task.channels)
    return tuple(written)


def _fit_slots(
    space: Space, genes: Genes, task: Task
) -> tuple[list[Layer], list[tuple[int, ...]]]:
    """The layers of a genome, and the canonical genes of all of its slots."""
    layers: list[Layer] = []
    slots: list[tuple[int, ...]] = []
    images = left = (task.height, task.width)
    start, stop = space.slots.start, space.slots.stop
    for group, chosen in zip(space.slot_groups, genes[start:stop], strict=True):
        key = group, chosen, left
        layer, left, written = _FITTED.get(key) or _fit_slot(*key)
        if layer is not None:
            layers.append(layer)
            slots.append(written)
    empty = stop - start - len(slots)
    if empty and len(space.runs) > 1:
        found = _express_slots(space, tuple(layers), start, images, set())
        return layers, _expressed(found)
    # The layers in order, then empty slots: what `_express_slots` finds, without a search.
    if empty:
        slots += [_expressed(_express_nothing(space.slot_groups[0], left))] * empty
    return layers, slots


_Fitted = tuple[Layer | None, MapSize, tuple[int, ...]]
"""A slot's layer, None where it vanishes, the map behind it, and its canonical genes."""

_FITTED: dict[tuple[Group, tuple[int, ...], MapSize], _Fitted] = {}
"""Slots that are kept as fitted; a plain dictionary, for an lru_cache takes twice as long."""


def _fit_slot(group: Group, chosen: tuple[int, ...], left: MapSize) -> _Fitted:
    case = group.cases[chosen[0]]
    if vanishes(case.name, left):
        fitted: _Fitted = None, left, ()
    else:
        layer, after = fit_layer(case, chosen, left)
        written = chosen
        if case.name in ("convolution", "pooling"):
            written = _expressed(_express_layer(group, layer, left))
        fitted = layer, after, written
    if len(_FITTED) >= _CACHE:
        _FITTED.clear()
    _FITTED[group, chosen, left] = fitted
    return fitted


def fit_layer(
    case: Case, chosen: tuple[int, ...], left: MapSize
) -> tuple[Layer, MapSize]:
    """A slot's layer as fitted to the map, and the map behind it."""
    values = _values(case, chosen)
    if case.name == "convolution":
        return _fit_convolution(values, left)
    if case.name == "pooling":
        return _fit_pooling(values, left)
    if case.name == "global_pooling":
        left = (1, 1)
    elif case.name == "inner_product":
        left = FLAT
    return Layer(case.name, values), left


def _fit_convolution(values: Values, left: MapSize) -> tuple[Layer, MapSize]:
    width, kernel_h, kernel_w, stride_h, stride_w, pad, *rest = values
    k_h, k_w = _fit_kernel(kernel_h, kernel_w, left)
    along_h, along_w = PADS[str(pad)]
    pads = (along_h * ((k_h - 1) // 2), along_w * ((k_w - 1) // 2))
    room_h = left[0] + 2 * pads[0] - k_h
    room_w = left[1] + 2 * pads[1] - k_w
    s_h = min(int(stride_h), room_h + 1)
    s_w = min(s_h if stride_w == SAME else int(stride_w), room_w + 1)
    layer = Layer("convolution", (width, k_h, k_w, s_h, s_w, pads, *rest))
    return layer, (room_h // s_h + 1, room_w // s_w + 1)


def _fit_pooling(values: Values, left: MapSize) -> tuple[Layer, MapSize]:
    method, kernel_h, kernel_w, stride_h, stride_w, activation = values
    k_h, k_w = _fit_kernel(kernel_h, kernel_w, left)
    s_h = min(int(stride_h), _most_pooling_stride(k_h, left[0]))
    s_w = s_h if stride_w == SAME else int(stride_w)
    s_w = min(s_w, _most_pooling_stride(k_w, left[1]))
    layer = Layer("pooling", (method, k_h, k_w, s_h, s_w, activation))
    return layer, (-(-(left[0] - k_h) // s_h) + 1, -(-(left[1] - k_w) // s_w) + 1)


def _fit_kernel(kernel_h: Allele, kernel_w: Allele, left: MapSize) -> tuple[int, int]:
    k_h = min(int(kernel_h), left[0])
    return k_h, min(k_h if kernel_w == SAME else int(kernel_w), left[1])


def _most_pooling_stride(kernel: int, size: int) -> int:
    return 1 if kernel == size else kernel


@lru_cache(maxsize=_CACHE)
def _fit_towers(
    group: Group, chosen: tuple[int, ...], layers: int, channels: int
) -> tuple[tuple[int, int], tuple[int, ...]]:
    """Towers and the layer that they merge behind; and the canonical genes for that."""
    case = group.cases[chosen[0]]
    cut = (1, 0)
    if case.name == "cut":
        cut = _cut(_values(case, chosen), layers, channels)
    return cut, _express_towers(group, cut, layers, channels)


def _cut(values: Sequence[Allele], layers: int, channels: int) -> tuple[int, int]:
    """Towers and the layer that they merge behind: (1, 0) where nothing is cut."""
    towers, merge = min(int(values[0]), channels), min(int(values[1]), layers)
    return (towers, merge) if towers > 1 and merge > 0 else (1, 0)


@lru_cache(maxsize=_CACHE)
def _setting(group: Group, chosen: tuple[int, ...]) -> tuple[str, str, Values]:
    """A group that is no slot: its name, case and parameters."""
    case = group.cases[chosen[0]]
    return group.name, case.name, _values(case, chosen)


def _values(case: Case, chosen: tuple[int, ...]) -> Values:
    return tuple(map(getitem, case.alleles, chosen[1:]))


def _expressed(found: _T | None) -> _T:
    if found is None:
        raise AssertionError("a plan that came from genes has no genes")
    return found


def _express_slots(
    space: Space,
    layers: tuple[Layer, ...],
    slot: int,
    left: MapSize,
    dead_ends: set[tuple[int, int]],
) -> list[tuple[int, ...]] | None:
    """The genes of the slots from ``slot`` on: every layer as early as it can stand.

    In a run of like slots the empty ones come last, so the search goes back only where
    slots differ. It goes no way twice: ``dead_ends`` holds the slots, and how many layers
    were to stand from there on, for which there is none. The map is the same each time.
    """
    if slot == space.slots.stop:
        return None if layers else []
    if dead_ends and (slot, len(layers)) in dead_ends:
        return None
    group = space.slot_groups[slot - space.slots.start]
    if layers:
        found = _express_in(group, layers[0], left)
        if found is not None:
            genes, after = found
            rest = _express_slots(space, layers[1:], slot + 1, after, dead_ends)
            if rest is not None:
                return [genes, *rest]
    nothing = _express_nothing(group, left)
    if nothing is not None:
        stop = space.run_stop[slot]
        rest = _express_slots(space, layers, stop, left, dead_ends)
        if rest is not None:
            return [nothing] * (stop - slot) + rest
    dead_ends.add((slot, len(layers)))
    return None


@lru_cache(maxsize=_CACHE)
def _express_in(
    group: Group, layer: Layer, left: MapSize
) -> tuple[tuple[int, ...], MapSize] | None:
    """As `_express_layer`, and the map behind the layer."""
    genes = _express_layer(group, layer, left)
    if genes is None:
        return None
    return genes, fit_layer(group.cases[genes[0]], genes, left)[1]


def _express_layer(group: Group, layer: Layer, left: MapSize) -> tuple[int, ...] | None:
    """A layer's genes; None where the group cannot hold it."""
    which = group.which.get(layer.case)
    if which is None or vanishes(layer.case, left):
        return None
    case = group.cases[which]
    found = [
        gene.position.get(value, -1)
        for gene, value in zip(case.genes, layer.values, strict=True)
    ]
    if layer.case in ("convolution", "pooling"):
        _express_window(case, layer, left, found)
    return None if -1 in found else (which, *found)


def _express_window(case: Case, layer: Layer, left: MapSize, found: list[int]) -> None:
    """Put the alleles that `fit_layer` fits to a layer's kernels, strides and padding.

    They stand in places 1 to 4 of both cases, kernel_h, kernel_w, stride_h, stride_w,
    and the padding in place 5. Where no allele does it, -1 stays.
    """
    values = layer.values
    for axis in (0, 1):
        kernel = values[1 + axis]
        found[1 + axis] = _express_size(case, values, found, 1 + axis, left[axis])
        if layer.case == "pooling":
            most = _most_pooling_stride(kernel, left[axis])
        else:
            most = left[axis] + 2 * values[5][axis] - kernel + 1
        found[3 + axis] = _express_size(case, values, found, 3 + axis, most)
    if layer.case == "convolution":
        halves = ((values[1] - 1) // 2, (values[2] - 1) // 2)
        for index, allele in enumerate(case.genes[5].alleles):
            along_h, along_w = PADS[str(allele)]
            if (along_h * halves[0], along_w * halves[1]) == values[5]:
                found[5] = index
                break


def _express_size(
    case: Case, values: Sequence[int], found: Sequence[int], place: int, most: int
) -> int:
    """The allele of a kernel or stride that may be at most ``most``; -1 for none."""
    alleles, value = case.genes[place].alleles, values[place]
    words = alleles[0] == SAME
    if words and value == min(values[place - 1], most):
        return 0
    if found[place] == -1 and value == most:
        # `fit_layer` cuts off what is too much, so the first larger allele does it too.
        larger = bisect_left(alleles, value, lo=int(words))
        return larger if larger < len(alleles) else -1
    return found[place] if value <= most else -1


@lru_cache(maxsize=_CACHE)
def _express_nothing(group: Group, left: MapSize) -> tuple[int, ...] | None:
    for which, case in enumerate(group.cases):
        if vanishes(case.name, left):
            return (which, *[0] * len(case.genes))
    return None


def _express_setting(group: Group, case: str, values: Values) -> tuple[int, ...]:
    """The alleles of a group that is no slot. KeyError where one is missing."""
    which = group.which[case]
    genes = group.cases[which].genes
    found = [gene.position[value] for gene, value in zip(genes, values, strict=True)]
    return (which, *found)


def express_towers(group: Group, plan: Plan, task: Task) -> tuple[int, ...]:
    """The first case, count and merge that `fit` turns into the plan's. KeyError: none."""
    cut = plan.towers, plan.merge
    return _express_towers(group, cut, len(plan.layers), task.channels)


def _express_towers(
    group: Group, wanted: tuple[int, int], layers: int, channels: int
) -> tuple[int, ...]:
    for which, case in enumerate(group.cases):
        if case.name == "one":
            if wanted[0] == 1:
                return (which,)
            continue
        counts, places = (gene.alleles for gene in case.genes)
        for i, count in enumerate(counts):
            for j, place in enumerate(places):
                if _cut((count, place), layers, channels) == wanted:
                    return (which, i, j)
    raise KeyError(group.name)
