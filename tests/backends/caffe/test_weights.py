"""Weights between caffemodels and nodes; what is computed with them, against OpenCV."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ribosome.backends.caffe.caffemodel import read_caffemodel, write_caffemodel
from ribosome.backends.caffe.emit import emit_deploy
from ribosome.backends.caffe.read import Reading, read_network
from ribosome.backends.caffe.weights import from_caffemodel, read_weights, to_caffemodel
from ribosome.backends.weights import Weights
from ribosome.genome.cost import parameters
from ribosome.genome.errors import ReadError
from ribosome.genome.network import Network
from ribosome.genome.ops import BatchNorm
from ribosome.genome.task import DIGITS
from tests.backends.caffe.kit import random_models
from tests.backends.caffe.networks import EVERYTHING, V1


def random_weights(network: Network, seed: int = 1) -> Weights:
    """Small numbers for every blob; variances are positive."""
    rng = np.random.default_rng(seed)
    shapes = {node.name: node.shape for node in network.nodes}
    made: Weights = {}
    for node in network.nodes[1:]:
        source = shapes[node.inputs[0]]
        blobs = {
            name: rng.normal(0.0, 0.3, shape).astype(np.float32)
            for name, shape in parameters(node.op, source).items()
        }
        if isinstance(node.op, BatchNorm):
            blobs["mean"] = rng.normal(size=source[:1]).astype(np.float32)
            blobs["variance"] = rng.uniform(0.5, 2.0, source[:1]).astype(np.float32)
        if blobs:
            made[node.name] = blobs
    return made


def saved(reading: Reading, weights: Weights, folder: Path) -> Path:
    """The weights as a caffemodel."""
    path = folder / "net.caffemodel"
    write_caffemodel(path, "net", to_caffemodel(reading.network, weights))
    return path


def equal(left: Weights, right: Weights) -> bool:
    """Whether all blobs are the same."""
    return left.keys() == right.keys() and all(
        left[node].keys() == right[node].keys()
        and all(np.array_equal(left[node][b], right[node][b]) for b in left[node])
        for node in left
    )


def computed(network: Network, weights: Weights, images: NDArray[np.float32]) -> object:
    """What the PyTorch module of a network computes with such weights."""
    torch = pytest.importorskip("torch")
    from ribosome.backends.pytorch.weights import to_state_dict
    from tests.backends.pytorch.module_kit import load

    module = load(network)
    module.load_state_dict(to_state_dict(network, weights))
    with torch.no_grad():
        return module(torch.from_numpy(images)).numpy()


def opencv(text: str, model: Path, images: NDArray[np.float32], output: str) -> object:
    """What OpenCV computes of a prototxt and a caffemodel."""
    cv2 = pytest.importorskip("cv2")
    prototxt = model.with_suffix(".prototxt")
    prototxt.write_text(text)
    network = cv2.dnn.readNetFromCaffe(str(prototxt), str(model))
    network.setInput(images)
    return network.forward(output)


@pytest.mark.parametrize("text", [V1, EVERYTHING], ids=["V1", "EVERYTHING"])
def test_weights_go_to_a_file_and_back(text: str, tmp_path: Path) -> None:
    """Every blob of every node, a BatchNorm's mean and variance too."""
    reading = read_network(text, path="f")
    weights = random_weights(reading.network)
    path = saved(reading, weights, tmp_path)
    found = from_caffemodel(reading, read_caffemodel(path), path=str(path))
    assert equal(found, weights)


@pytest.mark.parametrize(
    ("text", "output"), [(V1, "ip"), (EVERYTHING, "tanh")], ids=["V1", "EVERYTHING"]
)
def test_opencv_computes_what_we_read(text: str, output: str, tmp_path: Path) -> None:
    """The same file and weights, read by two programs, give the same before a softmax."""
    reading = read_network(text, path="f", output="ip")
    weights = random_weights(reading.network)
    path = saved(reading, weights, tmp_path)
    shape = reading.network.input.shape
    images = np.random.default_rng(2).normal(size=(1, *shape)).astype(np.float32)
    expected = opencv(text, path, images, output)
    found = computed(reading.network, weights, images)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)  # type: ignore[arg-type]


