"""The commands about genomes: spaces, random, show, decode, encode."""

import json
import re
from pathlib import Path

import pytest

from ribosome.backends.registry import backend
from ribosome.genome.codec import from_text
from ribosome.genome.cost import cost
from ribosome.genome.decode import decode
from ribosome.genome.space_file import load_space, shipped_spaces
from ribosome.genome.task import DIGITS
from ribosome.tools import text


@pytest.fixture
def large_task(tmp_path: Path) -> Path:
    """A task of large images: much fits there that small ones have no room for."""
    path = tmp_path / "large.toml"
    path.write_text("[task]\nchannels = 1\nheight = 300\nwidth = 300\nclasses = 10\n")
    return path


def test_spaces_lists_all_that_are_shipped(ribosome) -> None:
    """A line for each space with bits, bytes and characters of its genomes."""
    output = ribosome("spaces").stdout
    for name in shipped_spaces():
        space = load_space(name)
        row = next(line for line in output.splitlines() if line.split()[:1] == [name])
        genome = ribosome("random", "--space", name, "--seed", 1).stdout.strip()
        assert row.split()[1:6] == [
            str(space.version),
            str(len(space.slots)),
            f"{space.bits:.1f}",
            str(space.genome_bytes),
            str(len(genome)),
        ]


def test_spaces_shows_every_gene(ribosome) -> None:
    """With a name: each group, case and gene."""
    words = set(ribosome("spaces", "menndl").stdout.split())
    for group in load_space("menndl").groups[-3:]:
        for case in group.cases:
            assert case.name in words
            assert {gene.name for gene in case.genes} <= words


def test_spaces_as_json_has_all_alleles(ribosome) -> None:
    """Nothing is shortened for programs."""
    data = json.loads(ribosome("spaces", "lenet", "--json").stdout)
    space = load_space("lenet")
    assert data["bits"] == space.bits
    alleles = data["groups"][0]["cases"][0]["genes"][0]["alleles"]
    assert alleles == list(space.groups[0].cases[0].genes[0].alleles)


def test_spaces_of_an_unknown_name(ribosome, error_of) -> None:
    """The nearest name is offered."""
    assert "did you mean menndl?" in error_of(ribosome("spaces", "mendl"))


def test_random_prints_that_many_different_ones(ribosome) -> None:
    """One genome per line, for the space that was named."""
    lines = ribosome("random", "-n", 20, "--space", "menndl").stdout.splitlines()
    assert len(set(lines)) == 20
    assert all(line.startswith("menndl-1-") for line in lines)


def test_random_repeats_itself_for_a_seed(ribosome) -> None:
    """The same seed, the same genomes; another seed, others."""
    call = ("random", "-n", 3, "--seed")
    assert ribosome(*call, 4).stdout == ribosome(*call, 4).stdout
    assert ribosome(*call, 4).stdout != ribosome(*call, 5).stdout


def test_random_genomes_are_canonical_for_the_task(ribosome, tmp_path: Path) -> None:
    """Encode finds nothing to change, for the default task and for another."""
    task = tmp_path / "wide.toml"
    task.write_text("[task]\nchannels = 2\nheight = 60\nwidth = 90\nclasses = 3\n")
    for options in ((), ("--task", task)):
        for genome in ribosome("random", "-n", 5, *options).stdout.split():
            result = ribosome("encode", genome, *options)
            assert result.stdout.strip() == genome
            assert result.stderr == "The genome is canonical already.\n"


def test_random_needs_at_least_one(ribosome) -> None:
    """-n 0 is a usage error."""
    assert ribosome("random", "-n", 0).exit_code == 2


def test_show_has_a_line_for_each_layer(ribosome, lenet_genomes) -> None:
    """Names, shapes, parameters and totals are those of decode and cost."""
    output = ribosome("show", lenet_genomes[2]).stdout
    space = load_space("lenet")
    network = decode(space, from_text(space, lenet_genomes[2]), DIGITS).network
    for node in network.nodes:
        row = next(line for line in output.splitlines() if node.name in line.split())
        assert "x".join(map(str, node.shape)) in row.split()
    total = next(line for line in output.splitlines() if "per image" in line)
    assert text.count(cost(network).parameters) in total.split()
    assert max(map(len, output.splitlines())) <= 80


def test_show_prints_the_ratio_to_the_source(ribosome, lenet_genomes) -> None:
    """Bytes of genome and of source are the real ones, the ratio their quotient."""
    output = ribosome("show", lenet_genomes[0]).stdout
    source = ribosome("decode", lenet_genomes[0]).stdout
    found = re.search(r"(\d+) bytes stand for ([\d,]+) bytes .* 1 to (\d+)", output)
    assert found is not None
    assert int(found[1]) == load_space("lenet").genome_bytes
    assert int(found[2].replace(",", "")) == len(source.encode())
    assert int(found[3]) == round(len(source.encode()) / int(found[1]))


def test_show_as_json_is_complete(ribosome, lenet_genomes) -> None:
    """Every node with its op's fields, and the totals."""
    data = json.loads(ribosome("show", lenet_genomes[1], "--json").stdout)
    assert data["parameters"] == sum(layer["parameters"] for layer in data["layers"])
    assert data["forward_flops"] == sum(layer["flops"] for layer in data["layers"])
    convolution = next(
        layer for layer in data["layers"] if layer["op"] == "Convolution"
    )
    assert convolution["fields"]["weight"]["filler"]["kind"] == "xavier"
    assert data["genome"] == lenet_genomes[1]
    assert data["solver"]["type"] == "SGD"


