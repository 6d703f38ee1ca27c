"""Weights in Caffe's binary files, against protobuf's own classes and OpenCV."""

import contextlib
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ribosome.backends.caffe import caffemodel
from ribosome.backends.caffe.caffemodel import Layer, read_caffemodel, write_caffemodel
from ribosome.backends.caffe.schema import Message, message
from ribosome.genome.errors import ReadError


def values(*shape: int) -> NDArray[np.float32]:
    """Different numbers in every place."""
    count = int(np.prod(shape))
    return (np.arange(count, dtype=np.float32) / 7 - 1).reshape(shape)


LAYERS: list[Layer] = [
    ("conv", "Convolution", [values(4, 3, 2, 5), values(4)]),
    ("prelu", "PReLU", [values()]),
    ("ip", "InnerProduct", [values(10, 300)]),
]


def saved(folder: Path, network: Message) -> Path:
    """A network as protobuf writes it."""
    path = folder / "net.caffemodel"
    path.write_bytes(network.SerializeToString())
    return path


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    """Names, shapes and bits of all blobs."""
    path = tmp_path / "net.caffemodel"
    write_caffemodel(path, "net", LAYERS)
    found = read_caffemodel(path)
    assert list(found) == [name for name, _, _ in LAYERS]
    for name, _, blobs in LAYERS:
        for ours, theirs in zip(blobs, found[name], strict=True):
            assert theirs.dtype == np.float32
            np.testing.assert_array_equal(ours, theirs, strict=True)


def test_protobuf_reads_what_was_written(tmp_path: Path) -> None:
    """Caffe's own library finds name, type, shape and values in their fields."""
    path = tmp_path / "net.caffemodel"
    write_caffemodel(path, "net", LAYERS)
    network = message("NetParameter", "caffe").FromString(path.read_bytes())
    assert network.name == "net"
    for (name, kind, blobs), layer in zip(LAYERS, network.layer, strict=True):
        assert (layer.name, layer.type) == (name, kind)
        for ours, blob in zip(blobs, layer.blobs, strict=True):
            assert tuple(blob.shape.dim) == ours.shape
            assert list(blob.data) == ours.reshape(-1).tolist()


def test_opencv_reads_what_was_written(tmp_path: Path) -> None:
    """Another reader of Caffe's files computes with the values that were given."""
    cv2 = pytest.importorskip("cv2")
    prototxt, path = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    prototxt.write_text(
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 1 input_dim: 2\n'
        'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"\n'
        "  inner_product_param { num_output: 4 } }"
    )
    weight, bias = values(4, 6), values(4)
    write_caffemodel(path, "net", [("ip", "InnerProduct", [weight, bias])])
    network = cv2.dnn.readNetFromCaffe(str(prototxt), str(path))
    image = values(1, 3, 1, 2)
    network.setInput(image)
    expected = image.reshape(1, 6) @ weight.T + bias
    np.testing.assert_allclose(network.forward(), expected, rtol=1e-5)


def test_protobufs_own_file_is_read(tmp_path: Path) -> None:
    """Packed values, as Caffe writes them."""
    network = message("NetParameter", "caffe")(name="n")
    blob = network.layer.add(name="a").blobs.add(data=[1.5, -2.0])
    blob.shape.dim.extend([2, 1])
    network.layer.add(name="without weights")
    found = read_caffemodel(saved(tmp_path, network))
    assert {name: [b.tolist() for b in blobs] for name, blobs in found.items()} == {
        "a": [[[1.5], [-2.0]]]
    }


def test_the_v1_form_with_its_four_sizes_is_read(tmp_path: Path) -> None:
    """``layers``, and num, channels, height, width in place of a shape."""
    network = message("NetParameter", "caffe")()
    layer = network.layers.add(name="old", type=4)
    layer.blobs.add(num=1, channels=2, height=3, width=1, data=range(6))
    (blob,) = read_caffemodel(saved(tmp_path, network))["old"]
    np.testing.assert_array_equal(blob, np.arange(6.0).reshape(1, 2, 3, 1))


def test_double_precision_is_read(tmp_path: Path) -> None:
    """What a Caffe that was built for doubles leaves."""
    network = message("NetParameter", "caffe")()
    blob = network.layer.add(name="a").blobs.add(double_data=[0.1, 1e-300])
    blob.shape.dim.append(2)
    (found,) = read_caffemodel(saved(tmp_path, network))["a"]
    np.testing.assert_array_equal(found, np.array([0.1, 0.0], np.float32), strict=True)


@pytest.mark.parametrize(
    ("kind", "dtype"), [("FLOAT", "<f4"), ("FLOAT16", "<f2"), ("DOUBLE", "<f8")]
)
def test_nvcaffes_raw_values_are_read(kind: str, dtype: str, tmp_path: Path) -> None:
    """The fork's own format, of each of its float types."""
    network = message("NetParameter", "nvcaffe")()
    raw = np.array([0.5, -2.0], dtype).tobytes()
    blob = network.layer.add(name="a").blobs.add(raw_data=raw, raw_data_type=kind)
    blob.shape.dim.append(2)
    assert read_caffemodel(saved(tmp_path, network))["a"][0].tolist() == [0.5, -2.0]


