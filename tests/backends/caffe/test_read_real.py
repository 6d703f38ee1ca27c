"""What we read and write, against the real Caffe."""

import re
from pathlib import Path

import numpy as np
import pytest

from ribosome.backends.caffe.caffemodel import read_caffemodel, write_caffemodel
from ribosome.backends.caffe.read import read_network
from ribosome.backends.caffe.weights import from_caffemodel, to_caffemodel
from tests.backends.caffe.kit import run_caffe
from tests.backends.caffe.networks import EVERYTHING, EVERYTHING_INPUT, V1, V1_INPUT
from tests.backends.caffe.test_weights import computed, equal, random_weights

pytestmark = pytest.mark.caffe


DUMMY = """ {{
  name: "data" top: "data" type: {}
  dummy_data_param {{
    data_filler {{ value: 0.7 }} shape {{ dim: 1 dim: {} dim: {} dim: {} }}
  }}
}}
"""
TERM = 'type: "Scale" bottom: "factor" top: "term"\n  scale_param { bias_term: true }'
FED = {
    "V1": V1.replace(V1_INPUT, "layers" + DUMMY.format("DUMMY_DATA", 3, 12, 10)),
    "EVERYTHING": EVERYTHING.replace(
        EVERYTHING_INPUT, "layer" + DUMMY.format('"DummyData"', 4, 12, 12)
    ).replace(TERM, 'type: "Bias" bottom: "factor" top: "term"'),
}
"""Networks whose images are all 0.7."""


@pytest.mark.parametrize("name", FED)
def test_caffe_computes_what_we_read(name: str, tmp_path: Path) -> None:
    """With weights that we wrote: it prints the values of the blob that nothing reads."""
    text = FED[name]
    reading = read_network(text, path="f")
    weights = random_weights(reading.network)
    write_caffemodel(tmp_path / "w", "n", to_caffemodel(reading.network, weights))
    (tmp_path / "net.prototxt").write_text(text)
    command = ["test", "-model", "net.prototxt", "-weights", "w", "-iterations", "1"]
    log = run_caffe(command, tmp_path)
    printed = [float(v) for v in re.findall(r"Batch 0, prob = (\S+)", log)]
    images = np.full((1, *reading.network.input.shape), 0.7, np.float32)
    found = computed(reading.network, weights, images)
    np.testing.assert_allclose(np.ravel(found), printed, rtol=1e-4, atol=1e-6)  # type: ignore[arg-type]


def test_weights_that_caffe_saved_are_read(tmp_path: Path) -> None:
    """A snapshot of a run that learns nothing holds the weights that it began with."""
    head = FED["EVERYTHING"]
    text = (
        head
        + 'layer { name: "zero" type: "EuclideanLoss" bottom: "prob" bottom: "prob" }'
    )
    reading = read_network(head, path="f")
    weights = random_weights(reading.network)
    write_caffemodel(tmp_path / "w", "n", to_caffemodel(reading.network, weights))
    (tmp_path / "net.prototxt").write_text(text)
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0 lr_policy: "fixed" max_iter: 1 solver_mode: CPU'
        ' snapshot_prefix: "s" random_seed: 1'
    )
    run_caffe(["train", "-solver", "solver.prototxt", "-weights", "w"], tmp_path)
    path = tmp_path / "s_iter_1.caffemodel"
    found = from_caffemodel(reading, read_caffemodel(path), path=str(path))
    for made in (weights, found):  # training adds to the statistics
        del made["bn"]["mean"], made["bn"]["variance"]
    assert equal(found, weights)
