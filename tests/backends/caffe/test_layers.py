"""Every op as Caffe's layer: type, parameters, fillers, and what is in place."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.backends.caffe.emit import TRAIN_VAL, emit
from ribosome.backends.caffe.layers import LAYERS, bodies, layer_text, number, quoted
from ribosome.backends.caffe.writer import SCALE_SUFFIX, Writer
from ribosome.genome.errors import EmitError, UnsupportedOp
from ribosome.genome.ops import (
    ELU,
    LRN,
    OPS,
    ArgMax,
    BatchNorm,
    Bias,
    Blob,
    Concat,
    Convolution,
    Crop,
    Deconvolution,
    Dropout,
    Eltwise,
    Filler,
    Flatten,
    GlobalPooling,
    InnerProduct,
    Input,
    Jitter,
    Op,
    Pooling,
    Power,
    PReLU,
    ReLU,
    Reshape,
    Scale,
    Sigmoid,
    Slice,
    Softmax,
    TanH,
)
from ribosome.genome.task import DIGITS
from tests.backends.caffe.kit import RGB, XAVIER, layers, model, parsed

ONE = Blob(Filler("constant", value=1.0), 1.0, 0.0)
ZERO = Blob(Filler("constant", value=0.0), 2.0, 0.0)


def layer(op: Op) -> Any:
    """The first layer of an op, as protobuf reads it."""
    text = layer_text("x", bodies(op, "caffe")[0], ("a",), ("b",))
    return parsed(text).layer[0]


def test_every_op_has_an_answer() -> None:
    """A row of the table, or code of the writer's."""
    assert set(LAYERS) | {Input, Jitter, Slice, BatchNorm} == set(OPS)


def test_convolution_with_everything() -> None:
    """Each field of the op is the field of Caffe's that has its meaning."""
    weight = Blob(Filler("gaussian", std=0.01), 3.0, 4.0)
    made = layer(Convolution(6, 1, 2, 3, 4, 5, 7, weight, ZERO, 2, 8, 9))
    param = made.convolution_param
    assert (param.num_output, param.group, list(param.dilation)) == (6, 2, [8, 9])
    assert (param.kernel_h, param.kernel_w) == (1, 2)
    assert (param.stride_h, param.stride_w) == (3, 4)
    assert (param.pad_h, param.pad_w) == (5, 7)
    assert param.weight_filler.type == "gaussian"
    assert param.weight_filler.std == pytest.approx(0.01)
    assert [(p.lr_mult, p.decay_mult) for p in made.param] == [(3, 4), (2, 0)]
    assert (made.type, param.bias_term) == ("Convolution", True)


def test_what_is_caffes_default_is_left_out() -> None:
    """Group and dilation, a slope of 0, k of 1: MENNDL's files do not have them."""
    plain = layer(Convolution(6, 1, 1, 1, 1, 0, 0, XAVIER, None))
    assert not plain.convolution_param.dilation
    assert not plain.convolution_param.HasField("group")
    assert not plain.convolution_param.bias_term
    assert not layer(ReLU()).HasField("relu_param")
    assert not layer(LRN("ACROSS_CHANNELS", 5, 0.1, 0.5)).lrn_param.HasField("k")


