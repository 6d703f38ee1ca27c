"""Six known networks: what is read of them, and what is written."""

import contextlib
import io
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from ribosome.backends.caffe.emit import TRAIN_VAL, emit, emit_deploy
from ribosome.backends.caffe.read import Reading, read_network
from ribosome.backends.caffe.schema import Flavour
from ribosome.backends.pytorch.emit import emit_network
from ribosome.backends.pytorch.source import legal_names
from ribosome.genome.cost import cost
from ribosome.genome.network import Model
from ribosome.genome.task import Task
from ribosome.tools.cli import cli
from tests.backends.caffe.kit import SGD
from tests.backends.caffe.zoo import ZOO, Known, googlenet, lenet

PARAMETERS = {
    # 20 * 25 + 20, 50 * 20 * 25 + 50, 500 * 800 + 500, 10 * 500 + 10
    "lenet": 431_080,
    # 32 * 75 + 32, 32 * 800 + 32, 64 * 800 + 64, 64 * 1024 + 64, 10 * 64 + 10
    "cifar10_quick": 145_578,
    # The paper's 60 million. 34,944 + 307,456 + 885,120 + 663,936 + 442,624 of the
    # convolutions, two of them and conv5 seeing half of their input; 37,752,832 +
    # 16,781,312 + 4,097,000. torchvision's has 61,100,840: other widths, no groups.
    "alexnet": 60_965_224,
    # torchvision's vgg16. 14,714,688 + 102,764,544 + 16,781,312 + 4,097,000.
    "vgg16": 138_357_544,
    # Table 1 of the paper, with biases. torchvision's has 6,624,904: batch norm for
    # biases, and 3 x 3 kernels where the paper has 5 x 5.
    "googlenet": 6_998_552,
    # torchvision's resnet50. Its strides stand on other convolutions: as many parameters.
    "resnet50": 25_557_032,
}
SHAPES = {
    "lenet": {"conv1": (20, 24, 24), "pool1": (20, 12, 12), "pool2": (50, 4, 4)},
    "cifar10_quick": {"pool1": (32, 16, 16), "pool2": (32, 8, 8), "pool3": (64, 4, 4)},
    "alexnet": {
        "conv1": (96, 55, 55),
        "pool1": (96, 27, 27),
        "conv3": (384, 13, 13),
        "pool5": (256, 6, 6),
    },
    "vgg16": {"pool1": (64, 112, 112), "conv3_3": (256, 56, 56), "pool5": (512, 7, 7)},
    "googlenet": {
        "conv1/7x7_s2": (64, 112, 112),
        "pool1/3x3_s2": (64, 56, 56),
        "pool2/3x3_s2": (192, 28, 28),
        "inception_3a/output": (256, 28, 28),
        "inception_3b/output": (480, 28, 28),
        "inception_4a/output": (512, 14, 14),
        "inception_4e/output": (832, 14, 14),
        "inception_5b/output": (1024, 7, 7),
        "pool5/7x7_s1": (1024, 1, 1),
    },
    "resnet50": {
        "conv1": (64, 112, 112),
        "pool1": (64, 56, 56),
        "res2c": (256, 56, 56),
        "res3d": (512, 28, 28),
        "res4f": (1024, 14, 14),
        "res5c": (2048, 7, 7),
        "pool5": (2048, 1, 1),
    },
}
"""Of single layers, as the papers name them."""

every = pytest.mark.parametrize("name", ZOO)


LENET_V1 = """
name: "LeNet"
input: "data"
input_dim: 1 input_dim: 1 input_dim: 28 input_dim: 28
layers {
  name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1"
  blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
  convolution_param {
    num_output: 20 kernel_h: 5 kernel_w: 5 stride: 1
    weight_filler { type: "xavier" } bias_filler { type: "constant" }
  }
}
layers {
  name: "pool1" type: POOLING bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 }
}
layers {
  name: "conv2" type: CONVOLUTION bottom: "pool1" top: "conv2"
  blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
  convolution_param {
    num_output: 50 kernel_size: 5 kernel_size: 5
    weight_filler { type: "xavier" } bias_filler { type: "constant" }
  }
}
layers {
  name: "pool2" type: POOLING bottom: "conv2" top: "pool2"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 }
}
layers {
  name: "ip1" type: INNER_PRODUCT bottom: "pool2" top: "ip1"
  blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
  inner_product_param {
    num_output: 500
    weight_filler { type: "xavier" } bias_filler { type: "constant" }
  }
}
layers { name: "relu1" type: RELU bottom: "ip1" top: "ip1" }
layers {
  name: "ip2" type: INNER_PRODUCT bottom: "ip1" top: "ip2"
  blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
  inner_product_param {
    num_output: 10
    weight_filler { type: "xavier" } bias_filler { type: "constant" }
  }
}
layers { name: "prob" type: SOFTMAX bottom: "ip2" top: "prob" }
"""
"""LeNet in the form of 2014: V1 layers, input_dim, kernel_size twice."""


def read(known: Known, output: str | None = None) -> Reading:
    """What the deploy file says."""
    return read_network(known.deploy(), path="deploy", output=output)


def task_of(known: Known, classes: int) -> Task:
    """A task that the network is for."""
    return Task(known.name, *known.shape, classes, val=50)


@every
def test_parameters_are_those_known(name: str) -> None:
    """A batch norm's scale and shift are learned, its statistics are not."""
    assert cost(read(ZOO[name]()).network).parameters == PARAMETERS[name]


