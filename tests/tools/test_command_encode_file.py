"""`ribosome encode` of a prototxt: exact, nearest, and what a space cannot hold."""

from pathlib import Path

import pytest

from ribosome.backends.registry import backend
from ribosome.genome.codec import from_text
from ribosome.genome.decode import decode
from ribosome.genome.ops import Convolution, InnerProduct
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS, Task
from tests.backends.caffe.networks import EVERYTHING, LENET

MENNDL = load_space("menndl")
IMAGES = Task("images", 1, 28, 28, 10)
NO_SOLVER = "No --solver is given: the genome trains by the first values of the space."


@pytest.fixture
def lenet(tmp_path: Path) -> Path:
    """A train_val file of Caffe's own manner, which tells no shape of its images."""
    path = tmp_path / "lenet.prototxt"
    path.write_text(LENET)
    return path


@pytest.fixture(params=["caffe", "nvcaffe"])
def emitted(request, ribosome, tmp_path: Path) -> tuple[str, Path]:
    """A random genome and the folder with its prototxt."""
    genome = ribosome("random", "--seed", 4).stdout.strip()
    folder = tmp_path / "net"
    ribosome("decode", genome, "--backend", request.param, "-o", folder)
    return genome, folder


def test_our_own_files_give_back_the_genome(ribosome, emitted) -> None:
    """Network and solver, without any option that helps."""
    genome, folder = emitted
    options = ("--solver", folder / "solver.prototxt")
    net = folder / "train_val.prototxt"
    result = ribosome("encode", net, *options, "--shape", "1x8x8")
    assert result.stdout == f"{genome}\n", result.stderr


def test_names_of_files_do_not_matter(ribosome, emitted) -> None:
    """A file of any name is a file, not a genome."""
    _, folder = emitted
    wanted = ribosome("encode", folder / "deploy.prototxt").stdout
    (folder / "deploy.prototxt").rename(folder / "deploy")
    assert ribosome("encode", folder / "deploy").stdout == wanted != ""


def test_without_a_solver_the_batch_size_is_the_files(ribosome, emitted) -> None:
    """The rest of training are the first alleles, and that is said."""
    genome, folder = emitted
    net = folder / "train_val.prototxt"
    result = ribosome("encode", net, "--data", "digits")
    assert NO_SOLVER in result.stderr.splitlines()
    made = decode(MENNDL, from_text(MENNDL, result.stdout.strip()), DIGITS)
    wanted = decode(MENNDL, from_text(MENNDL, genome), DIGITS)
    assert made.network == wanted.network
    assert made.solver.batch_size == wanted.solver.batch_size
    assert made.solver != wanted.solver


def test_what_does_not_fit_is_said_layer_by_layer(ribosome, lenet: Path) -> None:
    """A line for each, nothing on stdout, and how to go on."""
    result = ribosome("encode", lenet, "--shape", "1x28x28")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[2:] == [
        "  ip1: bias.lr_mult = 1.0; the nearest is 2.0",
        "  ip1: bias.decay_mult = 1.0; the nearest is 0.0",
        "  ip2: weight.filler = gaussian(0.01); the nearest is xavier",
        "  ip2: bias.lr_mult = 1.0; the nearest is 2.0",
        "  ip2: bias.decay_mult = 1.0; the nearest is 0.0",
        "ribosome: error: space menndl 1 cannot express this network, for the 5 reasons "
        "above; --nearest takes the nearest values where there are any",
    ]


def test_nearest_lists_every_rounding(ribosome, lenet: Path) -> None:
    """The genome on stdout; what it has other than the file, and no more, on stderr."""
    result = ribosome("encode", lenet, "--shape", "1x28x28", "--nearest")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "images: transform_param is left out: scale",
        NO_SOLVER,
        "  ip1: bias.lr_mult 1.0 -> 2.0",
        "  ip1: bias.decay_mult 1.0 -> 0.0",
        "  ip2: weight.filler gaussian(0.01) -> xavier",
        "  ip2: bias.lr_mult 1.0 -> 2.0",
        "  ip2: bias.decay_mult 1.0 -> 0.0",
        "5 values were rounded.",
    ]
    made = decode(MENNDL, from_text(MENNDL, result.stdout.strip()), IMAGES)
    ops = [node.op for node in made.network.nodes]
    (convolution,) = [op for op in ops if isinstance(op, Convolution)]
    assert (convolution.num_output, convolution.kernel_h, convolution.pad_h) == (
        20,
        5,
        0,
    )
    assert [op.num_output for op in ops if isinstance(op, InnerProduct)] == [500, 10]
    assert made.solver.batch_size == 64


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"gaussian" std: 0.01', '"xavier"', "4 values were rounded."),
        ("kernel_size: 5", "kernel_size: 5 bias_term: false", "6 values were rounded."),
    ],
)
def test_roundings_are_counted(
    ribosome, lenet: Path, old: str, new: str, says: str
) -> None:
    """One less, one more."""
    lenet.write_text(LENET.replace(old, new))
    result = ribosome("encode", lenet, "--shape", "1x28x28", "--nearest")
    assert result.stderr.splitlines()[-1] == says


def test_an_exact_network_is_not_rounded(ribosome, emitted) -> None:
    """--nearest of what the space holds gives the same genome."""
    genome, folder = emitted
    options = ("--solver", folder / "solver.prototxt", "--shape", "1x8x8", "--nearest")
    result = ribosome("encode", folder / "train_val.prototxt", *options)
    assert result.stdout == f"{genome}\n"
    assert result.stderr.splitlines()[-1] == "Nothing was rounded."


