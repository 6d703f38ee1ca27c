"""The commands about genomes, given tuned ones and asked for hyperparameters."""

import json

import pytest

from ribosome.genome.codec import from_text, to_text
from ribosome.genome.decode import decode
from ribosome.genome.fit import canonical
from ribosome.genome.hyperparameters import as_tuned, hyperparameters, tuning_space
from ribosome.genome.space import Genes, Space
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS
from tests.genome.write import write_genes

MENNDL = load_space("menndl")
LENET = load_space("lenet")


@pytest.fixture(scope="module")
def tuned(lenet_genomes: list[str]) -> str:
    """A canonical tuned genome with values between the alleles of the lenet space."""
    tuning = tuning_space(LENET, from_text(LENET, lenet_genomes[0]))
    return to_text(tuning, canonical(tuning, _middle(tuning), DIGITS))


def _middle(space: Space) -> Genes:
    return tuple(
        (0, *[len(gene.alleles) // 2 for gene in group.cases[0].genes])
        for group in space.groups
    )


def test_show_takes_a_tuned_genome(ribosome, tuned: str) -> None:
    """It is shown with the space of its template, and with values between its alleles."""
    data = json.loads(ribosome("show", tuned, "--json").stdout)
    assert data["genome"] == tuned
    assert data["space"] == "lenet 1"
    assert data["genome_bytes"] == 8
    width = data["layers"][1]["fields"]["num_output"]
    assert width not in LENET.groups[0].cases[0].genes[0].alleles
    assert tuned in ribosome("show", tuned).stdout


@pytest.mark.parametrize("backend", ["pytorch", "caffe", "nvcaffe"])
def test_what_is_emitted_says_the_tuned_genome(
    ribosome, tuned: str, backend: str
) -> None:
    """Its text stands in the file as it is, to be copied from there."""
    output = ribosome("decode", tuned, "--backend", backend).stdout
    assert f"genome: {tuned}\n" in output
    assert "lenet 1\n" in output


def test_the_longest_tuned_genome_is_emitted_whole(ribosome) -> None:
    """Thirteen convolutions with windows that are not square: almost 300 characters."""
    layer = ("convolution", {"kernel_w": 2, "stride_w": 2})
    genes = write_genes(MENNDL, [layer] * 13, solver=("Adam", {}))
    tuning = tuning_space(MENNDL, genes)
    text = to_text(tuning, as_tuned(MENNDL, genes, tuning))
    genome = ribosome("encode", text).stdout.strip()
    assert len(genome) > 250
    assert f"genome: {genome}\n" in ribosome("decode", genome).stdout


def test_encode_writes_a_tuned_genome_in_its_own_space(ribosome, tuned: str) -> None:
    """Without --space it stays tuned; canonical forms are told as for any genome."""
    result = ribosome("encode", tuned)
    assert result.stdout.strip() == tuned
    assert result.stderr == "The genome is canonical already.\n"
    tuning = tuning_space(LENET, from_text(LENET, tuned.partition("~")[0]))
    result = ribosome("encode", to_text(tuning, _middle(tuning)))
    assert result.stdout.strip() == tuned
    assert result.stderr == "The genome was not canonical; this one is.\n"


def test_encode_finds_the_nearest_that_is_not_tuned(ribosome, tuned: str) -> None:
    """With --space and --nearest a tuned genome becomes one of coarse alleles."""
    result = ribosome("encode", tuned, "--space", "lenet", "--nearest")
    from_text(LENET, result.stdout.strip())
    assert "values were rounded.\n" in result.stderr
    refused = ribosome("encode", tuned, "--space", "lenet")
    assert refused.exit_code == 1
    assert "base_lr" in refused.stderr


@pytest.mark.parametrize("command", ["show", "decode", "encode"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-1], "is no genome"),
        (lambda text: text[:-4] + "zzzz", "checksum is wrong"),
        (lambda text: text.replace("~", "~0"), "padded"),
        (lambda text: text.replace("lenet", "menndl"), "truncated"),
        (lambda text: text.replace("lenet", "nothing"), "not shipped"),
        (lambda text: text + "~" + text, "is no genome"),
    ],
)
def test_a_damaged_tuned_genome_is_an_error(
    ribosome, error_of, tuned: str, command: str, change, message: str
) -> None:
    """One line that says what is wrong, whichever command it is."""
    assert message in error_of(ribosome(command, change(tuned)))


def test_show_lists_hyperparameters(ribosome, lenet_genomes: list[str]) -> None:
    """A line for each of the eleven, with the genome's own value and what it may be."""
    output = ribosome("show", lenet_genomes[2], "--hyperparameters").stdout
    assert "11 hyperparameters in a string of 8 bytes" in output
    rows = [line for line in output.splitlines() if "levels" in line]
    assert len(rows) == 11
    assert "0.001 0.0001 to 0.2, 255 levels" in " ".join(rows[7].split())
    assert max(map(len, output.splitlines())) <= 80


def test_hyperparameters_as_json_are_complete(
    ribosome, lenet_genomes: list[str]
) -> None:
    """Values are the template's, alleles those of the tuning space, the text is tuned."""
    genes = from_text(LENET, lenet_genomes[1])
    tuning = tuning_space(LENET, genes)
    data = json.loads(
        ribosome("show", lenet_genomes[1], "--hyperparameters", "--json").stdout
    )
    assert data["genome"] == to_text(tuning, as_tuned(LENET, genes, tuning))
    wanted = hyperparameters(tuning)
    for row, each in zip(data["hyperparameters"], wanted, strict=True):
        assert (row["group"], row["name"]) == (each.group, each.name)
        assert row["kind"] == "continuous"
        assert row["alleles"] == list(each.alleles)
        assert row["value"] in row["alleles"]
    model = decode(LENET, genes, DIGITS)
    values = [row["value"] for row in data["hyperparameters"]]
    assert values[7:9] == [model.solver.base_lr, model.solver.momentum]


def test_categorical_hyperparameters_show_their_names(ribosome) -> None:
    """What is a choice of names lists them instead of a range."""
    genome = ribosome("random", "--space", "menndl", "--seed", 3).stdout.strip()
    output = ribosome("show", genome, "--hyperparameters").stdout
    assert "MAX, AVE" in output


def test_a_tuned_genome_shows_its_own_values(ribosome, tuned: str) -> None:
    """Tuned once, a genome has the same hyperparameters, at other values."""
    data = json.loads(ribosome("show", tuned, "--hyperparameters", "--json").stdout)
    assert data["genome"].partition("~")[0] == tuned.partition("~")[0]
    assert len(data["hyperparameters"]) == 11
