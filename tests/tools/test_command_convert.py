"""`ribosome convert`: networks of Caffe's, with and without weights, and what goes wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from numpy.typing import NDArray

from ribosome.backends.caffe.caffemodel import read_caffemodel, write_caffemodel
from ribosome.backends.caffe.read import read_network
from ribosome.backends.caffe.weights import to_caffemodel
from ribosome.tools.networks import LARGEST, read_file
from tests.backends.caffe.networks import LENET, V1
from tests.backends.caffe.test_weights import opencv, random_weights

CHOICES = """
layer {
  name: "in" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 2 dim: 6 dim: 6 } }
}
layer { name: "same" type: "TanH" bottom: "data" top: "same" }
layer {
  name: "more" type: "Sigmoid" bottom: "same" top: "more" include { stage: "more" }
}
layer {
  name: "wide" type: "InnerProduct" bottom: "same" top: "out" include { phase: TRAIN }
  inner_product_param { num_output: 5 }
}
layer {
  name: "narrow" type: "InnerProduct" bottom: "same" top: "out" include { phase: TEST }
  inner_product_param { num_output: 3 }
}
"""
"""A network whose layers differ by phase and stage."""

Net = Callable[[str], Path]


@pytest.fixture
def net(tmp_path: Path) -> Net:
    """Write a text as net.prototxt."""

    def write(text: str) -> Path:
        path = tmp_path / "net.prototxt"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def old(net: Net, tmp_path: Path) -> tuple[Path, Path]:
    """A network of the V1 form and weights for it."""
    path = net(V1)
    network = read_network(V1, path="old").network
    model = tmp_path / "net.caffemodel"
    write_caffemodel(model, "old", to_caffemodel(network, random_weights(network)))
    return path, model


def by_torch(folder: Path, images: NDArray[np.float32]) -> Any:
    """What the module and the weights in a folder compute, by torch alone."""
    torch = pytest.importorskip("torch")
    scope: dict[str, Any] = {"__name__": "network"}
    exec((folder / "network.py").read_text(), scope)  # noqa: S102 - our own text
    network = scope["Network"]()
    network.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    with torch.no_grad():
        return network.eval()(torch.from_numpy(images)).numpy()


def test_what_is_written_for_pytorch(ribosome, old, tmp_path: Path) -> None:
    """Module and weights compute what OpenCV computes of the prototxt and caffemodel."""
    prototxt, model = old
    out = tmp_path / "out"
    result = ribosome("convert", prototxt, "--weights", model, "-o", out)
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in out.iterdir()) == ["network.py", "weights.pt"]
    images = np.random.default_rng(3).normal(size=(4, 3, 12, 10)).astype(np.float32)
    wanted = opencv(V1, model, images, "prob")
    assert np.allclose(by_torch(out, images), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("backend", ["caffe", "nvcaffe"])
def test_what_is_written_for_caffe(ribosome, old, tmp_path: Path, backend: str) -> None:
    """A deploy file of today's form, which computes what the old one computes."""
    prototxt, model = old
    out = tmp_path / "out"
    options = ("--backend", backend, "--weights", model)
    result = ribosome("convert", prototxt, *options, "-o", out)
    assert result.exit_code == 0, result.stderr
    text = (out / "deploy.prototxt").read_text()
    assert "layers {" not in text
    images = np.random.default_rng(3).normal(size=(4, 3, 12, 10)).astype(np.float32)
    wanted = opencv(V1, model, images, "prob")
    ours = opencv(text, out / "weights.caffemodel", images, "prob")
    assert np.allclose(ours, wanted, rtol=1e-5, atol=1e-7)
    assert len(read_caffemodel(out / "weights.caffemodel")) == 2


def test_what_is_said(ribosome, old, tmp_path: Path) -> None:
    """Layers, parameters and shapes, then the files; nothing on stderr."""
    result = ribosome("convert", old[0], "-o", tmp_path / "out")
    assert result.stderr == ""
    assert result.stdout == (
        f"{old[0]}: 4 layers, 2,517 parameters, 3 x 12 x 10 to 5:\n"
        f"  {tmp_path / 'out' / 'network.py'}\n"
    )


