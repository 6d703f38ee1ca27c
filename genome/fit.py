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
from dataclasses import dataclass

from ribosome.genome.parameters import PADS, SAME
from ribosome.genome.space import Allele, Case, Gene, Genes, Group, Space
from ribosome.genome.task import Task

Values = tuple[Allele, ...]
"""What a layer's parameters came to, in the order of its case's genes."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A slot that takes effect: its case and its parameters, in the order of its genes.

    Kernels and strides are numbers here; ``pad`` is the pair (pad_h, pad_w).
    """

    case: str
    values: tuple[Allele | tuple[int, int], ...]


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


def fit(space: Space, genes: Genes, task: Task) -> Plan:
    """The plan of a genome for a task, by the rules above."""
    layers: list[Layer] = []
    map_ = _Map(task.height, task.width)
    for slot in space.slots:
        chosen = genes[slot]
        case = space.groups[slot].cases[chosen[0]]
        if not map_.vanishes(case.name):
            values = _values(case, chosen)
            layers.append(Layer(case.name, map_.take(case.name, values)))
    towers = merge = 0
    settings = []
    for position, group in enumerate(space.groups):
        if space.slots.start <= position < space.slots.stop:
            continue
        case = group.cases[genes[position][0]]
        values = _values(case, genes[position])
        if group.name != "towers":
            settings.append((group.name, case.name, values))
        elif case.name == "cut":
            towers = min(int(values[0]), task.channels)
            merge = min(int(values[1]), len(layers))
    if towers < 2 or merge == 0:
        towers, merge = 1, 0
    return Plan(tuple(layers), towers, merge, tuple(settings))


def express(space: Space, plan: Plan, task: Task) -> Genes | None:
    """The canonical genes of a plan; None where the space cannot express it."""
    slots = _express_slots(
        space, plan.layers, space.slots.start, _Map(task.height, task.width)
    )
    if slots is None:
        return None
    try:
        others = [
            _express_setting(group, plan, task)
            for position, group in enumerate(space.groups)
            if position not in space.slots
        ]
    except KeyError:
        return None
    return (*others[: space.slots.start], *slots, *others[space.slots.start :])


def canonical(space: Space, genes: Genes, task: Task) -> Genes:
    """The one representative of all genomes that mean the same for a task."""
    found = express(space, fit(space, genes, task), task)
    if found is None:
        raise AssertionError("a plan that came from genes has no genes")
    return found


