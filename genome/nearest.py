"""Model to the genes of the nearest network that a space has, with every rounding listed.

Layers stay what they are, and their order: only values are rounded. What a space has no
place for at all (a fork, a function, an order of layers, towers of another number) is an
EncodeError with every such thing in it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from ribosome.genome.decode import borders, head, solver_of
from ribosome.genome.errors import EncodeError
from ribosome.genome.fit import (
    Layer,
    Plan,
    Values,
    express,
    express_towers,
)
from ribosome.genome.nearest_layer import nearest_number
from ribosome.genome.network import Model, Node
from ribosome.genome.ops import InnerProduct, Jitter, Slice
from ribosome.genome.parameters import SECTIONS
from ribosome.genome.placement import (
    Placed,
    in_order,
    layers_alone,
    order_problem,
    place,
)
from ribosome.genome.recognise import Draft, recognise
from ribosome.genome.rounding import (
    Rounding,
    op_roundings,
    part_roundings,
    solver_roundings,
)
from ribosome.genome.solver import Solver
from ribosome.genome.space import Allele, Genes, Group, Space
from ribosome.genome.task import Task

Setting = tuple[str, str, Values]
"""A group that is no slot: its name, its case and its values."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """Canonical genes, and all that the network they decode to has another value for."""

    genes: Genes
    roundings: tuple[Rounding, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """What a space has for a model: genes None where ``problems`` are in the way."""

    genes: Genes | None
    roundings: tuple[Rounding, ...]
    problems: tuple[str, ...]


def nearest(space: Space, model: Model, task: Task) -> Nearest:
    """The nearest genes to a model for a task; without roundings where they are exact.

    Raises EncodeError where the space has no place for a layer; ``problems`` lists them.
    """
    found = survey(space, model, recognise(model.network), task)
    if found.genes is None:
        raise refusal(space, found.problems)
    return Nearest(found.genes, found.roundings)


def refusal(space: Space, problems: tuple[str, ...]) -> EncodeError:
    """The error that says what of a network a space cannot express."""
    most = 4
    first = "; ".join(problems[:most])
    more = f"; and {len(problems) - most} more" if len(problems) > most else ""
    return EncodeError(
        f"space {space.name} {space.version} cannot express the network: {first}{more}",
        problems,
    )


def wanted_settings(
    space: Space, solver: Solver, jitter: Node | None
) -> tuple[Setting, ...]:
    """What a solver, and a jitter where the space has one, want of the groups' genes."""
    rate = solver.learning_rate
    settings: list[Setting] = [
        (group, case, tuple([getattr(source, name) for name in SECTIONS[group][case]]))
        for group, case, source in (
            ("solver", solver.type, solver),
            ("learning_rate", rate.policy, rate),
            ("training", "training", solver),
        )
    ]
    if "input" in space.index:
        std = jitter.op.std if jitter and isinstance(jitter.op, Jitter) else 0.0
        settings.append(("input", "input", (std,)))
    return tuple(settings)


def survey(space: Space, model: Model, draft: Draft, task: Task) -> Survey:
    """Places every part of a draft where the space holds it best; says what it cannot.

    Where the slots cannot hold all of them, the roundings are those of each by itself.
    Raises EncodeError for a network that takes other images than the task's.
    """
    if draft.images.shape != task.shape:
        raise EncodeError(
            f"the network takes {draft.images.shape} images, the task {task.name} has "
            f"{task.shape}; give the task that the network was made for"
        )
    problems = [*draft.problems, *_edge_problems(space, draft, task)]
    roundings: list[Rounding] = []
    settings = _settings(space, model.solver, draft.jitter, problems)
    if settings is not None:
        roundings += _jitter_roundings(draft, settings)
    placed = place(space, draft.parts, (task.height, task.width))
    layers: Sequence[Placed | None] | None = placed
    if layers is None:
        layers, why = layers_alone(space, draft.parts)
        problems += why
        if not (why or draft.problems) or not in_order(space, draft.parts):
            problems.append(order_problem(space, draft.parts))
    pairs = [zip(tower, layers, strict=False) for tower in draft.towers]
    pairs.append(zip(draft.trunk, layers[draft.merge :], strict=True))
    for part, best in chain.from_iterable(pairs):
        if best is not None:
            roundings += part_roundings(part, best.layer, best.left)
    if draft.head is not None:
        roundings += op_roundings(draft.head.name, draft.head.op, head(task))
    if settings is not None:
        roundings += solver_roundings(model.solver, solver_of(settings))
    genes = None
    if placed is not None and settings is not None and not problems:
        fitted = tuple([best.layer for best in placed])
        plan = Plan(fitted, max(1, len(draft.towers)), draft.merge, settings)
        genes = express(space, plan, task)
        if genes is None:
            raise AssertionError("layers and settings of a space have no genes in it")
    return Survey(genes, tuple(roundings), tuple(problems))


