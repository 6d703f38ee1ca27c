"""Model to genes: recognises the plan behind a network and writes it down.

encode(decode(g)) is the canonical genome of g, whatever the nodes of the network are called
and whether or not they know their slots. A network that the space cannot express is refused
with everything that does not fit; `ribosome.genome.nearest` takes what is nearest to it.
"""

from ribosome.genome.decode import decode
from ribosome.genome.fit import Layer, Plan, express
from ribosome.genome.nearest import refusal, survey, wanted_settings
from ribosome.genome.nearest_layer import part_values
from ribosome.genome.network import Model
from ribosome.genome.recognise import Draft, recognise
from ribosome.genome.solver import Solver
from ribosome.genome.space import Genes, Space
from ribosome.genome.task import Task


def encode(space: Space, model: Model, task: Task) -> Genes:
    """The canonical genes of a model for a task.

    Raises EncodeError where the space cannot express the network or the solver. Its
    ``problems`` name every node and field that does not fit, its value, and the nearest
    that the space has.
    """
    draft = recognise(model.network)
    genes = _exact(space, model, draft, task)
    if genes is not None:
        return genes
    found = survey(space, model, draft, task)
    problems = (*found.problems, *(rounding.problem for rounding in found.roundings))
    if found.genes is None or problems:
        raise refusal(space, problems)
    return found.genes


def _exact(space: Space, model: Model, draft: Draft, task: Task) -> Genes | None:
    """The genes of a draft that the space holds as it is: the usual case, and the quick one."""
    if draft.problems:
        return None
    genes = express(space, _plan(space, draft, model.solver), task)
    if genes is None:
        return None
    again = decode(space, genes, task)
    same = [node.op for node in again.network.nodes] == draft.ops
    return genes if same and again.solver == model.solver else None


def _plan(space: Space, draft: Draft, solver: Solver) -> Plan:
    layers = tuple([Layer(part.case, part_values(part)) for part in draft.parts])
    settings = wanted_settings(space, solver, draft.jitter)
    return Plan(layers, max(1, len(draft.towers)), draft.merge, settings)
