"""Networks of anyone's: what part of a file is read, and how it hangs together."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from ribosome.backends.caffe.emit import DEPLOY, TRAIN_VAL, emit
from ribosome.backends.caffe.read import Reading, read_network
from ribosome.backends.caffe.schema import FLAVOURS, Flavour
from ribosome.genome.errors import ReadError
from ribosome.genome.network import Node
from ribosome.genome.ops import (
    BatchNorm,
    Blob,
    Convolution,
    Filler,
    InnerProduct,
    Input,
    Jitter,
    Pooling,
    ReLU,
    Scale,
    Slice,
)
from ribosome.genome.task import DIGITS
from tests.backends.caffe.kit import random_models
from tests.backends.caffe.networks import EVERYTHING, LENET, V1

INPUT = """layer {
  name: "images" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }
}
"""
DATA = """layer {
  name: "images" type: "Data" top: "data" top: "label" data_param { batch_size: 9 }
  transform_param { crop_size: 8 }
}
"""


def relu(name: str, bottom: str, top: str = "", more: str = "") -> str:
    """A layer that any shape passes through."""
    top = top or name
    return f'layer {{ name: "{name}" type: "ReLU" bottom: "{bottom}" top: "{top}" {more} }}\n'


def sink(name: str, kind: str, bottom: str, more: str = "") -> str:
    """A loss or an accuracy."""
    return (
        f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" bottom: "label"'
        f' top: "{name}" {more} }}\n'
    )


def read(text: str, **options: object) -> Reading:
    """A text called f."""
    return read_network(text, path="f", **options)  # type: ignore[arg-type]


def names(nodes: Iterable[Node]) -> list[str]:
    """The nodes' names."""
    return [node.name for node in nodes]


def test_lenet_is_read_whole() -> None:
    """Nodes by their layers' names, the input by its blob's; loss and accuracy aside."""
    reading = read(LENET, shape=(1, 28, 28))
    zero = Filler("constant")
    assert [
        (node.name, node.inputs, node.shape, node.op) for node in reading.network.nodes
    ] == [
        ("data", (), (1, 28, 28), Input(1, 28, 28)),
        (
            "conv1",
            ("data",),
            (20, 24, 24),
            Convolution(
                *(20, 5, 5, 1, 1, 0, 0),
                Blob(Filler("xavier"), 1.0, 1.0),
                Blob(zero, 2.0, 0.0),
            ),
        ),
        ("pool1", ("conv1",), (20, 12, 12), Pooling("MAX", 2, 2, 2, 2)),
        (
            "ip1",
            ("pool1",),
            (500,),
            InnerProduct(500, Blob(Filler("xavier")), Blob(zero)),
        ),
        ("relu1", ("ip1",), (500,), ReLU()),
        (
            "ip2",
            ("relu1",),
            (10,),
            InnerProduct(10, Blob(Filler("gaussian", std=0.01)), Blob(zero)),
        ),
    ]
    assert reading.notes == ("images: transform_param is left out: scale",)


def test_an_old_file_is_read_like_a_new_one() -> None:
    """V1 layers, input_dim, an in-place layer that is a node of its own."""
    nodes = read(V1).network.nodes
    assert [(node.name, node.inputs) for node in nodes] == [
        ("data", ()),
        ("conv", ("data",)),
        ("relu", ("conv",)),
        ("ip", ("relu",)),
        ("prob", ("ip",)),
    ]
    assert nodes[1].op.bias == Blob(Filler("constant"), 2.0, 0.0)  # type: ignore[union-attr]


def test_the_batch_size_is_the_phases() -> None:
    """What the solver needs to know of the train network."""
    sizes = [
        read(LENET, shape=(1, 28, 28), phase=phase).batch_size
        for phase in ("TRAIN", "TEST")
    ]
    assert sizes == [64, 100]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_we_emit_is_read_back(flavour: Flavour) -> None:
    """Random genomes: the same nodes, but for the slots, from either file."""
    for model in random_models(40, DIGITS):
        files = emit(model, DIGITS, flavour)
        ours = tuple(replace(node, slot=None) for node in model.network.nodes)
        found = read(files[TRAIN_VAL], shape=DIGITS.shape)
        assert found.network.nodes == ours
        deploy = read(files[DEPLOY]).network.nodes
        if not any(isinstance(node.op, Jitter) for node in ours):
            assert deploy[:-1] == ours