@pytest.mark.parametrize(
    ("name", "products"),
    [
        ("vgg16", 15.47),  # torchvision's figure
        ("resnet50", 3.86),  # "3.8" in table 1 of the paper, which cuts it
        ("alexnet", 0.724),  # counted by hand
    ],
)
def test_products_are_those_known(name: str, products: float) -> None:
    """Multiplications of an image, in billions."""
    found = cost(read(ZOO[name]()).network).forward_flops / 2e9
    assert found == pytest.approx(products, rel=1e-3)


@every
def test_inner_shapes_are_those_of_the_papers(name: str) -> None:
    """And an image of the paper's size goes in, a value for every class comes out."""
    known = ZOO[name]()
    network = read(known).network
    shapes = {node.name: node.shape for node in network.nodes}
    assert shapes["data"] == known.shape
    assert {layer: shapes[layer] for layer in SHAPES[name]} == SHAPES[name]
    assert network.output.shape == ((1000,) if known.shape[1] > 32 else (10,))


@every
def test_both_forms_and_both_phases_are_one_network(name: str) -> None:
    """The train_val file is, in each phase, the deploy file up to its logits."""
    known = ZOO[name]()
    logits = read(known, output=known.logits).network
    # Of what is not cropped, no file tells the size.
    shape = None if "crop_size" in known.transform else known.shape
    for phase, batch in (("TRAIN", 32), ("TEST", 50)):
        reading = read_network(known.train_val(), path="f", phase=phase, shape=shape)  # type: ignore[arg-type]
        assert reading.network == logits
        assert reading.batch_size == batch


def test_auxiliary_heads_are_left_out_and_said() -> None:
    """Their losses count less than the last one."""
    measures, branches, _ = read_network(googlenet().train_val(), path="f").notes
    assert "loss1/loss (SoftmaxWithLoss), loss1/top-1 (Accuracy)" in measures
    assert branches.count("loss1/") == branches.count("loss2/") == 7


def test_an_auxiliary_head_can_be_read() -> None:
    """With what it has learned: a 1 x 1 convolution and two inner products."""
    text = googlenet().train_val()
    head = read_network(text, path="f", output="loss2/classifier").network
    costs = {row.name: row.parameters for row in cost(head).rows}
    learned = [count for layer, count in costs.items() if layer.startswith("loss2/")]
    assert sum(learned) == (528 * 128 + 128) + (2048 * 1024 + 1024) + (
        1024 * 1000 + 1000
    )
    assert "inception_4d/output" in costs
    assert "inception_4e/1x1" not in costs


def test_the_old_form_is_the_same_network() -> None:
    """V1 layers, input_dim, blobs_lr and weight_decay: LeNet as of 2014 and of today."""
    old, new = read_network(LENET_V1, path="f"), read(lenet())
    assert old.network == new.network
    assert old.blobs == new.blobs


@pytest.mark.parametrize("flavour", ["caffe", "nvcaffe"])
@every
def test_what_is_written_again_reads_as_the_same_network(
    name: str, flavour: Flavour
) -> None:
    """Both the deploy and the train_val file."""
    known = ZOO[name]()
    network = read(known).network
    task = task_of(known, network.output.shape[0])
    written = emit_deploy(Model(network, SGD), task, flavour)
    assert read_network(written, path="f").network == network

    logits = read(known, output=known.logits).network
    written = emit(Model(logits, SGD), task, flavour)[TRAIN_VAL]
    assert read_network(written, path="f", shape=known.shape).network == logits


@every
def test_modules_are_formatted(name: str, tmp_path: Path) -> None:
    """Ruff's formatter leaves them as they are, and its linter finds nothing."""
    (tmp_path / "network.py").write_text(emit_network(read(ZOO[name]()).network, name))
    for command in (["format", "--check"], ["check"]):
        ruff = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--quiet", "."],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert ruff.returncode == 0, ruff.stdout


def module(source: str) -> ModuleType:
    """The module of a source text."""
    made = ModuleType("network")
    exec(compile(source, "network.py", "exec"), made.__dict__)  # noqa: S102 - our own text
    return made


@every
def test_main_shows_the_inferred_shapes(name: str) -> None:
    """The module runs by itself: every layer leaves what was inferred, in a batch of two."""
    pytest.importorskip("torch", reason="install the extra: pip install torch")
    network = read(ZOO[name]()).network
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        module(emit_network(network, name)).main()
    shown = dict(line.split(maxsplit=1) for line in printed.getvalue().splitlines())
    names = legal_names(node.name for node in network.nodes)
    inferred = {names[node.name]: str((2, *node.shape)) for node in network.nodes}
    assert shown == {layer: inferred[layer] for layer in shown}
    assert names[network.nodes[-2].name] in shown  # the logits'


def convert(*arguments: object) -> str:
    """What `ribosome convert` says."""
    texts = [str(argument) for argument in arguments]
    result = CliRunner().invoke(cli, ["convert", *texts], prog_name="ribosome")
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_line_converts_the_old_form_to_the_same_files(
    tmp_path: Path,
) -> None:
    """LeNet in V1 layers and LeNet of today."""
    sources = []
    for form, text in (("old", LENET_V1), ("new", lenet().deploy())):
        folder = tmp_path / form
        folder.mkdir()
        (folder / "lenet.prototxt").write_text(text)
        convert(folder / "lenet.prototxt", "-o", folder / "out")
        sources.append((folder / "out" / "network.py").read_text())
    assert sources[0] == sources[1]
