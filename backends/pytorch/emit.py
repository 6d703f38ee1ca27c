"""Writes a network as a PyTorch module: what a person would have written.

The module imports only torch, computes what Caffe computes from the same prototxt, and is
formatted as ruff formats it. Line by line it follows the network's nodes.
"""

from collections import Counter
from functools import lru_cache

import msgspec

from ribosome.backends.pytorch.expressions import INDENT, expression, helper
from ribosome.backends.pytorch.layers import PARTS, constructor, filler
from ribosome.backends.pytorch.source import call, legal_names, number
from ribosome.backends.titles import titles
from ribosome.genome.cost import blobs
from ribosome.genome.errors import EmitError, UnsupportedOp
from ribosome.genome.network import Model, Network, Node, Shape
from ribosome.genome.ops import Concat, InnerProduct, Input
from ribosome.genome.solver import Solver
from ribosome.genome.task import Task
from ribosome.genome.version import __version__
from ribosome.templates.environment import plain, template

MODULE = "network.py"
TRIAL = "trial.json"
_LATER_FIELDS = ("checks", "check_first")
"""Of `Training`: written only where they say something, that files stay what they were."""

_LONGEST = 12  # characters of a variable's name that another one's is made of


def emit(model: Model, task: Task) -> dict[str, str]:
    """The module, and the trainer's settings (solver and task) beside it as JSON.

    Raises EmitError for a network of another task, UnsupportedOp for an op that PyTorch
    computes differently.
    """
    network = model.network
    if network.input.shape != task.shape or network.output.shape != (task.classes,):
        raise EmitError(
            f"the network takes {network.input.shape} images and gives "
            f"{network.output.shape}, the task {task.name} is {task.shape} in "
            f"{task.classes} classes; decode it for this task"
        )
    return {MODULE: emit_module(model, task), TRIAL: emit_trial(model, task)}


def emit_trial(model: Model, task: Task) -> str:
    """The trainer's settings: solver and task, field by field."""
    fields = msgspec.to_builtins({"solver": model.solver, "task": task})
    training = fields["task"]["training"]
    for name in _LATER_FIELDS:
        if not training[name]:
            del training[name]
    return msgspec.json.format(msgspec.json.encode(fields), indent=2).decode() + "\n"


def emit_module(model: Model, task: Task) -> str:
    """The source of a task's network; its class is Network and takes no arguments."""
    return _module(
        model.network,
        title=f"A network for {plain(task.name)}",
        leaves=f"in {task.classes} classes",
        genome=model.genome,
        space=model.space,
        solver=_solver_line(model.solver),
    )


def emit_network(network: Network, title: str) -> str:
    """The source of any network, as `emit_module` writes it; its output has any shape.

    The ``title`` is the beginning of the module's docstring, as in "AlexNet, read from
    deploy.prototxt". Raises UnsupportedOp for an op that PyTorch computes differently.
    """
    shape = " x ".join(map(str, network.output.shape))
    return _module(network, title=plain(title), leaves=f"to {shape}")


def _module(
    network: Network,
    *,
    title: str,
    leaves: str,
    genome: str | None = None,
    space: str | None = None,
    solver: str | None = None,
) -> str:
    writer = _Writer(network)
    channels, height, width = network.input.shape
    return template("pytorch_module.py.jinja").render(
        title=title,
        leaves=leaves,
        channels=channels,
        height=height,
        width=width,
        outputs=", ".join(map(str, network.output.shape)),
        version=__version__,
        genome=genome,
        space=space,
        solver=solver,
        uses_math=bool(writer.helpers & {"xavier", "msra"}),
        helpers=_helpers(frozenset(writer.helpers)),
        init=writer.init,
        fill=writer.fill,
        forward=writer.forward,
        result=writer.result,
        multipliers=writer.multipliers,
    )


@lru_cache(maxsize=1024)
def _helpers(names: frozenset[str]) -> str:
    """The functions and classes of those names."""
    return template("pytorch_helpers.py.jinja").render(helpers=names)