@pytest.mark.parametrize(
    ("op", "kind", "expected"),
    [
        (Deconvolution(4, 2, 2, 2, 2, 0, 0, XAVIER, None), "Deconvolution", {}),
        (
            InnerProduct(7, XAVIER, ZERO),
            "InnerProduct",
            {"inner_product.num_output": 7},
        ),
        (Pooling("AVE", 3, 2, 2, 1, 1, 0), "Pooling", {"pooling.pool": 1}),
        (Pooling("MAX", 3, 2, 2, 1, 1, 0), "Pooling", {"pooling.kernel_w": 2}),
        (GlobalPooling("MAX"), "Pooling", {"pooling.global_pooling": True}),
        (LRN("WITHIN_CHANNEL", 3, 0.5, 0.75), "LRN", {"lrn.norm_region": 1}),
        (LRN("ACROSS_CHANNELS", 3, 0.5, 0.75, 2.0), "LRN", {"lrn.k": 2.0}),
        (BatchNorm(ONE, ZERO), "BatchNorm", {"batch_norm.eps": np.float32(1e-5)}),
        (ReLU(0.25), "ReLU", {"relu.negative_slope": 0.25}),
        (ELU(0.5), "ELU", {"elu.alpha": 0.5}),
        (Sigmoid(), "Sigmoid", {}),
        (TanH(), "TanH", {}),
        (Dropout(0.75), "Dropout", {"dropout.dropout_ratio": 0.75}),
        (Concat(), "Concat", {"concat.axis": 1}),
        (Concat(2), "Concat", {"concat.axis": 3}),
        (PReLU(ONE, shared=True), "PReLU", {"prelu.channel_shared": True}),
        (Power(2.0, 3.0, 4.0), "Power", {"power.power": 2.0, "power.shift": 4.0}),
        (Scale(ONE, ZERO), "Scale", {"scale.bias_term": True}),
        (Scale(ONE, None), "Scale", {"scale.bias_term": False}),
        (Bias(ONE), "Bias", {"bias.filler.value": 1.0}),
        (Eltwise("SUM", (1.0, -1.0)), "Eltwise", {"eltwise.coeff": [1.0, -1.0]}),
        (Eltwise("MAX"), "Eltwise", {"eltwise.operation": 2}),
        (Flatten(), "Flatten", {"flatten.axis": 1}),
        (Flatten(1, 2), "Flatten", {"flatten.axis": 2, "flatten.end_axis": 3}),
        (Reshape((0, -1)), "Reshape", {"reshape.shape.dim": [0, 0, -1]}),
        (Crop(1, (2, 3)), "Crop", {"crop.axis": 2, "crop.offset": [2, 3]}),
        (Softmax(), "Softmax", {"softmax.axis": 1}),
        (Softmax(1), "Softmax", {"softmax.axis": 2}),
        (ArgMax(3, True, 0), "ArgMax", {"argmax.top_k": 3, "argmax.axis": 1}),
    ],
)
def test_ops_are_caffes_layers(op: Op, kind: str, expected: dict[str, Any]) -> None:
    """Type and the fields that carry a meaning of their own."""
    made = layer(op)
    assert made.type == kind
    for path, value in expected.items():
        first, *rest = path.split(".")
        found = getattr(made, f"{first}_param")
        for name in rest:
            found = getattr(found, name)
        assert (list(found) if isinstance(value, list) else found) == value


def test_batch_norm_is_two_layers() -> None:
    """Caffe's BatchNorm normalises; the Scale that follows it in place learns."""
    net = parsed(
        emit(model(("bn1_0", BatchNorm(ONE, ZERO), "")), DIGITS, "caffe")[TRAIN_VAL]
    )
    (norm,), (scale,) = layers(net, "BatchNorm"), layers(net, "Scale")
    assert scale.name == "bn1_0" + SCALE_SUFFIX
    assert list(norm.top) == list(scale.bottom) == list(scale.top) == ["bn1_0"]
    assert [p.decay_mult for p in scale.param] == [0, 0]


def test_every_filler() -> None:
    """By its name and with the numbers that it takes."""
    for filler, fields in (
        (Filler("constant", value=0.5), {"value": 0.5}),
        (Filler("uniform", low=-2.0, high=3.0), {"min": -2.0, "max": 3.0}),
        (Filler("gaussian", std=0.25), {"std": 0.25}),
        (Filler("xavier"), {}),
        (Filler("msra"), {}),
        (Filler("positive_unitball"), {}),
    ):
        made = layer(InnerProduct(3, Blob(filler), None)).inner_product_param
        assert made.weight_filler.type == filler.kind
        for name, value in fields.items():
            assert getattr(made.weight_filler, name) == value


def in_place(*kinds: Op, reader: bool = False) -> bool:
    """Whether the second of two ops overwrites what the first one leaves."""
    first, second = kinds
    made = [("first", first, ""), ("second", second, "first")]
    if reader:
        made += [("third", Concat(), "first second")]  # type: ignore[list-item]
    nodes = model(*made).network.nodes  # type: ignore[arg-type]
    net = parsed(Writer(nodes, "caffe").layers)
    return next(x for x in net.layer if x.name == "second").top[0] == "first"


@pytest.mark.parametrize("second", [ReLU(), ELU(), Sigmoid(), TanH(), Dropout(0.5)])
def test_an_activation_overwrites_what_a_learned_layer_leaves(second: Op) -> None:
    """A convolution needs its input to learn, not its output."""
    assert in_place(Convolution(4, 1, 1, 1, 1, 0, 0, XAVIER, None), second)


