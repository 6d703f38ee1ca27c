"""Old forms of networks become the form of today."""

import pytest
from google.protobuf import text_format

from ribosome.backends.caffe.prototxt import parse, parse_any
from ribosome.backends.caffe.schema import Message, message
from ribosome.backends.caffe.upgrade import TYPES, Layer, layers_of
from ribosome.genome.errors import ReadError


def upgraded(text: str) -> list[Layer]:
    """The layers of a network's text."""
    return layers_of(parse_any(text, "NetParameter", path="f"), "f")


def layer(text: str) -> Message:
    """A LayerParameter of today."""
    return text_format.Parse(text, message("LayerParameter", "nvcaffe")())


def test_a_v1_layer_becomes_a_layer() -> None:
    """Its type is a word, and its multiples are param's."""
    (made,) = upgraded(
        """layers {
          name: "c" type: CONVOLUTION bottom: "a" bottom: "b" top: "c"
          blobs_lr: 1 blobs_lr: 2 weight_decay: 0.5 weight_decay: 0
          convolution_param { num_output: 3 kernel_size: 2 }
          include { phase: TEST } loss_weight: 0.5
        }"""
    )
    assert made.message == layer(
        """name: "c" type: "Convolution" bottom: "a" bottom: "b" top: "c"
        param { lr_mult: 1 decay_mult: 0.5 } param { lr_mult: 2 decay_mult: 0 }
        convolution_param { num_output: 3 kernel_size: 2 }
        include { phase: TEST } loss_weight: 0.5"""
    )


def test_names_of_shared_blobs_go_into_param() -> None:
    """V1's ``param`` is a name."""
    (made,) = upgraded('layers { name: "c" type: RELU param: "w" param: "b" }')
    assert [spec.name for spec in made.message.param] == ["w", "b"]


def test_every_v1_type_has_a_name_of_today() -> None:
    """No type of the schema's enum is forgotten."""
    enum = message("V1LayerParameter", "caffe").DESCRIPTOR.enum_types_by_name[
        "LayerType"
    ]
    assert set(TYPES) == {value.name for value in enum.values}


def test_input_with_dims_becomes_input_layers() -> None:
    """Four input_dim for every input."""
    made = upgraded('input: "a" input: "b" input_dim: [1, 3, 8, 9, 1, 1, 1, 2]')
    assert [one.message for one in made] == [
        layer(
            'name: "a" type: "Input" top: "a"'
            "input_param { shape { dim: [1, 3, 8, 9] } }"
        ),
        layer(
            'name: "b" type: "Input" top: "b"'
            "input_param { shape { dim: [1, 1, 1, 2] } }"
        ),
    ]


def test_input_with_shapes_becomes_input_layers() -> None:
    """One input_shape for every input; the layers come before the others."""
    made = upgraded('layer { name: "x" } input: "a" input_shape { dim: [2, 5] }')
    assert [one.name for one in made] == ["a", "x"]
    assert list(made[0].message.input_param.shape[0].dim) == [2, 5]


@pytest.mark.parametrize(
    "shapes", ["", "input_dim: [1, 2, 3]" * 2, "input_shape {}" * 2]
)
def test_inputs_without_their_shapes_are_refused(shapes: str) -> None:
    """One shape each."""
    with pytest.raises(ReadError, match=r"f:2: 1 input, but . shapes"):
        upgraded(f'\ninput: "a" {shapes}')


def test_old_fields_of_data_layers_become_transform_param() -> None:
    """What transform_param says itself wins."""
    (made,) = upgraded(
        'layer { name: "d" type: "Data" transform_param { scale: 2 }'
        'data_param { scale: 3 crop_size: 8 mirror: true mean_file: "m" } }'
    )
    assert (
        made.message.transform_param
        == layer(
            'transform_param { scale: 2 crop_size: 8 mirror: true mean_file: "m" }'
        ).transform_param
    )


def test_both_forms_in_one_file_are_refused() -> None:
    """As Caffe does, which would leave one of them out."""
    with pytest.raises(ReadError, match="f:2: has both layers"):
        upgraded('layers { name: "a" type: RELU }\nlayer { name: "b" }')


def test_the_v0_form_is_refused() -> None:
    """It has fields of its own, which the schema does not know."""
    with pytest.raises(ReadError, match="V1LayerParameter has no field layer"):
        parse('layers { layer { type: "conv" } }', "NetParameter", "caffe", path="f")


def test_lines_are_those_of_the_file() -> None:
    """An error in an old layer names the line that the old layer begins in."""
    made = upgraded(
        'input: "a"\ninput_dim: [1,1,1,1]\n\nlayers { name: "r" type: RELU }'
    )
    assert [one.line for one in made] == [1, 4]
