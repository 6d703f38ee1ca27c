"""Every layer type: Caffe's defaults, the forms of its fields, and what is refused."""

import pytest

from ribosome.backends.caffe.read import read_network
from ribosome.genome.errors import ReadError
from ribosome.genome.network import Shape
from ribosome.genome.ops import (
    ELU,
    LRN,
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

INPUT = """layer {
  name: "in" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 6 dim: 12 dim: 10 } }
}
"""
ZERO = Blob(Filler("constant", 0.0))
ONE = Blob(Filler("constant", 1.0))
CONV = "convolution_param { num_output: 4 kernel_size: 3 %s }"
POOL = "pooling_param { kernel_size: 2 %s }"
IP = "inner_product_param { num_output: 4 %s }"


def text_of(kind: str, parameters: str, bottoms: int = 1) -> str:
    """A network of one layer."""
    bottom = 'bottom: "data" ' * bottoms
    return f'{INPUT}layer {{ name: "x" type: "{kind}" {bottom}top: "x"\n{parameters} }}'


def read(kind: str, parameters: str = "", bottoms: int = 1) -> tuple[Op, Shape]:
    """The op and the shape that a layer becomes on a (6, 12, 10) image."""
    node = read_network(text_of(kind, parameters, bottoms), path="f").network.output
    return node.op, node.shape


def convolution(*window: int, **more: int) -> Convolution:
    """Four outputs, and Caffe's defaults."""
    return Convolution(4, *window, ZERO, ZERO, **more)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("kind", "parameters", "op", "shape"),
    [
        ("Convolution", CONV % "", convolution(3, 3, 1, 1, 0, 0), (4, 10, 8)),
        (
            "Convolution",
            "convolution_param { num_output: 4 kernel_size: 3 kernel_size: 5 stride: 2"
            " stride: 1 pad: 1 pad: 2 dilation: 1 dilation: 2 group: 2 }",
            convolution(3, 5, 2, 1, 1, 2, group=2, dilation_h=1, dilation_w=2),
            (4, 6, 6),
        ),
        (
            "Convolution",
            "convolution_param { num_output: 4 kernel_h: 3 kernel_w: 5 stride_w: 2"
            " pad_h: 1 dilation: 2 }",
            convolution(3, 5, 1, 2, 1, 0, dilation_h=2, dilation_w=2),
            (4, 10, 1),
        ),
        (
            "Convolution",
            "param { lr_mult: 0.5 } param { decay_mult: 0 } convolution_param { num_output: 4"
            ' kernel_size: 1 weight_filler { type: "msra" } bias_filler { value: 0.2 } }',
            Convolution(
                *(4, 1, 1, 1, 1, 0, 0),
                Blob(Filler("msra"), lr_mult=0.5),
                Blob(Filler("constant", 0.2), decay_mult=0.0),
            ),
            (4, 12, 10),
        ),
        (
            "Deconvolution",
            CONV % "stride: 2 pad: 1 bias_term: false",
            Deconvolution(4, 3, 3, 2, 2, 1, 1, ZERO, None),
            (4, 23, 19),
        ),
        ("Pooling", POOL % "", Pooling("MAX", 2, 2, 1, 1), (6, 11, 9)),
        (
            "Pooling",
            "pooling_param { pool: AVE kernel_h: 5 kernel_w: 3 stride: 3 pad_h: 1 }",
            Pooling("AVE", 5, 3, 3, 3, 1, 0),
            (6, 4, 4),
        ),
        (
            "Pooling",
            "pooling_param { pool: AVE global_pooling: true }",
            GlobalPooling("AVE"),
            (6, 1, 1),
        ),
        (
            "Pooling",
            POOL % "stride: 2 round_mode: FLOOR",
            Pooling("MAX", 2, 2, 2, 2),
            (6, 6, 5),
        ),
        ("LRN", "", LRN("ACROSS_CHANNELS", 5, 1.0, 0.75), (6, 12, 10)),
        (
            "LRN",
            "lrn_param { local_size: 3 alpha: 0.0001 k: 2 }",
            LRN("ACROSS_CHANNELS", 3, 0.0001, 0.75, 2.0),
            (6, 12, 10),
        ),
        (
            "LRN",
            "lrn_param { norm_region: WITHIN_CHANNEL }",
            LRN("WITHIN_CHANNEL", 5, 1.0, 0.75),
            (6, 12, 10),
        ),
        ("BatchNorm", "", BatchNorm(None, None, 1e-5, 0.999), (6, 12, 10)),
        (
            "BatchNorm",
            "batch_norm_param { eps: 0.001 moving_average_fraction: 0.9 }",
            BatchNorm(None, None, 0.001, 0.9),
            (6, 12, 10),
        ),
        ("InnerProduct", IP % "", InnerProduct(4, ZERO, ZERO), (4,)),
        ("InnerProduct", IP % "axis: -3", InnerProduct(4, ZERO, ZERO), (4,)),
        ("InnerProduct", IP % "bias_term: false", InnerProduct(4, ZERO, None), (4,)),
        ("ReLU", "", ReLU(), (6, 12, 10)),
        ("ReLU", "relu_param { negative_slope: 0.1 }", ReLU(0.1), (6, 12, 10)),
        ("ELU", "", ELU(1.0), (6, 12, 10)),
        ("ELU", "elu_param { alpha: 0.3 }", ELU(0.3), (6, 12, 10)),
        ("Sigmoid", "", Sigmoid(), (6, 12, 10)),
        ("TanH", "", TanH(), (6, 12, 10)),
        ("PReLU", "", PReLU(Blob(Filler("constant", 0.25))), (6, 12, 10)),
        (
            "PReLU",
            'prelu_param { channel_shared: true filler { type: "constant" value: 0 } }',
            PReLU(ZERO, shared=True),
            (6, 12, 10),
        ),
        ("Dropout", "", Dropout(0.5), (6, 12, 10)),
        (
            "Dropout",
            "dropout_param { dropout_ratio: 0.680607 }",
            Dropout(0.680607),
            (6, 12, 10),
        ),
        ("Power", "", Power(1.0, 1.0, 0.0), (6, 12, 10)),
        (
            "Power",
            "power_param { power: 2 scale: 3 shift: 4 }",
            Power(2, 3, 4),
            (6, 12, 10),
        ),
        ("Scale", "", Scale(ONE, None), (6, 12, 10)),
        ("Scale", "scale_param { bias_term: true }", Scale(ONE, ZERO), (6, 12, 10)),
        ("Bias", "", Bias(ZERO), (6, 12, 10)),
        ("Flatten", "", Flatten(0, -1), (720,)),
        ("Flatten", "flatten_param { axis: 2 end_axis: 3 }", Flatten(1, 2), (6, 120)),
        ("Flatten", "flatten_param { axis: -2 }", Flatten(1, -1), (6, 120)),
        (
            "Reshape",
            "reshape_param { shape { dim: 0 dim: 3 dim: -1 } }",
            Reshape((3, -1)),
            (3, 240),
        ),
        (
            "Reshape",
            "reshape_param { axis: 1 shape { dim: 3 dim: 240 } }",
            Reshape((3, 240)),
            (3, 240),
        ),
        (
            "Reshape",
            "reshape_param { axis: 1 num_axes: 2 shape { dim: 0 dim: 4 dim: 3 } }",
            Reshape((6, 4, 3, 10)),
            (6, 4, 3, 10),
        ),
        (
            "Reshape",
            "reshape_param { axis: 2 num_axes: 1 shape { dim: 0 dim: 1 } }",
            Reshape((6, 12, 1, 10)),
            (6, 12, 1, 10),
        ),
        (
            "Reshape",
            "reshape_param { axis: -1 shape { dim: 1 } }",
            Reshape((6, 12, 10, 1)),
            (6, 12, 10, 1),
        ),
        ("Softmax", "", Softmax(0), (6, 12, 10)),
        ("Softmax", "softmax_param { axis: -1 }", Softmax(2), (6, 12, 10)),
        ("ArgMax", "argmax_param { axis: 1 }", ArgMax(1, False, 0), (1, 12, 10)),
        (
            "ArgMax",
            "argmax_param { top_k: 5 out_max_val: true }",
            ArgMax(5, True, None),
            (2, 5, 1),
        ),
    ],
)
def test_a_layer_is_its_op(kind: str, parameters: str, op: Op, shape: Shape) -> None:
    """With Caffe's defaults where the file is silent."""
    assert read(kind, parameters) == (op, shape)


