"""Caffe's messages: BVLC's, and what NVIDIA's fork adds to them."""

import subprocess
import sys

import pytest

from ribosome.backends.caffe.schema import FLAVOURS, Flavour, message


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_message_goes_to_bytes_and_back(flavour: Flavour) -> None:
    """What was set is what is read, in either flavour."""
    network = message("NetParameter", flavour)(name="n")
    network.layer.add(name="conv", type="Convolution").convolution_param.num_output = 4
    again = message("NetParameter", flavour).FromString(network.SerializeToString())
    assert again == network


@pytest.mark.parametrize(
    ("name", "field", "number"),
    [
        ("NetParameter", "layer", 100),
        ("NetParameter", "layers", 2),
        ("LayerParameter", "convolution_param", 106),
        ("LayerParameter", "scale_param", 142),
        ("V1LayerParameter", "blobs_lr", 7),
        ("BlobProto", "data", 5),
        ("Datum", "float_data", 6),
        ("SolverParameter", "type", 40),
    ],
)
def test_field_numbers_are_caffes(name: str, field: str, number: int) -> None:
    """The numbers that Caffe's own files have their fields under."""
    assert message(name, "caffe").DESCRIPTOR.fields_by_name[field].number == number


def test_defaults_are_caffes() -> None:
    """A message that sets nothing has Caffe's values."""
    layer = message("LayerParameter", "caffe")()
    assert layer.convolution_param.bias_term is True
    assert layer.lrn_param.local_size == 5
    assert layer.dropout_param.dropout_ratio == 0.5
    assert message("FillerParameter", "caffe")().type == "constant"
    assert message("FillerParameter", "caffe")().std == 1.0


@pytest.mark.parametrize(
    ("name", "field", "number"),
    [
        ("NetParameter", "default_forward_type", 11),
        ("NetParameter", "global_grad_scale", 15),
        ("LayerParameter", "forward_type", 145),
        ("SolverParameter", "store_blobs_in_old_format", 45),
        ("DataParameter", "threads", 11),
        ("BlobProto", "raw_data", 12),
    ],
)
def test_only_nvcaffe_knows_its_additions(name: str, field: str, number: int) -> None:
    """BVLC's Caffe aborts on these fields, so its flavour must not have them."""
    assert message(name, "nvcaffe").DESCRIPTOR.fields_by_name[field].number == number
    assert field not in message(name, "caffe").DESCRIPTOR.fields_by_name


def test_layer_field_146_means_another_thing_in_each_flavour() -> None:
    """The fork numbers recurrent_param anew, and puts backward_type in its place."""
    for flavour, name in (("caffe", "recurrent_param"), ("nvcaffe", "backward_type")):
        layer = message("LayerParameter", flavour)  # type: ignore[arg-type]
        assert layer.DESCRIPTOR.fields_by_number[146].name == name


def test_nvcaffe_lacks_what_it_reserves() -> None:
    """round_mode is BVLC's alone."""
    assert hasattr(message("PoolingParameter", "caffe")(), "round_mode")
    assert not hasattr(message("PoolingParameter", "nvcaffe")(), "round_mode")


def test_fields_that_the_schema_lacks_are_kept() -> None:
    """A file with fields of another fork loses nothing on its way through."""
    raw = b"\x0a\x01n\xfa\x3e\x03abc"  # name, and bytes in a field 1007
    assert message("NetParameter", "caffe").FromString(raw).SerializeToString() == raw


def test_an_unknown_message_is_a_key_error() -> None:
    """A message that no file of ours has."""
    with pytest.raises(KeyError):
        message("NoSuchParameter", "caffe")


def test_importing_the_schema_leaves_protobuf_alone() -> None:
    """Only the first message that is asked for pays for it."""
    program = (
        "import sys, ribosome.backends.caffe.read, ribosome.backends.caffe.caffemodel\n"
        "assert not any(name.startswith('google') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
