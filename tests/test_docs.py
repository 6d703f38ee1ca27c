"""The docs: what they show is what the program does."""

import re
from pathlib import Path

from click.testing import CliRunner

from ribosome.backends.caffe.graph import DATA
from ribosome.backends.caffe.read_layers import READERS
from ribosome.tools.cli import COMMANDS, cli

TOP = Path(__file__).parents[1]
CAFFE = (TOP / "docs" / "caffe.md").read_text()
PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]

SMALL = """
layer {
  name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } }
}
layer {
  name: "first" type: "Convolution" bottom: "data" top: "first"
  param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param {
    num_output: 200 kernel_size: 5 pad: 2
    weight_filler { type: "gaussian" std: 0.02 }
  }
}
layer { name: "relu1" type: "ReLU" bottom: "first" top: "first" }
layer {
  name: "pool1" type: "Pooling" bottom: "first" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 }
}
layer {
  name: "classes" type: "InnerProduct" bottom: "pool1" top: "classes"
  param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 7 weight_filler { type: "xavier" } }
}
layer { name: "prob" type: "Softmax" bottom: "classes" top: "prob" }
"""
"""The network of the example of `ribosome encode --nearest`."""


def test_the_example_of_encode_is_true(tmp_path: Path) -> None:
    """Genome, roundings and their count stand in the docs as they are printed."""
    path = tmp_path / "small.prototxt"
    path.write_text(SMALL)
    result = CliRunner().invoke(cli, ["encode", str(path), "--nearest"])
    printed = f"$ ribosome encode small.prototxt --nearest\n{result.output}"
    assert result.exit_code == 0
    assert f"```\n{printed}```" in CAFFE


def test_every_type_that_is_read_is_listed() -> None:
    """The table of types has the readers' own, and those that are not one op."""
    table = re.findall(
        r"^\| (?:data|layers|structure) \| (.+) \|$", CAFFE, re.MULTILINE
    )
    listed = {name for row in table for name in row.split(", ")}
    assert listed == {*READERS, *DATA, "Split", "Slice"}


def test_commands_in_the_docs_exist() -> None:
    """Each `ribosome NAME` of README and docs is a command with those options."""
    for page in PAGES:
        for name, rest in re.findall(
            r"ribosome ([a-z]+)\b([^`\n#]*)", page.read_text()
        ):
            if name not in COMMANDS:
                continue
            options = re.findall(r"(?<= )--[a-z-]+", rest)
            # Of a group such as `data`, the command is the next word.
            group = [name, *re.findall(r"^ (list|info|convert)\b", rest)]
            words = group if name == "data" else [name]
            said = CliRunner().invoke(cli, [*words, "--help"]).output
            for option in options:
                assert option in said, f"{page.name}: {' '.join(words)} {option}"


def test_links_lead_somewhere() -> None:
    """Relative links between the pages."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^):#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