def test_maps_that_a_batch_norm_alone_sees_are_left_out() -> None:
    """What is written around it for NVCaffe; where maps go on, they are meant."""
    text = DATA + relu("f", "data").replace("ReLU", "Flatten")
    dims = "reshape_param { shape { dim: 0 dim: 0 dim: 1 dim: 1 } }"
    text += relu("m", "f", more=dims).replace("ReLU", "Reshape")
    text += relu("bn", "m").replace("ReLU", "BatchNorm")
    back = text + relu("v", "bn").replace("ReLU", "Flatten") + relu("r", "v")
    assert names(read(back).network.nodes) == ["data", "f", "bn", "r"]
    on = read(text + relu("r", "bn"))
    assert names(on.network.nodes) == ["data", "f", "m", "bn", "r"]


def test_the_loss_of_the_greatest_weight_is_the_networks() -> None:
    """Auxiliary losses and the branches to them are left out, with a note."""
    text = DATA + relu("a", "data") + relu("aux", "a") + relu("b", "a")
    text += sink("aux_loss", "SoftmaxWithLoss", "aux", "loss_weight: 0.3")
    text += sink("loss", "SoftmaxWithLoss", "b") + sink("top1", "Accuracy", "b")
    reading = read(text)
    assert names(reading.network.nodes) == ["data", "a", "b"]
    assert reading.notes[:2] == (
        "left out, they only measure or end: aux_loss (SoftmaxWithLoss)",
        "left out, the output does not depend on them: aux (ReLU)",
    )


def test_the_main_loss_may_come_first() -> None:
    """Weights decide, not the order."""
    text = DATA + relu("a", "data") + relu("b", "data")
    text += sink("loss", "SoftmaxWithLoss", "a")
    text += sink("aux_loss", "SoftmaxWithLoss", "b", "loss_weight: 0.3")
    assert read(text).network.output.name == "a"


def test_two_losses_of_one_weight_are_two_outputs() -> None:
    """Which one is meant is for the caller to say."""
    text = DATA + relu("a", "data") + relu("b", "data")
    text += sink("l1", "SoftmaxWithLoss", "a") + sink("l2", "EuclideanLoss", "b")
    with pytest.raises(
        ReadError, match="several outputs: a, b; choose one with --output"
    ):
        read(text)
    assert names(read(text, output="b").network.nodes) == ["data", "b"]


def test_without_a_loss_accuracy_tells_the_output() -> None:
    """As in a file for tests only."""
    text = DATA + relu("a", "data") + relu("b", "a") + sink("top1", "Accuracy", "a")
    assert names(read(text).network.nodes) == ["data", "a"]


def test_a_deploy_file_ends_in_its_only_unread_blob() -> None:
    """A Silence layer reads what nobody else does; labels are no output."""
    text = DATA + relu("a", "data") + relu("b", "data")
    text += 'layer { name: "s" type: "Silence" bottom: "a" }'
    assert read(text).network.output.name == "b"


def test_several_unread_blobs_are_listed() -> None:
    """``output`` takes a blob or a layer."""
    text = INPUT + relu("a", "data", "x") + relu("b", "data", "y")
    with pytest.raises(ReadError, match="several outputs: x, y"):
        read(text)
    assert read(text, output="y").network.output.name == "b"
    assert read(text, output="a").network.output.name == "a"
    with pytest.raises(ReadError, match="no blob or layer bb to end in"):
        read(text, output="bb")


def test_the_output_is_the_last_node() -> None:
    """Even where the file has other needed layers behind it."""
    text = (
        INPUT
        + 'layer { name: "s" type: "Slice" bottom: "data" top: "p" top: "q" top: "r" }'
    )
    nodes = read(text, output="p").network.nodes
    assert names(nodes) == ["data", "q", "r", "p"]


