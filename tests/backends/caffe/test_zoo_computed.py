"""Six known networks with weights: what each framework computes."""

import re
from collections.abc import Callable
from math import prod, sqrt
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from ribosome.backends.caffe.caffemodel import read_caffemodel, write_caffemodel
from ribosome.backends.caffe.read import Reading, read_network
from ribosome.backends.caffe.weights import from_caffemodel
from ribosome.backends.pytorch.emit import emit_network
from ribosome.backends.weights import Weights
from ribosome.genome.cost import parameters
from ribosome.genome.ops import BatchNorm
from tests.backends.caffe.test_zoo import convert, every, module, read
from tests.backends.caffe.zoo import ZOO, Known, googlenet

Array = NDArray[np.float32]

TOLERANCE = 1e-4  # relative to the largest logit


def random_weights(reading: Reading) -> Weights:
    """Such that values neither vanish nor grow; batch norms have seen something already."""
    rng = np.random.default_rng(3)
    shapes = {node.name: node.shape for node in reading.network.nodes}
    made: Weights = {}
    for node in reading.network.nodes[1:]:
        source = shapes[node.inputs[0]]
        blobs: dict[str, Array] = {}
        for blob, shape in parameters(node.op, source).items():
            values = rng.standard_normal(shape, np.float32)
            if blob == "weight":
                values *= np.float32(sqrt(2.0 / prod(shape[1:])))
            elif blob == "scale":
                values = 0.7 + 0.1 * values
            else:
                values *= np.float32(0.1)
            blobs[blob] = values
        if isinstance(node.op, BatchNorm):
            blobs["mean"] = rng.normal(0.0, 0.3, source[0]).astype(np.float32)
            blobs["variance"] = rng.uniform(0.5, 2.0, source[0]).astype(np.float32)
        if blobs:
            made[node.name] = blobs
    return made


def save(reading: Reading, weights: Weights, path: Path) -> None:
    """A caffemodel of the file that was read: its layers' names, statistics not divided."""
    layers: dict[str, dict[int, Array]] = {}
    for node, places in reading.blobs.items():
        blobs = dict(weights[node])
        if "factor" in places:
            factor = blobs["factor"] = np.full(1, 3.7, np.float32)
            blobs |= {blob: blobs[blob] * factor for blob in ("mean", "variance")}
        for blob, (layer, place) in places.items():
            layers.setdefault(layer, {})[place] = blobs[blob]
    write_caffemodel(
        path,
        "zoo",
        [
            (layer, "", [by[place] for place in sorted(by)])
            for layer, by in layers.items()
        ],
    )


def by_torch(reading: Reading, path: Path, images: Array) -> Array:
    """What the converted network gives with the caffemodel's weights."""
    torch = pytest.importorskip("torch", reason="install the extra: pip install torch")
    from ribosome.backends.pytorch.weights import to_state_dict

    weights = from_caffemodel(reading, read_caffemodel(path), path=str(path))
    network = module(emit_network(reading.network, "zoo")).Network().eval()
    network.load_state_dict(to_state_dict(reading.network, weights))
    with torch.no_grad():
        given: Array = network(torch.from_numpy(images)).numpy()
    return given


def by_opencv(text: str, path: Path, images: Array, output: str) -> Array:
    """What OpenCV makes of a prototxt and a caffemodel."""
    cv2 = pytest.importorskip("cv2")
    prototxt = path.with_suffix(".prototxt")
    prototxt.write_text(text)
    net = cv2.dnn.readNetFromCaffe(str(prototxt), str(path))
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    net.enableFusion(False)
    net.enableWinograd(False)
    net.setInput(images)
    given: Array = net.forward(output)
    return given


def by_caffe(layers: str, path: Path, images: Array, output: str) -> Array:
    """What `caffe test` makes of layers and a caffemodel, images from an HDF5 file."""
    from tests.backends.caffe.parity import run_caffe

    folder = path.parent
    with h5py.File(folder / "images.h5", "w") as file:
        file["data"] = images
    (folder / "images.txt").write_text(f"{folder}/images.h5\n")
    (folder / "test.prototxt").write_text(
        'layer { name: "data" type: "HDF5Data" top: "data" hdf5_data_param {'
        f' source: "{folder}/images.txt" batch_size: {len(images)} }} }}\n{layers}'
    )
    log = run_caffe(
        ["test", "-model", "test.prototxt", "-weights", str(path), "-iterations", "1"],
        folder,
    )
    values = re.findall(rf"Batch 0, {re.escape(output)} = (\S+)", log)
    return np.array(values, np.float32).reshape(len(images), -1)


