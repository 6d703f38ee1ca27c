"""Drawing hyperparameters by a model: on each worker, by a trial's seed alone.

The same trial draws the same on every machine, so that one that is handed out again, or
whose worker died before it could say what it drew, loses nothing.
"""

from functools import lru_cache

from ribosome.genome.codec import (
    as_text,
    from_text,
    pack,
    space_named_by,
    unpack,
)
from ribosome.genome.errors import GenomeError
from ribosome.genome.hyperparameters import space_of, tuning_space
from ribosome.genome.space import Space
from ribosome.genome.space_file import load_space, shipped_spaces
from ribosome.runner.messages import Model, Work
from ribosome.search.encoding import Encoding


@lru_cache(maxsize=64)
def space_tuned(own: Space, template: str) -> Space:
    """The space of the hyperparameters of a template, the text of a genome.

    It is of the run's own space, or of a shipped one. Raises GenomeError for a text that is
    no genome of either.
    """
    name, _ = space_named_by(template)
    if name != own.name and name not in shipped_spaces():
        raise GenomeError(
            f"genome is of a space {name!r}, which is neither the run's own nor shipped; "
            f"take one of space {own.name}"
        )
    space = space_of(own if name == own.name else load_space(name), template)
    return tuning_space(space, from_text(space, template))


@lru_cache(maxsize=64)
def encoding_of(space: Space) -> Encoding:
    """How a space's genes are encoded for models."""
    return Encoding(space.groups)


class Draws:
    """Draws for a run whose genomes are of the space ``own``, by the models it was told."""

    def __init__(self, own: Space) -> None:
        self._own = own
        self._models: dict[int, Model] = {}

    def learn(self, model: Model) -> None:
        """Take in a model; trials name it by its number."""
        self._models[model.number] = model

    def model(self, number: int) -> Model:
        """The model of that number."""
        return self._models[number]

    def space(self, number: int) -> Space:
        """The tuning space in which a model draws."""
        return space_tuned(self._own, self._models[number].template)

    def draw(self, number: int, seed: int) -> bytes:
        """What a trial of that seed draws by a model: a genome of its space."""
        import numpy as np

        from ribosome.search.svm import draw_good

        space, model = self.space(number), self._models[number]
        rng = np.random.default_rng(seed)
        genes, _ = draw_good(
            space.groups,
            model.svm,
            rng,
            encoding=encoding_of(space),
            among=model.among,
        )
        return pack(space, genes)

    def prepared(self, work: Work) -> Work:
        """Work of a model with all that its evaluator needs: what it draws, the template."""
        genome = work.genome or self.draw(work.model, work.seed)
        return Work(
            trial=work.trial,
            genome=genome,
            seed=work.seed,
            keep_above=work.keep_above,
            copy=work.copy,
            model=work.model,
            template=self._models[work.model].template,
        )

    def text(self, number: int, genome: bytes) -> str:
        """The text of a genome that was drawn by a model."""
        return as_text(self.space(number), genome)

    def vector(self, number: int, genome: bytes) -> list[float]:
        """The inputs of a model for a genome that another has drawn."""
        space = self.space(number)
        return encoding_of(space)(unpack(space, genome))

    def problem(self, number: int, genome: bytes) -> str:
        """Why bytes are nothing that the model can have drawn; empty if they may be."""
        try:
            unpack(self.space(number), genome)
        except GenomeError as error:
            return str(error)
        return ""
