"""Trials: the strategy's proposals with their numbers, seeds, bytes and text."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from ribosome.genome.space import Genes
from ribosome.runner.goals import Goals, Measured, no_goals
from ribosome.runner.limits import Speed
from ribosome.runner.records import Record
from ribosome.search.strategy import Proposal, Strategy

if TYPE_CHECKING:
    from numpy.random import Generator

SEARCH = "search"
"""The phase of the trials that a strategy proposes."""


REJECTED = "rejected"
"""Beside the state of the random numbers: how many genomes were beyond the limits."""


@dataclass(frozen=True, slots=True)
class Codec:
    """The forms of a genome, for one space."""

    pack: Callable[[Genes], bytes]
    as_text: Callable[[bytes], str]
    from_text: Callable[[str], Genes]


class Candidate(msgspec.Struct, frozen=True):
    """A numbered proposal; ``seed`` starts its trainer's random numbers.

    ``model`` is 0 for a genome of the run's space. Else the genome is of the tuning space of
    the model of that number (`ribosome.runner.tuning`): empty, as is ``text``, until a worker
    has drawn it.
    """

    number: int
    genome: bytes
    text: str
    generation: int
    parents: tuple[int, ...]
    seed: int
    phase: str = SEARCH
    model: int = 0

    @property
    def name(self) -> str:
        """The genome's text; while that is not known, something that no other trial has."""
        return self.text or f"trial {self.number}"


class Proposer:
    """The first stage of a run (`ribosome.runner.program.Stage`): the search.

    Asks a strategy for at most ``total`` trials, and tells it what became of them. ``seed``
    is the run's; ``rng`` is what the strategy draws from. ``goals`` gives what else counts
    of a result; where it is None, because that was not measured, the result counts as a
    failure. ``speed`` is told how fast the networks of all stages have trained.
    """

    phase = SEARCH

    def __init__(
        self,
        strategy: Strategy,
        codec: Codec,
        rng: "Generator",
        *,
        seed: int,
        total: int,
        goals: Goals = no_goals,
        speed: Speed | None = None,
    ) -> None:
        self._strategy = strategy
        self._codec = codec
        self._rng = rng
        self._seed = seed
        self.total = total
        """The number of trials that it proposes in all."""
        self._goals = goals
        self._speed = speed
        self._asked = self._told = self._rejected = 0

    @property
    def left(self) -> int:
        """The number of trials that were not proposed yet."""
        return max(0, self.total - self._asked)

    @property
    def closed(self) -> bool:
        """Whether nothing more is proposed."""
        return self._asked >= self.total

    @property
    def done(self) -> bool:
        """Whether as many trials have ended as were wanted."""
        return self._told >= self.total

    def ask(self, number: int) -> Candidate:
        """The next trial, of that number; to be called only while some are left."""
        proposal = self._strategy.ask(number)
        self._asked += 1
        return self._trial(number, proposal)

    def tell(self, trial: Candidate, result: Measured) -> None:
        """Tell the strategy the result of a trial of its own; know the speed of any."""
        if self._speed and result.flops_per_batch and result.batches_per_s:
            self._speed.learn(result.flops_per_batch, result.batches_per_s)
        if trial.phase == SEARCH:
            if result.rejected:
                self._asked -= 1  # another is proposed in its place
            else:
                self._told += 1
            goals = () if result.fitness is None else self._goals(trial.text, result)
            fitness = None if goals is None else result.fitness
            self._strategy.tell(trial.number, fitness, goals or ())

    def restores(self, record: Record) -> bool:
        """Whether a trial of the journal is of this stage."""
        return record.phase == SEARCH

    def restore(self, record: Record) -> Candidate:
        """Take a trial of the journal as asked, without drawing a random number."""
        genes = self._codec.from_text(record.genome)
        proposal = Proposal(genes, record.generation, record.parents)
        self._strategy.restore(record.trial, proposal)
        self._asked += 1
        return self._trial(record.trial, proposal)

    @property
    def rejected(self) -> int:
        """How many genomes were beyond the limits, in all sessions of the run."""
        return self._rejected + self._strategy.rejected

    def random_state(self) -> str:
        """The state of the strategy's random numbers, as JSON, and what it has rejected."""
        return json.dumps({**self._rng.bit_generator.state, REJECTED: self.rejected})

    def set_random_state(self, state: str) -> None:
        """Have the strategy draw as after that state, from `random_state`."""
        before = json.loads(state)
        self._rejected = before.pop(REJECTED, 0) - self._strategy.rejected
        self._rng.bit_generator.state = before

    def _trial(self, number: int, proposal: Proposal) -> Candidate:
        genome = self._codec.pack(proposal.genes)
        return Candidate(
            number=number,
            genome=genome,
            text=self._codec.as_text(genome),
            generation=proposal.generation,
            parents=proposal.parents,
            seed=trial_seed(self._seed, number),
        )


def trial_seed(seed: int, trial: int) -> int:
    """The seed of one trial, from 0 to 2^31 - 1, spread evenly over trials and runs."""
    digest = hashlib.blake2b(f"{seed}:{trial}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1