class _Writer:
    """Walks the nodes once and collects the lines of every part of the module."""

    def __init__(self, network: Network) -> None:
        self.init: list[str] = []
        self.fill: list[str] = []
        self.forward: list[str] = []
        self.multipliers: list[str] = []
        self.helpers: set[str] = set()
        self._names = legal_names(node.name for node in network.nodes)
        self._shapes: dict[str, Shape] = {}
        self._variables: dict[str, str] = {}
        self._uses = Counter(name for node in network.nodes for name in node.inputs)
        self._uses_left = self._uses.copy()
        self._kept: set[str] = set()  # variables that a later node still reads
        self._forks: Counter[str] = Counter()
        self._titles = titles(network.nodes)
        for node in network.nodes:
            self._node(node)
        self.result = self._variables[network.output.name]

    def _node(self, node: Node) -> None:
        self._shapes[node.name] = node.shape
        if isinstance(node.op, Input):
            if self._variables:
                raise UnsupportedOp(
                    f"{node.name}: the pytorch backend takes one input, this is another"
                )
            self._variables[node.name] = "x"
            self._kept.add("x")
            return
        source = self._shapes[node.inputs[0]]
        made = constructor(node, source)
        title = self._titles.get(node.name)
        comment = [f"# {title}"] if title else []
        if made is not None:
            name = self._names[node.name]
            self.init += comment
            self.init += call(
                f"self.{name} = {made.callee}", made.arguments, indent=INDENT
            )
            self.helpers.update(made.helpers)
            self._parameters(node, name)
        variable = self._variable(node)
        self.forward += comment
        self.forward += self._assignment(node, variable, source)
        self._variables[node.name] = variable

    def _parameters(self, node: Node, name: str) -> None:
        for blob_name, blob in blobs(node.op).items():
            part = PARTS[blob_name]
            filled = filler(node, blob_name, blob.filler, f"self.{name}.{part}")
            self.fill += call(*filled, indent=INDENT)
            self.helpers.add(blob.filler.kind)
            if (blob.lr_mult, blob.decay_mult) != (1.0, 1.0):
                pair = f"({number(blob.lr_mult)}, {number(blob.decay_mult)})"
                self.multipliers.append(f'"{name}.{part}": {pair},')

    def _variable(self, node: Node) -> str:
        """The variable that a node's output goes to: its input's, unless that is kept."""
        source = node.inputs[0]
        joins = len(node.inputs) > 1 or isinstance(node.op, Concat)
        if self._uses[source] == 1 and not joins:
            return self._variables[source]
        inputs = [self._variables[name] for name in node.inputs]
        for name, read in zip(node.inputs, inputs, strict=True):
            self._uses_left[name] -= 1
            if not self._uses_left[name]:
                self._kept.discard(read)
        if joins:
            stem = inputs[0].rpartition("_")[0]
            together = all(name.rpartition("_")[0] == stem for name in inputs)
            variable = stem if stem and together else min(inputs, key=len)
        else:
            variable = self._fork(source)
        while variable in self._kept:
            variable = self._fork(source)
        self._kept.add(variable)
        return variable

    def _fork(self, source: str) -> str:
        """The next variable beside that of a node."""
        self._forks[source] += 1
        stem = self._variables[source]
        return f"{stem if len(stem) <= _LONGEST else 'x'}_{self._forks[source]}"

    def _assignment(self, node: Node, variable: str, source: Shape) -> list[str]:
        inputs = [self._variables[name] for name in node.inputs]
        written = expression(node, variable, inputs, source)
        if written is not None:
            if function := helper(node):
                self.helpers.add(function)
            return written
        value = inputs[0]
        if isinstance(node.op, InnerProduct) and len(source) > 1:
            value = f"torch.flatten({value}, 1)"
        return call(
            f"{variable} = self.{self._names[node.name]}", (value,), indent=INDENT
        )


@lru_cache(maxsize=1024)
def _solver_line(solver: Solver) -> str:
    """The solver's settings in two lines, those left out that do not matter."""
    rate = solver.learning_rate
    fields = {"base_lr": solver.base_lr}
    if solver.type == "RMSProp":
        fields["rms_decay"] = solver.rms_decay
    else:
        fields["momentum"] = solver.momentum
    if solver.type == "Adam":
        fields["momentum2"] = solver.momentum2
    fields["weight_decay"] = solver.weight_decay
    if solver.clip_gradients:
        fields["clip_gradients"] = solver.clip_gradients
    fields["batch_size"] = solver.batch_size
    policy = {
        "gamma": rate.gamma,
        "power": rate.power,
        "fraction": rate.fraction,
    }
    shape = " ".join(f"{name} {value:g}" for name, value in policy.items() if value)
    listed = ", ".join(f"{name} {value:g}" for name, value in fields.items())
    return (
        f"{solver.type}, {listed}\n        learning rate {rate.policy} {shape}".rstrip()
    )