def test_in_place_layers_are_nodes_of_their_own() -> None:
    """Each reads what stood in the blob before it."""
    nodes = read(
        INPUT + relu("a", "data", "data") + relu("b", "data", "data")
    ).network.nodes
    assert [(node.name, node.inputs) for node in nodes[1:]] == [
        ("a", ("data",)),
        ("b", ("a",)),
    ]


def test_names_that_meet_get_numbers() -> None:
    """Two layers of one name are two nodes; so are a blob and a layer."""
    nodes = read(
        INPUT + relu("data", "data", "x") + relu("data", "x", "y")
    ).network.nodes
    assert names(nodes) == ["data", "data_2", "data_3"]


def test_copies_of_a_blob_are_the_blob() -> None:
    """A Split layer is no node."""
    text = INPUT + 'layer { name: "s" type: "Split" bottom: "data" top: "u" top: "v" }'
    text += 'layer { name: "sum" type: "Eltwise" bottom: "u" bottom: "v" top: "sum" }'
    assert read(text).network.output.inputs == ("data", "data")


def test_a_slice_is_a_node_for_each_top() -> None:
    """Named by the blobs, cut where slice_point says."""
    nodes = {node.name: node for node in read(EVERYTHING).network.nodes}
    assert nodes["left"].op == Slice(0, 1)
    assert nodes["right"].op == Slice(1, 4)


BATCH_NORM = 'layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" }'
SCALE = 'layer { name: "sc" type: "Scale" bottom: "bn" top: "sc" scale_param { %s } }'


def test_a_batch_norm_and_its_scale_are_one_node() -> None:
    """The blobs of both layers are the node's."""
    reading = read(INPUT + BATCH_NORM + SCALE % "bias_term: true")
    one, zero = Blob(Filler("constant", 1.0)), Blob(Filler("constant", 0.0))
    (_, node) = reading.network.nodes
    assert (node.name, node.op) == ("bn", BatchNorm(one, zero))
    assert reading.blobs["bn"] == {
        "mean": ("bn", 0),
        "variance": ("bn", 1),
        "factor": ("bn", 2),
        "scale": ("sc", 0),
        "shift": ("sc", 1),
    }


@pytest.mark.parametrize(
    "text",
    [SCALE % "", SCALE % "bias_term: true" + relu("other", "bn") + relu("x", "sc")],
    ids=["without a term", "read by others"],
)
def test_another_scale_is_a_node_of_its_own(text: str) -> None:
    """Without a term, or where something else reads what the batch norm left."""
    nodes = read(INPUT + BATCH_NORM + text, output="sc").network.nodes
    assert [type(node.op) for node in nodes[1:]] == [BatchNorm, Scale]
    assert nodes[1].op == BatchNorm(None, None)


@pytest.mark.parametrize(
    "parameters", ["scale_bias: true", "scale_filler { value: 1 }", "bias_filler {}"]
)
def test_nvcaffes_batch_norm_has_a_scale_of_its_own(parameters: str) -> None:
    """Asked for by name or by a filler; its blobs are the fourth and the fifth."""
    scaled = BATCH_NORM.replace(" }", f" batch_norm_param {{ {parameters} }} }}")
    reading = read(INPUT + scaled)
    one, zero = Blob(Filler("constant", 1.0)), Blob(Filler("constant", 0.0))
    assert reading.network.output.op == BatchNorm(one, zero)
    assert reading.blobs["bn"]["shift"] == ("bn", 4)


def test_use_global_stats_is_noted() -> None:
    """The IR's statistics are the batch's in training only."""
    fixed = BATCH_NORM.replace(
        'top: "bn"', 'top: "bn" batch_norm_param { use_global_stats: true }'
    )
    assert read(INPUT + fixed).notes[0].startswith("bn: use_global_stats is left out")