def images_for(known: Known) -> Array:
    """One image of uniform noise around zero."""
    noise = np.random.default_rng(5).random((1, *known.shape), np.float32)
    return noise - np.float32(0.5)


def same(
    reading: Reading, folder: Path, images: Array, theirs: Callable[[Path], Array]
) -> bool:
    """Whether PyTorch's logits are those of another, both from one caffemodel."""
    path = folder / "net.caffemodel"
    save(reading, random_weights(reading), path)
    try:
        ours, others = by_torch(reading, path, images), theirs(path)
    finally:
        path.unlink()  # of up to 553 MB
    largest = np.abs(ours).max()
    assert 0.1 < ours.std() < largest < 1000.0
    return bool(np.abs(ours - others).max() < TOLERANCE * largest)


@every
def test_opencv_computes_what_the_converted_network_computes(
    name: str, tmp_path: Path
) -> None:
    """OpenCV reads the prototxt and the caffemodel themselves."""
    known = ZOO[name]()
    reading, images = read(known, output=known.logits), images_for(known)
    text, output = known.deploy(), known.logits
    assert same(
        reading, tmp_path, images, lambda path: by_opencv(text, path, images, output)
    )


@pytest.mark.caffe
@every
def test_caffe_computes_what_the_converted_network_computes(
    name: str, tmp_path: Path
) -> None:
    """The real Caffe reads the same files."""
    known = ZOO[name]()
    reading, images = read(known, output=known.logits), images_for(known)
    text, output = known.layers, known.logits
    assert same(
        reading, tmp_path, images, lambda path: by_caffe(text, path, images, output)
    )


@pytest.mark.caffe
@pytest.mark.parametrize("head", googlenet().heads)
def test_caffe_computes_an_auxiliary_head(head: str, tmp_path: Path) -> None:
    """Read from GoogLeNet's train_val file."""
    known = googlenet()
    reading = read_network(known.train_val(), path="f", output=head)
    images, text = images_for(known), known.layers + known.auxiliary
    assert same(
        reading, tmp_path, images, lambda path: by_caffe(text, path, images, head)
    )


SMALL = pytest.mark.parametrize(
    ("name", "line"),
    [
        ("lenet", "8 layers, 431,080 parameters, 1 x 28 x 28 to 10:"),
        ("cifar10_quick", "12 layers, 145,578 parameters, 3 x 32 x 32 to 10:"),
    ],
)


@SMALL
def test_the_command_line_converts_to_pytorch(
    name: str, line: str, tmp_path: Path
) -> None:
    """network.py and weights.pt, which it loads strictly, give OpenCV's probabilities."""
    torch = pytest.importorskip("torch", reason="install the extra: pip install torch")
    known, out = ZOO[name](), tmp_path / "out"
    net, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    net.write_text(known.deploy())
    reading = read(known)
    save(reading, random_weights(reading), weights)
    said = convert(net, "--weights", weights, "--backend", "pytorch", "-o", out)
    files = [out / "network.py", out / "weights.pt"]
    assert said.splitlines() == [f"{net}: {line}", *(f"  {file}" for file in files)]
    assert sorted(out.iterdir()) == files

    network = module(files[0].read_text()).Network().eval()
    network.load_state_dict(torch.load(files[1], weights_only=True), strict=True)
    images = images_for(known)
    with torch.no_grad():
        ours = network(torch.from_numpy(images)).numpy()
    theirs = by_opencv(known.deploy(), weights, images, "prob")
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=1e-7)


@SMALL
def test_the_command_line_converts_to_caffe(
    name: str, line: str, tmp_path: Path
) -> None:
    """deploy.prototxt and weights.caffemodel of a train_val file are its deploy form."""
    known, out = ZOO[name](), tmp_path / "out"
    net, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    net.write_text(known.train_val())
    reading = read(known)
    save(reading, random_weights(reading), weights)
    shape = "x".join(map(str, known.shape))
    said = convert(
        *(net, "--weights", weights, "--shape", shape, "--backend", "caffe", "-o", out)
    )
    files = [out / "deploy.prototxt", out / "weights.caffemodel"]
    assert sorted(out.iterdir()) == files
    # Without the Softmax, which a deploy file has behind the logits.
    count = int(line.partition(" ")[0])
    assert said.startswith(f"{net}: {line.replace(str(count), str(count - 1), 1)}")

    images = images_for(known)
    given = by_opencv(known.deploy(), weights, images, "prob")
    again = by_opencv(files[0].read_text(), files[1], images, "prob")
    np.testing.assert_array_equal(again, given)
