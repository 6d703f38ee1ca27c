"""What genomes decode to stays the same for ever, whatever the hash seed."""

import json
import os
import subprocess
import sys

import pytest

from tests.golden_genomes import FOLDER, GENOMES, emitted, genome, kept_genomes


def test_every_genome_is_kept() -> None:
    """The list of genomes and the kept one name the same."""
    assert list(kept_genomes()) == list(GENOMES)


@pytest.mark.parametrize("name", GENOMES)
def test_the_genome_of_a_network_stays(name: str) -> None:
    """The same layers and settings have the same canonical genome as ever."""
    assert genome(name) == kept_genomes()[name]


@pytest.mark.parametrize("name", GENOMES)
def test_the_text_of_a_genome_stays(name: str) -> None:
    """A kept genome is emitted byte for byte as ever; `make golden` renews."""
    for path, content in emitted(name, kept_genomes()[name]).items():
        assert content == (FOLDER / path).read_text(), path


def test_another_hash_seed_emits_the_same() -> None:
    """A second process with another PYTHONHASHSEED agrees on every byte."""
    program = (
        "import json; from tests.golden_genomes import *; "
        "print(json.dumps([emitted(n, t) for n, t in kept_genomes().items()]))"
    )
    outputs = []
    for seed in ("1", "4242"):
        run = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=FOLDER.parents[1],
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.append(json.loads(run.stdout))
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == len(GENOMES)