@pytest.mark.parametrize(
    ("kind", "parameters", "op", "shape"),
    [
        ("Concat", "", Concat(0), (12, 12, 10)),
        ("Concat", "concat_param { axis: 2 }", Concat(1), (6, 24, 10)),
        ("Concat", "concat_param { concat_dim: 3 }", Concat(2), (6, 12, 20)),
        ("Concat", "concat_param { axis: -1 }", Concat(2), (6, 12, 20)),
        ("Eltwise", "", Eltwise("SUM"), (6, 12, 10)),
        ("Eltwise", "eltwise_param { operation: PROD }", Eltwise("PROD"), (6, 12, 10)),
        (
            "Eltwise",
            "eltwise_param { coeff: 1 coeff: -0.1 }",
            Eltwise("SUM", (1.0, -0.1)),
            (6, 12, 10),
        ),
        ("Crop", "", Crop(1, (0,)), (6, 12, 10)),
        ("Crop", "crop_param { axis: 3 offset: 0 }", Crop(2, (0,)), (6, 12, 10)),
    ],
)
def test_a_layer_of_two_inputs_is_its_op(
    kind: str, parameters: str, op: Op, shape: Shape
) -> None:
    """With Caffe's defaults where the file is silent."""
    assert read(kind, parameters, bottoms=2) == (op, shape)