@pytest.mark.parametrize(
    ("field", "noted"),
    [
        ("propagate_down: false", "ip: propagate_down is left out"),
        ("propagate_down: true", ""),
        ("loss_weight: 0.5", "ip: loss_weight is left out"),
        ("loss_weight: 0", ""),
    ],
)
def test_what_only_training_would_see_is_noted(field: str, noted: str) -> None:
    """A stop for gradients and an output that counts as a loss; not their defaults."""
    text = (
        f'layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip" {field} '
        "inner_product_param { num_output: 3 } }"
    )
    notes = read(INPUT + text).notes
    assert bool(notes) == bool(noted)
    assert all(note.startswith(noted) for note in notes)


NOISE = """layer {
  name: "noise" type: "DummyData" top: "noise" include { phase: TRAIN }
  dummy_data_param {
    data_filler { type: "gaussian" mean: 1 std: 0.01 }
    shape { dim: 16 dim: 2 dim: 10 dim: 8 }
  }
}
layer {
  name: "noise" type: "DummyData" top: "noise" include { phase: TEST }
  dummy_data_param {
    data_filler { type: "constant" value: 1 } shape { dim: 100 dim: 2 dim: 10 dim: 8 }
  }
}
layer {
  name: "jittered" type: "Eltwise" bottom: %s top: "jittered"
  eltwise_param { operation: PROD }
}
"""


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
@pytest.mark.parametrize(
    "bottoms", ['"data" bottom: "noise"', '"noise" bottom: "data"']
)
def test_menndls_noise_is_a_jitter(phase: str, bottoms: str) -> None:
    """In either phase; its shape is the images', which the Data layer does not say."""
    data = DATA.replace("transform_param { crop_size: 8 }", "")
    nodes = read(data + NOISE % bottoms, phase=phase).network.nodes
    assert [(n.name, n.op, n.inputs) for n in nodes] == [
        ("data", Input(2, 10, 8), ()),
        ("jittered", Jitter(0.01), ("data",)),
    ]


def test_the_noises_shape_tells_the_channels_of_a_crop() -> None:
    """A crop has height and width; three channels are but the usual number."""
    noise = NOISE.replace("dim: 2 dim: 10 dim: 8", "dim: 2 dim: 8 dim: 8")
    network = read(DATA + noise % '"data" bottom: "noise"').network
    assert network.input.shape == (2, 8, 8)


def test_noise_that_is_not_one_in_tests_is_no_jitter() -> None:
    """What tests multiply by counts."""
    noise = NOISE.replace("value: 1", "value: 2") % '"data" bottom: "noise"'
    with pytest.raises(ReadError, match="depends on several inputs: data, noise"):
        read(DATA + noise, phase="TRAIN")


def test_noise_in_tests_as_well_is_no_jitter() -> None:
    """The IR's is the identity there."""
    noise = NOISE.replace("include { phase: TRAIN }", "", 1).replace(
        "include { phase: TEST }", 'include { stage: "never" }'
    )
    with pytest.raises(ReadError, match="depends on several inputs: data, noise"):
        read(DATA + noise % '"data" bottom: "noise"')


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (
            'type: "Input" input_param { shape { dim: 7 dim: 2 dim: 4 dim: 5 } }',
            (2, 4, 5),
        ),
        (
            'type: "DummyData" dummy_data_param { num: 1 channels: 2 height: 3 width: 4 }',
            (2, 3, 4),
        ),
        (
            'type: "MemoryData" memory_data_param '
            "{ batch_size: 1 channels: 2 height: 3 width: 4 }",
            (2, 3, 4),
        ),
        (
            'type: "ImageData" image_data_param '
            "{ new_height: 5 new_width: 6 is_color: false }",
            (1, 5, 6),
        ),
        ('type: "Data" transform_param { crop_size: 5 }', (3, 5, 5)),
        ('type: "Data" transform_param { crop_size: 5 force_gray: true }', (1, 5, 5)),
        ('type: "Data" transform_param { crop_h: 5 crop_w: 6 }', (3, 5, 6)),
        ('type: "Data" data_param { crop_size: 5 }', (3, 5, 5)),
    ],
)
def test_the_images_shape_is_found(layer: str, shape: tuple[int, int, int]) -> None:
    """In each kind of layer that images come from; the caller's word goes first."""
    text = f'layer {{ name: "in" top: "data" {layer} }}' + relu("a", "data")
    assert read(text).network.input.shape == shape
    assert read(text, shape=(9, 9, 9)).network.input.shape == (9, 9, 9)