def test_what_has_no_nearest_is_listed_whole(ribosome, tmp_path: Path) -> None:
    """Layers that no slot holds, each by name; --nearest is not advised again."""
    path = tmp_path / "net.prototxt"
    path.write_text(EVERYTHING)
    result = ribosome("encode", path, "--nearest")
    assert (result.exit_code, result.stdout) == (1, "")
    said = result.stderr.splitlines()
    listed = [line for line in said if line.startswith("  ")]
    assert "  prelu: no slot of any space holds a PReLU" in listed
    assert said[-1] == (
        "ribosome: error: space menndl 1 cannot express this network, for the "
        f"{len(listed)} reasons above; change the network, or take another space"
    )


def test_a_solver_is_rounded_too(ribosome, lenet: Path, tmp_path: Path) -> None:
    """Where the space has other values than the solver file."""
    solver = tmp_path / "solver.prototxt"
    solver.write_text(
        'base_lr: 0.0123 lr_policy: "fixed" max_iter: 100 momentum: 0.9 type: "SGD"'
    )
    options = ("--shape", "1x28x28", "--nearest", "--solver", solver)
    result = ribosome("encode", lenet, *options)
    assert result.exit_code == 0, result.stderr
    assert NO_SOLVER not in result.stderr
    assert "  solver: base_lr 0.0123 -> 0.01" in result.stderr.splitlines()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            (),
            "layer images (Data): top: its images' shape stands nowhere; give it with",
        ),
        (("--shape", "1x28x28", "--space", "mendl"), "no space is called 'mendl'"),
        (
            ("--shape", "1x28x28", "--solver", "no.prototxt"),
            "no.prototxt: No such file",
        ),
        (("--data", "nothing"), "no data set or data folder 'nothing'"),
    ],
)
def test_what_goes_wrong_is_one_line(
    ribosome, error_of, lenet: Path, options, says: str
) -> None:
    """What is lacking or misspelt."""
    assert says in error_of(ribosome("encode", lenet, *options))


def test_images_of_another_task(ribosome, lenet: Path) -> None:
    """--data and the shape that is given contradict each other."""
    result = ribosome("encode", lenet, "--shape", "1x28x28", "--data", "digits")
    assert result.exit_code == 1
    assert "takes (1, 28, 28) images, the task digits has (1, 8, 8)" in result.stderr


def test_a_network_is_no_solver(ribosome, error_of, lenet: Path) -> None:
    """The field that a solver does not have is named, with file and line."""
    options = ("--shape", "1x28x28", "--solver", lenet)
    said = error_of(ribosome("encode", lenet, *options))
    assert said == f"{lenet}:2:1: SolverParameter has no field name"


def test_several_ends(ribosome, error_of, tmp_path: Path) -> None:
    """Which to take must be said; --output says it."""
    path = tmp_path / "net.prototxt"
    ends = "".join(
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "data" top: "{name}" '
        f"inner_product_param {{ num_output: {size} }} }}\n"
        for name, size in (("a", 3), ("b", 4))
    )
    path.write_text(
        f'input: "data" input_shape {{ dim: 1 dim: 1 dim: 8 dim: 8 }}\n{ends}'
    )
    said = error_of(ribosome("encode", path))
    assert said.endswith("several outputs: a, b; choose one with --output")
    result = ribosome("encode", path, "--output", "b", "--nearest")
    made = from_text(MENNDL, result.stdout.strip())
    task = Task("x", 1, 8, 8, 4)
    assert decode(MENNDL, made, task).network.output.shape == (4,)


def test_files_of_others_are_refused_by_their_ending(ribosome, error_of) -> None:
    """Weights and the sources of other frameworks are no prototxt."""
    for name in ("w.caffemodel", "net.py", "net.onnx", "w.pt"):
        said = error_of(ribosome("encode", name))
        assert said.startswith(f"{name}: cannot be encoded; give the prototxt")


@pytest.mark.parametrize(
    "option", [("--solver", "s.prototxt"), ("--shape", "1x8x8"), ("--output", "x")]
)
def test_options_of_files_are_refused_for_genomes(
    ribosome, lenet_genomes: list[str], option
) -> None:
    """A genome has shape and solver of its own."""
    result = ribosome("encode", lenet_genomes[0], *option)
    assert result.exit_code == 2
    assert "are for a NET.prototxt" in result.stderr


def test_a_genome_longer_than_a_files_name_is_a_genome(ribosome, error_of) -> None:
    """No file is looked for that cannot exist."""
    genome = f"menndl-1-{'0' * 300}-0000"
    assert "genome is padded" in error_of(ribosome("encode", genome))


def test_a_network_of_another_space(
    ribosome, lenet_genomes: list[str], tmp_path
) -> None:
    """--space: lenet's own files back into its genome."""
    space = load_space("lenet")
    model = decode(space, from_text(space, lenet_genomes[1]), DIGITS)
    files = backend("caffe").emit(model, DIGITS)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    options = ("--solver", tmp_path / "solver.prototxt", "--data", "digits")
    net = tmp_path / "train_val.prototxt"
    result = ribosome("encode", net, *options, "--space", "lenet")
    assert result.stdout == f"{lenet_genomes[1]}\n", result.stderr