def test_opencv_computes_what_we_emit(tmp_path: Path) -> None:
    """Random genomes as deploy files, read back: the same probabilities."""
    rng = np.random.default_rng(3)
    for model in random_models(10, DIGITS, seed=11):
        text = emit_deploy(model, DIGITS, "caffe")
        reading = read_network(text, path="f")
        weights = random_weights(reading.network)
        path = saved(reading, weights, tmp_path)
        images = rng.normal(size=(1, *DIGITS.shape)).astype(np.float32)
        expected = opencv(text, path, images, reading.network.output.name)
        found = computed(reading.network, weights, images)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)  # type: ignore[arg-type]


BATCH_NORM = """
input: "data" input_dim: [1, 2, 3, 3]
layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" }
"""


@pytest.mark.parametrize(("factor", "share"), [(4.0, 0.25), (0.0, 0.0)])
def test_statistics_are_divided_by_their_factor(factor: float, share: float) -> None:
    """Caffe keeps sums; a factor of zero, before any training, means zeros."""
    reading = read_network(BATCH_NORM, path="f")
    blobs = [np.array(b, np.float32) for b in ([1, 2], [3, 4], [factor])]
    found = from_caffemodel(reading, {"bn": blobs}, path="w")["bn"]
    np.testing.assert_array_equal(found["mean"], [share, 2 * share])
    np.testing.assert_array_equal(found["variance"], [3 * share, 4 * share])


def test_shapes_of_four_axes_fit() -> None:
    """V1 files have (1, 1, out, in) for an inner product and (1, 1, 1, out) for a bias."""
    reading = read_network(V1, path="f")
    weights = random_weights(reading.network)
    layers = {
        name: [blob.reshape((1,) * (4 - blob.ndim) + blob.shape) for blob in blobs]
        for name, _, blobs in to_caffemodel(reading.network, weights)
    }
    assert equal(from_caffemodel(reading, layers, path="w"), weights)


def test_weights_of_layers_that_were_left_out_are_ignored() -> None:
    """A caffemodel of the train network has auxiliary branches."""
    reading = read_network(V1, path="f")
    weights = random_weights(reading.network)
    layers = {name: blobs for name, _, blobs in to_caffemodel(reading.network, weights)}
    layers["aux"] = [np.zeros(3, np.float32)]
    assert equal(from_caffemodel(reading, layers, path="w"), weights)


@pytest.mark.parametrize(
    ("blobs", "error"),
    [
        ({}, "w: no weights for layer bn"),
        ({"bn1": []}, r"w: no weights for layer bn; did you mean bn1\?"),
        ({"bn": [2]}, "w: layer bn has 1 blobs, blob 1 is wanted"),
        ({"bn": [2, 5, 1]}, r"blob 1 has the shape \(5,\), the network wants \(2,\)"),
    ],
)
def test_weights_of_another_network_are_refused(
    blobs: dict[str, list[int]], error: str
) -> None:
    """With the layer and the blob."""
    layers = {
        name: [np.zeros(size, np.float32) for size in sizes]
        for name, sizes in blobs.items()
    }
    with pytest.raises(ReadError, match=error):
        from_caffemodel(read_network(BATCH_NORM, path="f"), layers, path="w")


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        ({}, r"bn: mean is missing, the network wants \(2,\)"),
        (
            {"bn": {"mean": np.zeros(3, np.float32)}},
            r"bn: mean has the shape \(3,\), the network wants \(2,\)",
        ),
    ],
)
def test_weights_that_lack_a_blob_are_not_written(weights: Weights, error: str) -> None:
    """With the node and the blob."""
    network = read_network(BATCH_NORM, path="f").network
    with pytest.raises(ReadError, match=error):
        to_caffemodel(network, weights)


def test_weights_that_we_wrote_are_read_without_the_prototxt(tmp_path: Path) -> None:
    """By the network alone, batch norms' scales and statistics included."""
    path = tmp_path / "net.caffemodel"
    for drawn in random_models(20, DIGITS):
        weights = random_weights(drawn.network)
        write_caffemodel(path, "net", to_caffemodel(drawn.network, weights))
        assert equal(read_weights(path, drawn.network), weights), drawn.genome