class _Map:
    """What is left of the image on the way through the slots."""

    __slots__ = ("_flat", "_h", "_w")

    def __init__(self, height: int, width: int) -> None:
        self._h, self._w, self._flat = height, width, False

    def copy(self) -> "_Map":
        twin = _Map(self._h, self._w)
        twin._flat = self._flat
        return twin

    def vanishes(self, case: str) -> bool:
        if case == "none":
            return True
        if case in ("inner_product", "batch_norm"):
            return False
        if self._flat:
            return True
        return case in ("pooling", "global_pooling") and self._h == self._w == 1

    def take(
        self, case: str, values: Values
    ) -> tuple[Allele | tuple[int, int], ...]:
        """The parameters as fitted to the map, which becomes the layer's output."""
        if case == "convolution":
            width, kernel_h, kernel_w, stride_h, stride_w, pad, *rest = values
            kernel_h, kernel_w = self._kernel(kernel_h, kernel_w)
            along_h, along_w = PADS[pad]  # type: ignore[index]
            pad_h = along_h * ((kernel_h - 1) // 2)
            pad_w = along_w * ((kernel_w - 1) // 2)
            stride_h = _conv_stride(stride_h, self._h + 2 * pad_h - kernel_h)
            stride_w = stride_h if stride_w == SAME else stride_w
            stride_w = _conv_stride(stride_w, self._w + 2 * pad_w - kernel_w)
            self._h = (self._h + 2 * pad_h - kernel_h) // stride_h + 1
            self._w = (self._w + 2 * pad_w - kernel_w) // stride_w + 1
            pads = (pad_h, pad_w)
            return (width, kernel_h, kernel_w, stride_h, stride_w, pads, *rest)
        if case == "pooling":
            method, kernel_h, kernel_w, stride_h, stride_w, activation = values
            kernel_h, kernel_w = self._kernel(kernel_h, kernel_w)
            stride_h = _pool_stride(stride_h, kernel_h, self._h)
            stride_w = stride_h if stride_w == SAME else stride_w
            stride_w = _pool_stride(stride_w, kernel_w, self._w)
            self._h = -(-(self._h - kernel_h) // stride_h) + 1
            self._w = -(-(self._w - kernel_w) // stride_w) + 1
            return (method, kernel_h, kernel_w, stride_h, stride_w, activation)
        if case == "global_pooling":
            self._h = self._w = 1
        elif case == "inner_product":
            self._flat = True
        return values

    def express(self, gene: Gene, values: dict[str, object], case: str) -> int:
        """The first allele of a kernel, stride or pad gene that `take` fits to its value."""
        value = values[gene.name]
        if gene.name == "pad":
            kernel_h, kernel_w = values["kernel_h"], values["kernel_w"]
            half_h, half_w = (kernel_h - 1) // 2, (kernel_w - 1) // 2  # type: ignore[operator]
            for index, allele in enumerate(gene.alleles):
                along_h, along_w = PADS[allele]  # type: ignore[index]
                if (along_h * half_h, along_w * half_w) == value:
                    return index
            raise KeyError(gene.name)
        axis = gene.name[-1]
        size = self._h if axis == "h" else self._w
        if gene.name.startswith("kernel"):
            fitted = lambda number: min(number, size)  # noqa: E731
        elif case == "pooling":
            kernel = int(values[f"kernel_{axis}"])  # type: ignore[call-overload]
            fitted = lambda number: _pool_stride(number, kernel, size)  # noqa: E731
        else:
            kernel = int(values[f"kernel_{axis}"])  # type: ignore[call-overload]
            pad = values["pad"]["hw".index(axis)]  # type: ignore[index]
            room = size + 2 * pad - kernel
            fitted = lambda number: _conv_stride(number, room)  # noqa: E731
        alleles = gene.alleles
        start = 0
        if alleles[0] == SAME:
            along_h = values[gene.name[:-1] + "h"]
            if fitted(along_h) == value:
                return 0
            start = 1
        if start < len(alleles) and fitted(alleles[start]) == value:
            return start
        exact = gene.position.get(value)  # type: ignore[call-overload]
        if exact is None:
            # `fitted` cuts off what is too much, so the first larger allele does it too.
            exact = bisect_left(alleles, value, lo=start)  # type: ignore[type-var]
        if exact == len(alleles) or fitted(alleles[exact]) != value:
            raise KeyError(gene.name)
        return int(exact)

    def _kernel(self, kernel_h: Allele, kernel_w: Allele) -> tuple[int, int]:
        along_h = min(int(kernel_h), self._h)
        return along_h, min(along_h if kernel_w == SAME else int(kernel_w), self._w)


def _conv_stride(stride: Allele, room: int) -> int:
    return min(int(stride), room + 1)


def _pool_stride(stride: Allele, kernel: int, size: int) -> int:
    return 1 if kernel == size else min(int(stride), kernel)


def _values(case: Case, chosen: tuple[int, ...]) -> Values:
    return tuple(
        [gene.alleles[index] for gene, index in zip(case.genes, chosen[1:], strict=True)]
    )


def _express_slots(
    space: Space, layers: tuple[Layer, ...], slot: int, map_: _Map
) -> list[tuple[int, ...]] | None:
    """The genes of the slots from ``slot`` on: every layer as early as it can stand.

    In a run of like slots the empty ones come last, so the search goes back only where
    slots differ.
    """
    if slot == space.slots.stop:
        return None if layers else []
    group = space.groups[slot]
    if layers:
        after = map_.copy()
        genes = _express_layer(group, layers[0], after)
        if genes is not None:
            rest = _express_slots(space, layers[1:], slot + 1, after)
            if rest is not None:
                return [genes, *rest]
    nothing = _express_nothing(group, map_)
    if nothing is None:
        return None
    stop = next(run.stop for run in space.runs if slot in run)
    rest = _express_slots(space, layers, stop, map_)
    return None if rest is None else [nothing] * (stop - slot) + rest


def _express_layer(group: Group, layer: Layer, map_: _Map) -> tuple[int, ...] | None:
    """The genes of a layer, which ``map_`` takes; None where the group cannot hold it."""
    which = group.which.get(layer.case)
    if which is None or map_.vanishes(layer.case):
        return None
    case = group.cases[which]
    try:
        if layer.case in ("convolution", "pooling"):
            values = dict(zip([g.name for g in case.genes], layer.values, strict=True))
            found = [
                map_.express(gene, values, layer.case)
                if gene.name in _FITTED
                else gene.position[values[gene.name]]  # type: ignore[index]
                for gene in case.genes
            ]
        else:
            found = [
                gene.position[value]  # type: ignore[index]
                for gene, value in zip(case.genes, layer.values, strict=True)
            ]
    except KeyError:
        return None
    map_.take(layer.case, _values(case, (which, *found)))
    return (which, *found)


_FITTED = frozenset({"kernel_h", "kernel_w", "stride_h", "stride_w", "pad"})


def _express_nothing(group: Group, map_: _Map) -> tuple[int, ...] | None:
    for which, case in enumerate(group.cases):
        if map_.vanishes(case.name):
            return (which, *[0] * len(case.genes))
    return None


def _express_setting(group: Group, plan: Plan, task: Task) -> tuple[int, ...]:
    if group.name != "towers":
        name, values = next((c, v) for g, c, v in plan.settings if g == group.name)
        which = group.which[name]
        genes = group.cases[which].genes
        found = [g.position[v] for g, v in zip(genes, values, strict=True)]
        return (which, *found)
    for which, case in enumerate(group.cases):
        if case.name == "one" and plan.towers == 1:
            return (which,)
        if case.name == "cut":
            found = _express_cut(case, plan, task)
            if found is not None:
                return (which, *found)
    raise KeyError(group.name)


def _express_cut(case: Case, plan: Plan, task: Task) -> list[int] | None:
    """The first count and merge that `fit` turns into the plan's."""
    layers = len(plan.layers)
    for i, count in enumerate(case.genes[0].alleles):
        for j, place in enumerate(case.genes[1].alleles):
            towers, merge = min(int(count), task.channels), min(int(place), layers)
            if towers < 2 or merge == 0:
                towers, merge = 1, 0
            if (towers, merge) == (plan.towers, plan.merge):
                return [i, j]
    return None
