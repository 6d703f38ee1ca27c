"""Trials: the strategy's proposals with their numbers, seeds, bytes and text."""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from ribosome.genome.space import Genes
from ribosome.runner.records import Record
from ribosome.search.strategy import Proposal, Strategy

if TYPE_CHECKING:
    from numpy.random import Generator


@dataclass(frozen=True, slots=True)
class Codec:
    """The forms of a genome, for one space."""

    pack: Callable[[Genes], bytes]
    as_text: Callable[[bytes], str]
    from_text: Callable[[str], Genes]


class Candidate(msgspec.Struct, frozen=True):
    """A numbered proposal; ``seed`` starts its trainer's random numbers."""

    number: int
    genome: bytes
    text: str
    generation: int
    parents: tuple[int, ...]
    seed: int


class Proposer:
    """Asks a strategy for at most ``total`` trials, and tells it what became of them.

    ``seed`` is the run's; ``rng`` is what the strategy draws from.
    """

    def __init__(
        self,
        strategy: Strategy,
        codec: Codec,
        rng: "Generator",
        *,
        seed: int,
        total: int,
    ) -> None:
        self._strategy = strategy
        self._codec = codec
        self._rng = rng
        self._seed = seed
        self._total = total
        self._asked = 0

    @property
    def left(self) -> int:
        """The number of trials that were not proposed yet."""
        return max(0, self._total - self._asked)

    def ask(self) -> Candidate:
        """The next trial; to be called only while some are left."""
        number = self._asked + 1
        proposal = self._strategy.ask(number)
        self._asked = number
        return self._trial(number, proposal)

    def tell(self, trial: int, fitness: float | None) -> None:
        """Tell the strategy a fitness, None for a failure."""
        self._strategy.tell(trial, fitness)

    def random_state(self) -> str:
        """The state of the strategy's random numbers, as JSON."""
        return json.dumps(self._rng.bit_generator.state)

    def replay(
        self, steps: Iterable[tuple[str, Record]], random_state: str | None
    ) -> deque[Candidate]:
        """Repeat a run's asks and tells; returns the trials that have no result yet."""
        unfinished: dict[int, Candidate] = {}
        for what, record in steps:
            if what == "told":
                self._strategy.tell(record.trial, record.fitness)
                del unfinished[record.trial]
                continue
            genes = self._codec.from_text(record.genome)
            proposal = Proposal(genes, record.generation, record.parents)
            self._strategy.restore(record.trial, proposal)
            self._asked = record.trial
            unfinished[record.trial] = self._trial(record.trial, proposal)
        if random_state is not None:
            self._rng.bit_generator.state = json.loads(random_state)
        return deque(unfinished.values())

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
