"""Small spaces and settings to search with."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ribosome.genome.space import Case, Gene, Genes, Group


@dataclass(frozen=True)
class Choices:
    """Settings of a search, with defaults that the tests rely on."""

    strategy: str = "evolution"
    population: int = 10
    tournament: int = 3
    crossover: float = 0.5
    crossover_kind: str = "uniform"
    mutation: float = 0.0
    adaptive: bool = False
    replacement: str = "age"
    arrivals: str = "finished"
    restart: int = 0
    guided: int = 0
    brood: int = 20


@dataclass(frozen=True)
class Product:
    """A product of groups; genes that are equal as sets of values mean the same."""

    groups: tuple[Group, ...]
    symmetric: bool = False
    dear: Callable[[Genes], bool] = lambda _: False

    def canonical(self, genes: Genes) -> Genes:
        """The genes, sorted where their order means nothing."""
        return tuple(sorted(genes)) if self.symmetric else genes

    def admits(self, genes: Genes) -> bool:
        """Unless they are too dear."""
        return not self.dear(genes)


@pytest.fixture
def settings() -> Callable[..., Choices]:
    """Makes settings, with whatever is given in place of a default."""
    return Choices


@pytest.fixture
def plain() -> Callable[..., Product]:
    """Makes a product of groups of one gene each, its alleles words."""

    def make(groups: int, alleles: int, *, symmetric: bool = False) -> Product:
        words = tuple(f"word {index}" for index in range(alleles))
        gene = Gene("choice", words, (1.0,) * alleles)
        return Product(
            tuple(Group(f"g{i}", (Case("only", (gene,)),)) for i in range(groups)),
            symmetric,
        )

    return make