def test_what_is_left_out_is_said_on_stderr(ribosome, net: Net, tmp_path: Path) -> None:
    """A branch, a measure, and what the data layer does to images."""
    options = ("--shape", "1x28x28", "--output", "ip1")
    result = ribosome("convert", net(LENET), *options, "-o", tmp_path / "out")
    assert "4 layers, 1,441,020 parameters, 1 x 28 x 28 to 500" in result.stdout
    assert result.stderr.splitlines() == [
        "left out, they only measure or end: accuracy (Accuracy), loss (SoftmaxWithLoss)",
        "left out, the output does not depend on them: ip2 (InnerProduct)",
        "images: transform_param is left out: scale",
    ]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "2 layers, 219 parameters, 2 x 6 x 6 to 3"),
        (("--phase", "train"), "2 layers, 365 parameters, 2 x 6 x 6 to 5"),
        (
            ("--stage", "x", "--stage", "more", "--output", "more"),
            "2 layers, 0 parameters, 2 x 6 x 6 to 2 x 6 x 6",
        ),
        (("--shape", "1x4x5"), "2 layers, 63 parameters, 1 x 4 x 5 to 3"),
    ],
)
def test_phase_stage_and_shape(
    ribosome, net: Net, tmp_path: Path, options, says: str
) -> None:
    """Each option picks other layers, or another size of them."""
    result = ribosome("convert", net(CHOICES), *options, "-o", tmp_path / "out")
    assert says in result.stdout


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        (LENET, (), "net.prototxt:9: layer images (Data): top: its images' shape "),
        (
            LENET,
            ("--output", "conv9"),
            "no blob or layer conv9 to end in; did you mean",
        ),
        (
            CHOICES,
            ("--stage", "more"),
            "the network has several outputs: more, out; choose one with --output",
        ),
        (
            V1.replace("type: RELU", "type: EMBED"),
            (),
            "net.prototxt:10:29: V1LayerParameter.type cannot be EM",
        ),
        (
            CHOICES.replace('"TanH"', '"Embed"'),
            (),
            "net.prototxt:6: layer same (Embed): type: a layer Embed cannot be read",
        ),
        (
            V1.replace("kernel_size: 3", "kernel_sise: 3"),
            (),
            "net.prototxt:8:37: ConvolutionParameter has no field kernel_sise; did you",
        ),
        (V1 + "layers {", (), "the file ends inside"),
        ("", (), "net.prototxt: the network has no layers"),
        (
            V1,
            ("--backend", "caff"),
            "no backend is called 'caff'; did you mean 'caffe'?",
        ),
        (V1, ("--weights", "w.caffemodel"), "w.caffemodel: No such file or directory"),
    ],
)
def test_what_cannot_be_converted(
    ribosome, error_of, net: Net, tmp_path: Path, text: str, options, says: str
) -> None:
    """One line with file, line, layer and field, or what the option should be."""
    out = tmp_path / "out"
    assert says in error_of(ribosome("convert", net(text), *options, "-o", out))
    assert not out.exists()


def test_a_file_that_is_not_there(ribosome, error_of, tmp_path: Path) -> None:
    """The path, and why."""
    path = tmp_path / "none.prototxt"
    said = error_of(ribosome("convert", path, "-o", tmp_path / "out"))
    assert said == f"{path}: No such file or directory; check the path"


def test_binary_garbage(ribosome, error_of, tmp_path: Path) -> None:
    """No text: perhaps the weights, which have an option of their own."""
    path = tmp_path / "net.prototxt"
    path.write_bytes(b"\n\x05LeNet\xa2\x06\xff\x00")
    said = error_of(ribosome("convert", path, "-o", tmp_path / "out"))
    assert "not text" in said
    assert "--weights" in said