@pytest.mark.parametrize("kind", ["Data", "HDF5Data", "ImageData", "WindowData"])
def test_a_shape_that_nobody_tells_is_asked_for(kind: str) -> None:
    """With what to do."""
    text = f'\nlayer {{ name: "in" type: "{kind}" top: "data" }}' + relu("a", "data")
    with pytest.raises(
        ReadError, match=rf"f:2: layer in \({kind}\): .*give it with --shape"
    ):
        read(text)


def test_layers_of_the_other_phase_are_left_out() -> None:
    """Rules by phase and by stage."""
    text = INPUT + relu("a", "data", "x", "include { phase: TRAIN }")
    text += relu("b", "data", "x", 'include { phase: TEST not_stage: "s" }')
    text += relu("c", "data", "x", 'include { phase: TEST stage: "s" }')
    assert read(text).network.output.name == "b"
    assert read(text, phase="TRAIN").network.output.name == "a"
    assert read(text, stages=["s"]).network.output.name == "c"
    assert read('state { stage: "s" }' + text).network.output.name == "c"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "f: the network has no layers"),
        (INPUT, "f: nothing is computed: the output data is an input"),
        (
            INPUT + relu("a", "dat"),
            r"f:5: layer a \(ReLU\): bottom: there is no blob dat; did",
        ),
        (
            INPUT + relu("a", "data", "x", "include { phase: TRAIN }") + relu("b", "x"),
            "f:6: .* no blob x; layer a makes it, but its include and exclude rules",
        ),
        (
            INPUT + relu("a", "data", "x") + relu("b", "data", "x"),
            r"f:6: layer b \(ReLU\): top: another layer makes the blob x already",
        ),
        (
            INPUT + relu("a", "data", "x").replace("ReLU", "RelU"),
            "f:5: .* type: a layer RelU cannot be read; did you mean ReLU?",
        ),
        (DATA + relu("a", "label"), "f:1: .* top: the output depends on its labels"),
        (
            INPUT
            + relu("a", "data", 'x" top: "y')
            + 'layer { name: "s" type: "Silence" bottom: "y" }',
            "f:5: .* top: one top is wanted, not 2",
        ),
        (
            INPUT
            + relu("a", "data", "", 'param { name: "w" }')
            + relu("b", "a", "", 'param { name: "w" }'),
            "f:6: .* param.name: shares w with layer a",
        ),
        (
            INPUT
            + INPUT.replace("data", "more")
            + 'layer { name: "s" type: "Eltwise" bottom: "data" bottom: "more" top: "s" }',
            "f:5: .*the output depends on several inputs: data, more",
        ),
        (
            INPUT.replace("dim: 8 }", "dim: 8 dim: 8 }") + relu("a", "data"),
            "f:1: .* input_param.shape: 5 axes",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, error: str) -> None:
    """File, line, layer and field."""
    with pytest.raises(ReadError, match=error):
        read(text)


def test_a_shape_that_does_not_fit_names_the_line() -> None:
    """Shape inference's error, with where the layer stands."""
    text = INPUT + 'layer { name: "c" type: "Convolution" bottom: "data" top: "c"\n'
    text += "convolution_param { num_output: 1 kernel_size: 9 } }"
    with pytest.raises(ReadError, match="f:5: Convolution c: its kernel 9 x 9 exceeds"):
        read(text)


def test_layers_that_are_not_needed_may_be_of_any_type() -> None:
    """A branch that is left out is not looked into."""
    text = DATA + relu("a", "data") + sink("loss", "SoftmaxWithLoss", "a")
    text += 'layer { name: "odd" type: "Python" bottom: "label" top: "odd" }'
    assert names(read(text).network.nodes) == ["data", "a"]