@pytest.mark.parametrize(
    ("parameters", "parts"),
    [
        ("", [Slice(0, 2), Slice(2, 4), Slice(4, 6)]),
        (
            "slice_param { slice_point: 1 slice_point: 5 }",
            [Slice(0, 1), Slice(1, 5), Slice(5, 6)],
        ),
        (
            "slice_param { slice_dim: 2 }",
            [Slice(0, 4, 1), Slice(4, 8, 1), Slice(8, 12, 1)],
        ),
    ],
)
def test_a_slice_cuts_where_it_is_told(parameters: str, parts: list[Slice]) -> None:
    """At its points, or into parts of one size, along either form of its axis."""
    text = f'{INPUT}layer {{ name: "s" type: "Slice" bottom: "data"'
    text += f' top: "a" top: "b" top: "c" {parameters} }}'
    nodes = read_network(text, path="f", output="c").network.nodes
    assert [node.op for node in nodes[1:]] == parts


FILLER = CONV % "weight_filler { %s }"


@pytest.mark.parametrize(
    ("text", "filler"),
    [
        ("", Filler("constant", 0.0)),
        ('type: "constant" value: 0.1', Filler("constant", 0.1)),
        ('type: "gaussian"', Filler("gaussian", std=1.0)),
        ('type: "gaussian" std: 0.005', Filler("gaussian", std=0.005)),
        ('type: "uniform"', Filler("uniform", low=0.0, high=1.0)),
        ('type: "uniform" min: -0.3 max: 0.3', Filler("uniform", low=-0.3, high=0.3)),
        ('type: "xavier"', Filler("xavier")),
        ('type: "msra" variance_norm: FAN_IN', Filler("msra")),
        ('type: "positive_unitball"', Filler("positive_unitball")),
        ('type: "bilinear"', Filler("bilinear")),
    ],
)
def test_a_filler_is_the_irs(text: str, filler: Filler) -> None:
    """A number is the shortest decimal that single precision holds alike."""
    op, _ = read("Convolution", FILLER % text)
    assert op.weight.filler == filler  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("kind", "parameters", "error"),
    [
        ("Convolution", "", "kernel_size: is missing"),
        ("Convolution", CONV % "kernel_h: 3", "kernel_h: kernel_size is given as well"),
        (
            "Convolution",
            "convolution_param { num_output: 1 kernel_h: 3 }",
            "kernel_h: kernel_h and kernel_w are given together",
        ),
        (
            "Convolution",
            CONV % "kernel_size: 3 kernel_size: 3",
            "kernel_size: 3 axes; two",
        ),
        (
            "Convolution",
            CONV % "axis: 2",
            r"convolution_param.axis: only the channels' axis",
        ),
        (
            "Convolution",
            CONV % "stride: 0",
            "f:5: Convolution x: a stride is 1 or more",
        ),
        (
            "Convolution",
            CONV % "group: 5",
            "f:5: Convolution x: group 5 does not divide",
        ),
        (
            "Convolution",
            FILLER % 'type: "xavir"',
            "no filler xavir; did you mean xavier?",
        ),
        (
            "Convolution",
            FILLER % 'type: "xavier" variance_norm: AVERAGE',
            "weight_filler.variance_norm: only FAN_IN",
        ),
        (
            "Convolution",
            FILLER % 'type: "gaussian" mean: 1',
            "weight_filler.mean: only",
        ),
        (
            "Convolution",
            FILLER % 'type: "gaussian" sparse: 9',
            "weight_filler.sparse: only",
        ),
        (
            "Convolution",
            FILLER % 'type: "gaussian" std: -0.5',
            "weight_filler.std: must be above 0, not -0.5",
        ),
        (
            "Convolution",
            FILLER % 'type: "uniform" min: 2 max: 1',
            "weight_filler.min: 2.0 lies above max, 1.0",
        ),
        ("Convolution", FILLER % "value: inf", "value: inf is no finite number"),
        (
            "Convolution",
            f"param {{ lr_mult: nan }} {CONV % ''}",
            "lr_mult: nan is no finite",
        ),
        ("Pooling", POOL % "pool: STOCHASTIC", "pool: STOCHASTIC cannot be read"),
        ("Pooling", POOL % "global_pooling: true", "kernel_size: global_pooling takes"),
        ("Pooling", "pooling_param { global_pooling: true pad: 1 }", "takes no pad"),
        (
            "Pooling",
            POOL % "stride: 3 round_mode: FLOOR",
            "round_mode: pooling that rounds",
        ),
        ("Pooling", POOL % "torch_pooling: true", "torch_pooling: pooling that rounds"),
        ("LRN", "lrn_param { local_size: 4 }", "local_size: must be odd, not 4"),
        ("LRN", "lrn_param { norm_region: WITHIN_CHANNEL k: 2 }", "k: WITHIN_CHANNEL"),
        (
            "InnerProduct",
            IP % "axis: 2",
            "inner_product_param.axis: only the channels'",
        ),
        ("InnerProduct", IP % "axis: 0", "axis: axis 0 is the batch"),
        ("InnerProduct", IP % "axis: 9", "axis 9 is none of the blob's 4 axes"),
        ("InnerProduct", IP % "transpose: true", "transpose: transposed weights"),
        ("InnerProduct", "", "f:5: InnerProduct x: num_output is 1 or more, not 0"),
        ("ELU", "elu_param { lambda: 1.05 }", "lambda: only 1 can be read"),
        ("Dropout", "dropout_param { dropout_ratio: 1 }", "dropout_ratio: lies from 0"),
        (
            "Scale",
            "scale_param { axis: 2 }",
            "scale_param.axis: only the channels' axis",
        ),
        ("Scale", "scale_param { num_axes: -1 }", "scale_param.num_axes: only 1"),
        ("Bias", "bias_param { num_axes: 2 }", "bias_param.num_axes: only 1"),
        (
            "Flatten",
            "flatten_param { axis: 0 }",
            "flatten_param.axis: axis 0 is the batch",
        ),
        (
            "Flatten",
            "flatten_param { axis: 3 end_axis: 2 }",
            "end_axis: lies before axis",
        ),
        (
            "Reshape",
            "reshape_param { shape { dim: 1 dim: -1 } }",
            "must leave the batch",
        ),
        (
            "Reshape",
            "reshape_param { axis: 7 }",
            "reshape_param.axis: the blob has 4 axes",
        ),
        (
            "Reshape",
            "reshape_param { axis: 2 num_axes: 3 }",
            "num_axes: the blob has 4",
        ),
        (
            "Reshape",
            "reshape_param { axis: 2 num_axes: 1 shape { dim: 0 dim: 0 } }",
            "a 0 stands where the blob has no axis",
        ),
        (
            "Softmax",
            "softmax_param { axis: 0 }",
            "softmax_param.axis: axis 0 is the batch",
        ),
        (
            "ArgMax",
            "argmax_param { axis: 0 }",
            "argmax_param.axis: axis 0 is the batch",
        ),
        (
            "Concat",
            "concat_param { axis: 1 concat_dim: 1 }",
            "concat_dim: axis is given",
        ),
        (
            "Eltwise",
            "eltwise_param { coeff: 1 coeff: 1 }",
            "coeff: SUM takes one for each",
        ),
        (
            "Convolution3D",
            "",
            "type: a layer Convolution3D cannot be read; did you mean",
        ),
        ("LSTM", "", r"f:5: layer x \(LSTM\): type: a layer LSTM cannot be read$"),
    ],
)
def test_what_the_ir_lacks_is_refused(kind: str, parameters: str, error: str) -> None:
    """With the field, and what can be read instead."""
    with pytest.raises(ReadError, match=error):
        read(kind, parameters)


@pytest.mark.parametrize("kind", ["Scale", "Bias"])
def test_a_second_bottom_of_scale_or_bias_is_refused(kind: str) -> None:
    """A factor that is computed, not learned."""
    with pytest.raises(ReadError, match="a second blob as the factor or term"):
        read(kind, bottoms=2)


@pytest.mark.parametrize("kind", ["ReLU", "Convolution", "Softmax"])
def test_a_second_bottom_of_other_layers_is_refused(kind: str) -> None:
    """Caffe's convolution runs over several blobs; the IR's does not."""
    with pytest.raises(ReadError, match="bottom: takes one, not 2"):
        read(kind, CONV % "" if kind == "Convolution" else "", bottoms=2)
