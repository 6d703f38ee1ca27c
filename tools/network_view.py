"""A network as people and programs read it: a table, or plain data."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ribosome.backends.registry import backend
from ribosome.genome.codec import pack
from ribosome.genome.cost import Cost, cost
from ribosome.genome.decode import decode
from ribosome.genome.network import Model
from ribosome.genome.space import Genes, Space
from ribosome.genome.task import Task
from ribosome.tools import describe, text

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


@dataclass(frozen=True)
class View:
    """A decoded genome and what it costs.

    ``genome_bytes`` is the length of the packed genome, ``emitted_bytes`` that of the
    main file which ``backend_name`` writes for it.
    """

    model: Model
    task: Task
    cost: Cost
    genome_bytes: int
    emitted_bytes: int
    backend_name: str

    @property
    def ratio(self) -> float:
        """How many bytes of source one byte of genome stands for."""
        return self.emitted_bytes / self.genome_bytes


def view(space: Space, genes: Genes, task: Task, *, backend_name: str) -> View:
    """Decode a genome, count its costs, and emit it once to know how long that is."""
    model = decode(space, genes, task)
    target = backend(backend_name)
    emitted = target.emit(model, task)[target.main_file]
    return View(
        model=model,
        task=task,
        cost=cost(model.network),
        genome_bytes=len(pack(space, genes)),
        emitted_bytes=len(emitted.encode()),
        backend_name=backend_name,
    )


def table(of: View) -> "RenderableType":
    """The layers, a line for each, and below them totals, solver and sizes."""
    from rich import box
    from rich.console import Group
    from rich.table import Table

    rows = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False, padding=0)
    total = of.cost
    rows.add_column("slot", justify="right")
    rows.add_column("name", footer="per image", overflow="fold")
    rows.add_column("layer")
    rows.add_column("shape", no_wrap=True)
    rows.add_column("params", text.count(total.parameters), justify="right")
    rows.add_column("FLOPs", text.count(total.forward_flops), justify="right")
    rows.add_column("memory", text.size(total.activation_bytes), justify="right")
    for node, row in zip(of.model.network.nodes, total.rows, strict=True):
        rows.add_row(
            "" if node.slot is None else str(node.slot),
            node.name,
            describe.op(node.op),
            describe.shape(node.shape),
            text.count(row.parameters) if row.parameters else "",
            text.count(row.flops) if row.flops else "",
            text.size(row.activation_bytes),
        )
    return Group(rows, _notes(of))


def _notes(of: View) -> "Table":
    """What stands below the table: solver, cost of training, ratio of compression."""
    from rich.table import Table
    from rich.text import Text

    training = of.cost.training_flops
    batch = of.model.solver.batch_size
    notes = {
        "solver": describe.solver(of.model.solver),
        "training": f"{text.count(training)} FLOPs per image forward and backward, "
        f"{text.count(training * batch)} per batch",
        "genome": f"{of.genome_bytes} bytes stand for {of.emitted_bytes:,} bytes of "
        f"{of.backend_name} source: 1 to {of.ratio:.0f}",
    }
    grid = Table.grid(padding=(0, 2, 0, 1))
    for name, note in notes.items():
        grid.add_row(name, Text(note))
    return grid


def as_data(of: View) -> dict[str, object]:
    """All of a view as plain data: sizes in bytes, operations per image."""
    return {
        "genome": of.model.genome,
        "space": of.model.space,
        "task": {
            "name": of.task.name,
            "shape": of.task.shape,
            "classes": of.task.classes,
        },
        "layers": [
            {
                "slot": node.slot,
                "name": node.name,
                "op": type(node.op).__name__,
                "fields": dataclasses.asdict(node.op),
                "inputs": node.inputs,
                "shape": node.shape,
                "parameters": row.parameters,
                "flops": row.flops,
                "backward_flops": row.backward_flops,
                "other_flops": row.other_flops,
                "activation_bytes": row.activation_bytes,
            }
            for node, row in zip(of.model.network.nodes, of.cost.rows, strict=True)
        ],
        "parameters": of.cost.parameters,
        "forward_flops": of.cost.forward_flops,
        "training_flops": of.cost.training_flops,
        "activation_bytes": of.cost.activation_bytes,
        "solver": dataclasses.asdict(of.model.solver),
        "backend": of.backend_name,
        "genome_bytes": of.genome_bytes,
        "emitted_bytes": of.emitted_bytes,
        "ratio": of.ratio,
    }
