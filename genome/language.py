"""The language of networks, as a strategy searches it: one space and one task."""

from dataclasses import dataclass

from ribosome.genome.fit import canonical
from ribosome.genome.space import Genes, Group, Space
from ribosome.genome.task import Task


@dataclass(frozen=True, slots=True)
class NetworkLanguage:
    """A space for one task, with the canonical form that the task's shape decides."""

    space: Space
    task: Task

    @property
    def groups(self) -> tuple[Group, ...]:
        """The space's groups."""
        return self.space.groups

    def canonical(self, genes: Genes) -> Genes:
        """The one representative of all genomes that mean the same for the task."""
        return canonical(self.space, genes, self.task)

    def admits(self, genes: Genes) -> bool:  # noqa: ARG002
        """Always: any network can be built and trained."""
        return True