@pytest.mark.parametrize("place", ["net", "--weights", "-o"])
def test_folders_and_files_in_each_others_place(
    ribosome, old, tmp_path: Path, place: str
) -> None:
    """A usage error that names the argument."""
    arguments = {"net": old[0], "--weights": old[1], "-o": tmp_path / "out"}
    arguments[place] = old[0] if place == "-o" else tmp_path
    net = arguments.pop("net")
    options = [word for pair in arguments.items() for word in pair]
    result: Result = ribosome("convert", net, *options)
    assert result.exit_code == 2
    assert f"Invalid value for '{place.replace('net', 'NET')}'" in result.stderr


@pytest.mark.parametrize(
    "shape", ["28x28", "1x0x3", "axbxc", "1x28x28x1", "-1x2x2", ""]
)
def test_a_shape_that_is_none(ribosome, net: Net, tmp_path: Path, shape: str) -> None:
    """A usage error with an example."""
    options = (f"--shape={shape}", "-o", tmp_path / "out")
    result = ribosome("convert", net(V1), *options)
    assert result.exit_code == 2
    assert "is no CxHxW, as in 3x224x224" in result.stderr


def test_weights_of_another_network(
    ribosome, error_of, old, net: Net, tmp_path: Path
) -> None:
    """The layer without weights is named; or the blob of another shape."""
    _, model = old
    out = tmp_path / "out"
    renamed = net(V1.replace('name: "conv"', 'name: "first"'))
    said = error_of(ribosome("convert", renamed, "--weights", model, "-o", out))
    assert said.startswith(f"{model}: no weights for layer first")
    wider = net(V1.replace("num_output: 4", "num_output: 6"))
    said = error_of(ribosome("convert", wider, "--weights", model, "-o", out))
    assert (
        "layer conv: blob 0 has the shape (4, 3, 3, 3), the network wants (6," in said
    )
    assert not out.exists()


def test_weights_that_are_no_caffemodel(
    ribosome, error_of, net: Net, tmp_path: Path
) -> None:
    """The prototxt once more, or half a file."""
    path = net(V1)
    said = error_of(ribosome("convert", path, "--weights", path, "-o", tmp_path / "o"))
    assert said.startswith(f"{path}: no caffemodel, or a damaged one")


def test_nothing_is_overwritten(ribosome, error_of, old, tmp_path: Path) -> None:
    """A file that differs stops all of it; the same one does not."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "weights.pt").write_text("mine")
    said = error_of(ribosome("convert", old[0], "--weights", old[1], "-o", out))
    assert "weights.pt: exists and differs" in said
    assert not (out / "network.py").exists()
    (out / "weights.pt").unlink()
    for _ in range(2):
        assert ribosome("convert", old[0], "-o", out).exit_code == 0


def test_names_of_layers_are_no_paths(ribosome, net: Net, tmp_path: Path) -> None:
    """Quotes, line breaks and dots in names stay in the text."""
    text = V1.replace('name: "conv"', 'name: "../a\\"b\\n"')
    for backend in ("pytorch", "caffe"):
        out = tmp_path / backend
        result = ribosome("convert", net(text), "--backend", backend, "-o", out)
        assert result.exit_code == 0, result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        "net.prototxt",
        "pytorch",
        "caffe",
    }
    again = ribosome(
        "convert", tmp_path / "caffe" / "deploy.prototxt", "-o", tmp_path / "again"
    )
    assert "2,517 parameters" in again.stdout
    compile((tmp_path / "pytorch" / "network.py").read_text(), "network.py", "exec")


def test_no_more_is_read_than_a_prototxt_has(
    error_of, ribosome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file without an end, such as /dev/zero, does not fill the memory."""
    assert read_file(Path("/dev/null")) == b""
    assert LARGEST < 1 << 30
    monkeypatch.setattr("ribosome.tools.networks.LARGEST", 1 << 20)
    said = error_of(ribosome("convert", "/dev/zero", "-o", tmp_path / "out"))
    assert said == "/dev/zero: more than 1 MiB; this is no prototxt"