def test_show_obeys_the_task(ribosome, tmp_path: Path, lenet_genomes) -> None:
    """Shape and classes are those of the task file."""
    task = tmp_path / "wide.toml"
    task.write_text("[task]\nchannels = 2\nheight = 60\nwidth = 90\nclasses = 3\n")
    data = json.loads(
        ribosome("show", lenet_genomes[0], "--task", task, "--json").stdout
    )
    assert data["layers"][0]["shape"] == [2, 60, 90]
    assert data["layers"][-1]["shape"] == [3]


def test_decode_prints_the_main_file(ribosome, lenet_genomes) -> None:
    """Without -o stdout is the backend's main file and nothing else."""
    space = load_space("lenet")
    target = backend("pytorch")
    model = decode(space, from_text(space, lenet_genomes[0]), DIGITS)
    wanted = target.emit(model, DIGITS)[target.main_file]
    assert ribosome("decode", lenet_genomes[0]).stdout == wanted


def test_decode_writes_all_files(ribosome, tmp_path: Path, lenet_genomes) -> None:
    """With -o all files are there, their paths are printed."""
    out = tmp_path / "net"
    result = ribosome("decode", lenet_genomes[0], "-o", out)
    assert sorted(result.stdout.split()) == sorted(map(str, out.iterdir()))
    assert {path.name for path in out.iterdir()} == {"network.py", "trial.json"}


@pytest.mark.parametrize("name", ["caffe", "nvcaffe"])
def test_decode_for_caffe(ribosome, tmp_path: Path, lenet_genomes, name: str) -> None:
    """Without -o the network to train; with it the solver and the deploy file too."""
    printed = ribosome("decode", lenet_genomes[0], "--backend", name).stdout
    assert printed.count('type: "SoftmaxWithLoss"') == 1
    assert ("default_forward_type" in printed) == (name == "nvcaffe")
    out = tmp_path / "net"
    result = ribosome("decode", lenet_genomes[0], "--backend", name, "-o", out)
    assert sorted(result.stdout.split()) == sorted(map(str, out.iterdir()))
    assert (out / "train_val.prototxt").read_text() == printed
    assert {path.name for path in out.iterdir()} == {
        "train_val.prototxt",
        "deploy.prototxt",
        "solver.prototxt",
        "trial.json",
    }


def test_show_compares_with_the_prototxt(ribosome, lenet_genomes) -> None:
    """The bytes are those of the file that decode prints."""
    output = ribosome("show", lenet_genomes[0], "--backend", "caffe").stdout
    source = ribosome("decode", lenet_genomes[0], "--backend", "caffe").stdout
    assert f"{len(source.encode()):,} bytes of caffe source" in output


def test_decode_never_overwrites(
    ribosome, error_of, tmp_path: Path, lenet_genomes
) -> None:
    """A file that differs is left, and named."""
    (tmp_path / "network.py").write_text("# mine\n")
    result = ribosome("decode", lenet_genomes[0], "-o", tmp_path)
    assert "network.py: exists and differs" in error_of(result)
    assert (tmp_path / "network.py").read_text() == "# mine\n"


@pytest.mark.parametrize("command", ["show", "decode"])
def test_an_unknown_backend_names_the_known(
    ribosome, error_of, lenet_genomes, command: str
) -> None:
    """The error lists what there is."""
    said = error_of(ribosome(command, lenet_genomes[0], "--backend", "theano"))
    assert "theano" in said
    assert "pytorch" in said


@pytest.mark.parametrize("command", ["show", "decode", "encode"])
def test_a_damaged_genome_is_one_line(
    ribosome, error_of, lenet_genomes, command: str
) -> None:
    """A wrong checksum is said in one line by every command."""
    genome = lenet_genomes[0][:-4] + "zzzz"
    assert "checksum is wrong" in error_of(ribosome(command, genome))


def test_encode_keeps_the_network(ribosome, large_task: Path) -> None:
    """The canonical genome stands for the same network and solver, on small images."""
    space = load_space("menndl")
    options = ("--seed", 1, "--task", large_task)
    for genome in ribosome("random", "-n", 10, *options).stdout.split():
        canonical = ribosome("encode", genome).stdout.strip()
        before = decode(space, from_text(space, genome), DIGITS)
        assert decode(space, from_text(space, canonical), DIGITS) == before


def test_encode_says_when_it_has_changed_something(ribosome, large_task: Path) -> None:
    """The canonical genome goes to stdout, what happened to stderr."""
    options = ("--seed", 2, "--task", large_task)
    genomes = ribosome("random", "-n", 10, *options).stdout.split()
    results = [(genome, ribosome("encode", genome)) for genome in genomes]
    result = next(
        result for genome, result in results if result.stdout.strip() != genome
    )
    assert result.stderr == "The genome was not canonical; this one is.\n"
    again = ribosome("encode", result.stdout.strip())
    assert again.stdout == result.stdout


@pytest.mark.parametrize("options", [(), ("--nearest",)])
def test_encode_into_another_space_says_what_does_not_fit(ribosome, options) -> None:
    """Lenet's slots hold one layer each: a line for every thing of another genome."""
    genome = ribosome("random", "--space", "menndl", "--seed", 1).stdout.strip()
    result = ribosome("encode", genome, "--space", "lenet", *options)
    assert (result.exit_code, result.stdout) == (1, "")
    *listed, said = result.stderr.splitlines()
    assert said.startswith("ribosome: error: space lenet 1 cannot express")
    assert f"for the {len(listed)} reasons above" in said
    assert "  inception_1_0/1x1: the slots hold no inception" in listed