def _edge_problems(space: Space, draft: Draft, task: Task) -> Iterator[str]:
    """What is wrong with the cut of the image and with the number of classes."""
    wanted = borders(task.channels, max(1, len(draft.slices)))
    for node, border in zip(draft.slices, wanted, strict=False):
        if node.op != Slice(*border):
            yield (
                f"{node.name}: is {node.op}; the space cuts {task.channels} channels into "
                f"{len(draft.slices)} towers at {Slice(*border)}"
            )
    cut = space.index.get("towers")
    parts = (Layer("", ()),) * len(draft.parts)
    plan = Plan(parts, max(1, len(draft.towers)), draft.merge, ())
    if cut is None:
        if draft.slices:
            yield f"{draft.slices[0].name}: the space does not cut the image into towers"
    elif len(draft.slices) == len(draft.towers):
        try:
            express_towers(space.groups[cut], plan, task)
        except KeyError:
            where = (draft.join or draft.images).name
            yield (
                f"{where}: {plan.towers} towers joined behind layer {plan.merge} of "
                f"{len(draft.parts)}; the space has {_cuts(space.groups[cut])}"
            )
    op = draft.head.op if draft.head is not None else None
    if isinstance(op, InnerProduct) and op.num_output != task.classes:
        yield (
            f"{draft.head.name if draft.head else ''}: num_output = {op.num_output}, the "
            f"task {task.name} has {task.classes} classes; give the task that the network "
            "was made for"
        )


def _cuts(group: Group) -> str:
    cuts = []
    for case in group.cases:
        if case.name == "one":
            cuts.append("one tower")
            continue
        counts, places = (", ".join(map(str, gene.alleles)) for gene in case.genes)
        cuts.append(f"{counts} towers joined behind layer {places}")
    return ", or ".join(cuts)


def _settings(
    space: Space, solver: Solver, jitter: Node | None, problems: list[str]
) -> tuple[Setting, ...] | None:
    """The nearest settings; None, and a problem more, where a group lacks the very case."""
    if jitter is not None and "input" not in space.index:
        problems.append(f"{jitter.name}: the space has no jitter of its input")
        return None
    wanted = wanted_settings(space, solver, jitter)
    settings: list[Setting] = []
    for name, case_name, numbers in wanted:
        group = space.groups[space.index[name]]
        if case_name not in group.which:
            has = ", ".join(group.which)
            problems.append(f"{name}: it has no {case_name}; the space has {has}")
            continue
        genes = group.cases[group.which[case_name]].genes
        values: list[Allele] = []
        for gene, number in zip(genes, numbers, strict=True):
            parameter = SECTIONS[name][case_name][gene.name]
            values.append(gene.alleles[nearest_number(parameter, gene, number)])
        settings.append((name, case_name, tuple(values)))
    return tuple(settings) if len(settings) == len(wanted) else None


def _jitter_roundings(
    draft: Draft, settings: tuple[Setting, ...]
) -> Iterator[Rounding]:
    for group, _, values in settings:
        if group != "input":
            continue
        if draft.jitter is not None:
            ours = Jitter(float(values[0]))
            yield from op_roundings(draft.jitter.name, draft.jitter.op, ours)
        elif values[0]:
            yield Rounding(draft.images.name, "jitter", 0.0, float(values[0]))