def test_nvcaffes_raw_integers_are_refused(tmp_path: Path) -> None:
    """With what to set to get a file that can be read."""
    network = message("NetParameter", "nvcaffe")()
    network.layer.add(name="a").blobs.add(raw_data=b"1234", raw_data_type="INT")
    with pytest.raises(ReadError, match="store_blobs_in_old_format: true"):
        read_caffemodel(saved(tmp_path, network))


def test_values_that_are_not_packed_are_read(tmp_path: Path) -> None:
    """Each in a field of its own, as a writer without packed fields leaves them."""
    number = b"\x2d\x00\x00\xc0\x3f"  # field 5, fixed 32: 1.5
    blob = number * 2 + b"\x3a\x02\x08\x02"  # and the shape (2,)
    layer = b"\x0a\x01a" + b"\x3a" + bytes([len(blob)]) + blob
    path = tmp_path / "net.caffemodel"
    path.write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    assert read_caffemodel(path)["a"][0].tolist() == [1.5, 1.5]


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    """Half a file gives no half network."""
    path = tmp_path / "net.caffemodel"
    write_caffemodel(path, "n", [("conv", "Convolution", [values(4, 1, 2, 2)])])
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ReadError, match=r"net.caffemodel: "):
            read_caffemodel(path)


def test_a_blob_without_values_is_refused(tmp_path: Path) -> None:
    """A network that was written before it had any."""
    network = message("NetParameter", "caffe")()
    network.layer.add(name="a").blobs.add().shape.dim.extend([2**62, 0])
    with pytest.raises(ReadError, match="layer 'a' has a blob without values"):
        read_caffemodel(saved(tmp_path, network))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "no layer in it has weights"),
        (b"\x89HDF\r\n\x1a\n" + bytes(8), "an HDF5 file"),
        (b'name: "LeNet"\nlayer {\n}\n', "no caffemodel, or a damaged one"),
        (b"\xff" * 40, "a number of more than 10 bytes"),
        (bytes(40), "a field of number 0"),
    ],
    ids=["empty", "hdf5", "prototxt", "ff", "zeros"],
)
def test_a_foreign_file_is_refused(content: bytes, error: str, tmp_path: Path) -> None:
    """What it is instead, where that can be told."""
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content)
    with pytest.raises(ReadError, match=error):
        read_caffemodel(path)


@given(data=st.data())
@settings(max_examples=300)
def test_a_damaged_file_is_read_or_refused(data: st.DataObject) -> None:
    """Any byte changed, any piece gone: weights of some kind, or a ReadError."""
    network = message("NetParameter", "nvcaffe")(name="n")
    network.layer.add(name="a").blobs.add(data=[1.0, 2.0]).shape.dim.extend([2, 1])
    old = network.layers.add(name="b").blobs
    old.add(num=1, channels=1, height=1, width=2, double_data=[1.0, 2.0])
    raw_blob = network.layer.add(name="c").blobs
    raw_blob.add(raw_data=b"1234", raw_data_type=2).shape.dim.append(2)
    raw = bytearray(network.SerializeToString())
    place = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        raw[place] = data.draw(st.integers(0, 255))
    else:
        del raw[place : place + data.draw(st.integers(1, 20))]
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(ReadError):
        path = Path(folder) / "net.caffemodel"
        path.write_bytes(raw)
        read_caffemodel(path)


def test_a_missing_file_is_a_read_error(tmp_path: Path) -> None:
    """The path, and the system's words."""
    with pytest.raises(ReadError, match=r"none\.caffemodel: No such file"):
        read_caffemodel(tmp_path / "none.caffemodel")


def test_a_shape_that_its_values_do_not_fill_is_refused(tmp_path: Path) -> None:
    """The layer is named."""
    network = message("NetParameter", "caffe")()
    network.layer.add(name="a").blobs.add(data=[1.0]).shape.dim.append(3)
    with pytest.raises(ReadError, match=r"layer 'a' is damaged: 1 values for .*\(3,\)"):
        read_caffemodel(saved(tmp_path, network))


def test_two_layers_of_one_name_are_refused(tmp_path: Path) -> None:
    """Which weights are meant cannot be told."""
    network = message("NetParameter", "caffe")()
    for _ in range(2):
        network.layer.add(name="a").blobs.add(data=[1.0]).shape.dim.append(1)
    with pytest.raises(ReadError, match="two layers 'a' have weights"):
        read_caffemodel(saved(tmp_path, network))


def test_more_than_caffe_reads_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is on the whole file; nothing is left behind."""
    monkeypatch.setattr(caffemodel, "LARGEST", 100)
    with pytest.raises(ReadError, match="Caffe reads no more than 100"):
        write_caffemodel(tmp_path / "net.caffemodel", "n", LAYERS)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """The file is replaced when the new one is whole, not before."""
    path = tmp_path / "net.caffemodel"
    write_caffemodel(path, "n", LAYERS[:1])
    before = path.read_bytes()
    bad: list[Layer] = [("a", "b", [np.array(["x"])])]
    with pytest.raises(ValueError, match="x"):
        write_caffemodel(path, "n", bad)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
