"""The command line, called in this process, and a run folder to look at."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from ribosome.genome.codec import from_text, to_text
from ribosome.genome.decode import decode
from ribosome.genome.language import NetworkLanguage
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS
from ribosome.runner.config import Config, SpaceConfig, TrainingConfig, encode_config
from ribosome.runner.journal import Journal
from ribosome.runner.messages import Result as TrialResult

Ribosome = Callable[..., Result]


@pytest.fixture
def error_of() -> Callable[[Result], str]:
    """What a failed call says: one line on stderr, no traceback, exit code 1."""

    def text(result: Result) -> str:
        assert result.exit_code == 1, result.output
        assert "Traceback" not in result.stderr
        assert result.stderr.count("\n") == 1
        assert result.stderr.startswith("ribosome: error: ")
        return result.stderr.removeprefix("ribosome: error: ").rstrip("\n")

    return text


@pytest.fixture(scope="session")
def lenet_genomes() -> list[str]:
    """Three canonical genomes of the lenet space, small networks."""
    space = load_space("lenet")
    language = NetworkLanguage(space, DIGITS)
    found = []
    for allele in range(3):
        genes = tuple(
            (0, *(min(allele, len(gene.alleles) - 1) for gene in group.cases[0].genes))
            for group in space.groups
        )
        found.append(to_text(space, language.canonical(genes)))
    assert len({decode(space, from_text(space, g), DIGITS).genome for g in found}) == 3
    return found


@pytest.fixture
def run(tmp_path: Path, lenet_genomes: list[str]) -> Path:
    """A run of the lenet space with four trials: two ok, one diverged, one running."""
    folder = tmp_path / "run"
    folder.mkdir()
    config = Config(
        space=SpaceConfig("lenet"), training=TrainingConfig(max_iterations=4)
    )
    journal = Journal(folder)
    journal.create(config=encode_config(config).decode(), space="lenet 1")
    first, second, third = lenet_genomes
    for trial, genome in enumerate((first, second, third, first), start=1):
        parents = (1, 2) if trial == 4 else ()
        journal.propose(trial, genome, generation=trial // 4, parents=parents, at=10.0)
    for trial in (1, 2, 3):
        ok = trial < 3
        journal.finish(
            TrialResult(
                trial=trial,
                ending="ok" if ok else "diverged",
                fitness=0.5 + trial / 10 if ok else None,
                loss=1.0 if ok else None,
                batches_per_s=20.0,
                flops_per_batch=1.5e6,
                parameters=1234,
                seconds=2.5,
                started_at=11.0,
                finished_at=13.5,
                message="" if ok else "loss is NaN\nat iteration 3",
            ),
            worker=trial,
        )
    journal.commit(lambda: "{}")
    journal.close()
    return folder