@pytest.mark.parametrize("second", [ReLU(-0.5), ELU(-0.5)])
def test_an_activation_that_turns_signs_keeps_its_input(second: Op) -> None:
    """Caffe's gradients of these look at the sign of the input."""
    assert not in_place(Convolution(4, 1, 1, 1, 1, 0, 0, XAVIER, None), second)


@pytest.mark.parametrize(
    "first", [Sigmoid(), TanH(), ELU(), LRN("ACROSS_CHANNELS", 3, 0.1, 0.75)]
)
def test_what_learns_from_its_output_keeps_it(first: Op) -> None:
    """Caffe's gradients of these are computed from what they gave."""
    assert not in_place(first, ReLU())
    assert not in_place(first, Dropout(0.5))


def test_what_another_layer_reads_is_kept() -> None:
    """The second reader would see the overwritten values."""
    convolution = Convolution(4, 1, 1, 1, 1, 0, 0, XAVIER, None)
    assert in_place(convolution, ReLU())
    assert not in_place(convolution, ReLU(), reader=True)


def test_a_pooling_is_kept() -> None:
    """CuDNN's gradient of a maximum looks at the maximum."""
    assert not in_place(Pooling("MAX", 2, 2, 2, 2), Sigmoid())


def test_slices_of_a_blob_are_one_layer() -> None:
    """With the points between them, in the order of the channels."""
    cut = [
        ("b", Slice(1, 3), "data"),
        ("a", Slice(0, 1), "data"),
        ("c", Concat(), "a b"),
    ]
    made = model(*cut, task=RGB)  # type: ignore[arg-type]
    (sliced,) = layers(parsed(Writer(made.network.nodes, "caffe").layers), "Slice")
    assert (list(sliced.top), list(sliced.slice_param.slice_point)) == (["a", "b"], [1])


def test_slices_that_leave_channels_out_are_refused() -> None:
    """Caffe's Slice deals all channels out."""
    made = model(("a", Slice(0, 2), "data"), task=RGB)
    with pytest.raises(UnsupportedOp, match=r"a: .*\[2\] of 3"):
        Writer(made.network.nodes, "caffe")


def test_a_padded_pooling_is_the_same_for_both() -> None:
    """Both drop a window that would begin in the padding."""
    op = Pooling("MAX", 2, 2, 2, 2, 1, 1)
    nodes = model(("pool", op, ""), task=RGB).network.nodes
    assert Writer(nodes, "caffe").layers == Writer(nodes, "nvcaffe").layers


def test_nvcaffe_normalises_a_vector_as_maps() -> None:
    """Its BatchNorm asks for four axes; the blob is a vector again for what follows."""
    steps = [
        ("ip", InnerProduct(4, XAVIER, None), ""),
        ("bn", BatchNorm(None, None), ""),
    ]
    made = model(*steps)  # type: ignore[arg-type]
    net = parsed(Writer(made.network.nodes, "nvcaffe").layers, flavour="nvcaffe")
    shown = [(x.type, list(x.bottom), list(x.top)) for x in net.layer[1:4]]
    assert shown == [
        ("Reshape", ["ip"], ["bn_maps"]),
        ("BatchNorm", ["bn_maps"], ["bn_normed"]),
        ("Flatten", ["bn_normed"], ["bn"]),
    ]
    assert list(net.layer[1].reshape_param.shape.dim) == [0, 0, 1, 1]
    plain = parsed(Writer(made.network.nodes, "caffe").layers)
    assert [x.type for x in plain.layer] == [
        "InnerProduct",
        "BatchNorm",
        "InnerProduct",
    ]


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_numbers_are_the_shortest_of_their_kind(value: float) -> None:
    """Numpy's shortest single-precision text has as many digits, and is the same number."""
    text = number(value)
    assert np.float32(text) == np.float32(value)
    shortest = np.format_float_scientific(np.float32(value), trim="-")
    mantissa = text.lower().partition("e")[0]
    digits = mantissa.replace("-", "").replace(".", "").strip("0")
    assert len(digits) <= len(
        shortest.partition("e")[0].replace("-", "").replace(".", "")
    )


def test_numbers_beyond_single_precision_are_refused() -> None:
    """Caffe would read infinity."""
    with pytest.raises(EmitError, match="1e\\+39"):
        number(1e39)


@given(st.text())
def test_any_name_is_quoted(name: str) -> None:
    """Quotes, line breaks and letters of any script come back as they were."""
    assert parsed(f"name: {quoted(name)}").name == name
