"""What a real Caffe reads from our LMDB and HDF5."""

import re
from pathlib import Path

import numpy as np
import pytest

from ribosome.backends.caffe.data import Layer, prepared
from ribosome.backends.data import open_arrays
from tests.backends.caffe.data_kit import MEAN, SCALE, make_data
from tests.backends.caffe.kit import run_caffe

pytestmark = pytest.mark.caffe

BATCH, ITERATIONS = 3, 4

LMDB = """
layer {{ name: "data" type: "Data" top: "data" top: "label"
  transform_param {{ mean_value: {mean[0]} mean_value: {mean[1]} scale: {scale} }}
  data_param {{ source: "{source}" batch_size: {batch} backend: LMDB }} }}
"""
HDF5 = """
layer {{ name: "data" type: "HDF5Data" top: "data" top: "label"
  hdf5_data_param {{ source: "{source}" batch_size: {batch} }} }}
"""


def seen_by_caffe(source: str, layer: Layer, folder: Path) -> tuple[list, list]:
    """Pixels and labels of some batches, as `caffe test` prints tops that none reads."""
    text = (LMDB if layer == "lmdb" else HDF5).format(
        source=source, mean=MEAN, scale=SCALE, batch=BATCH
    )
    (folder / "net.prototxt").write_text(text)
    (folder / "none.caffemodel").write_bytes(b"")
    command = ["test", "-model", "net.prototxt", "-weights", "none.caffemodel"]
    log = run_caffe([*command, "-iterations", str(ITERATIONS)], folder)
    return tuple(
        [float(value) for value in re.findall(rf"Batch \d+, {top} = (\S+)", log)]
        for top in ("data", "label")
    )


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("layer", ["lmdb", "hdf5"])
def test_caffe_sees_what_the_arrays_say(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    layer: Layer,
    dtype: str,
    part: str,
    split: bool,
) -> None:
    """Rows (i * batch + arange(batch)) % n, of (pixel - mean) * scale, to six digits."""
    if split:  # several transactions, several files
        monkeypatch.setattr("ribosome.backends.caffe.hdf5_data.FILE_BYTES", 300)
        monkeypatch.setattr("ribosome.backends.caffe.lmdb_data.BLOCK_BYTES", 50)
    data = str(make_data(tmp_path / "data", dtype=dtype))
    images, labels = (
        getattr(open_arrays(data), f"{part}_{kind}") for kind in ("images", "labels")
    )
    source = getattr(prepared(data, layer), part)
    rows = np.arange(ITERATIONS * BATCH) % len(labels)
    mean = np.float32(MEAN)[:, None, None]
    wanted = (images[rows].astype(np.float32) - mean) * np.float32(SCALE)
    printed = [float(f"{value:.6g}") for value in wanted.ravel()]
    assert seen_by_caffe(source, layer, tmp_path) == (printed, labels[rows].tolist())
