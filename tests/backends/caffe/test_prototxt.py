"""The text format: what protobuf reads is read alike, and what is wrong is placed."""

import pytest
from google.protobuf import text_format

from ribosome.backends.caffe.prototxt import parse, parse_any
from ribosome.backends.caffe.schema import message
from ribosome.genome.errors import ReadError
from tests.backends.caffe.networks import EVERYTHING, LENET, SOLVER, V1

FORMS = (
    'name: "a" "b" \'c\'',
    r'name: "tab\tquote\"octal\101hex\x42\303\251"',
    'layer: { name: "a" }, layer < name: "b" >; layer { name: "c" };',
    'layer [ { name: "a" }, { name: "b" } ]',
    "layer: []",
    "input_dim: [1, 2,3] input_dim: 4 input_dim: []",
    "input_dim: 0x10, input_dim: 010; input_dim: -3",
    "layer { loss_weight: 1 loss_weight: .5 loss_weight: 2. loss_weight: 1e-3f }",
    "layer { loss_weight: inf loss_weight: -inf loss_weight: -Infinity }",
    "layer { propagate_down: true propagate_down: f propagate_down: 1 }",
    "layer { pooling_param { pool: AVE } } layer { pooling_param { pool: 1 } }",
    "# a comment\nname: # another\n'x'#end",
    "layer { phase: TEST include { phase: TRAIN not_stage: 'x' } }",
    "",
)


@pytest.mark.parametrize("text", [*FORMS, LENET, V1, EVERYTHING])
def test_a_network_is_read_as_protobuf_reads_it(text: str) -> None:
    """The same message as protobuf's own parser makes, in every form of the language."""
    expected = text_format.Parse(text, message("NetParameter", "caffe")())
    assert parse(text, "NetParameter", "caffe", path="f") == expected


def test_a_solver_is_read_as_protobuf_reads_it() -> None:
    """The same message as protobuf's own parser makes."""
    expected = text_format.Parse(SOLVER, message("SolverParameter", "caffe")())
    assert parse(SOLVER, "SolverParameter", "caffe", path="f") == expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("nme: 1", "f:1:1: NetParameter has no field nme; did you mean name?"),
        (
            "layer {\n  botom: 'x'\n}",
            "f:2:3: LayerParameter has no field botom; did you mean bottom?",
        ),
        (
            "layer { pooling_param { pool: AVG } }",
            "f:1:31: PoolingParameter.pool cannot be AVG; did you mean AVE?",
        ),
        (
            "layer { pooling_param { pool: 7 } }",
            "f:1:31: PoolingParameter.pool wants one of MAX, AVE, STOCHASTIC, not 7",
        ),
        (
            "\n name: 'a'\n name: 'b'",
            "f:3:2: NetParameter.name is set twice: Caffe takes one; leave one out",
        ),
        ("name: 3", 'f:1:7: NetParameter.name wants a text in "quotes", not 3'),
        ("name 'a'", "f:1:6: NetParameter.name wants a colon and a value"),
        (
            "input_dim: 1.5",
            "f:1:12: NetParameter.input_dim wants a whole number, not 1.5",
        ),
        (
            "input_dim: -2147483649",
            "f:1:13: NetParameter.input_dim is out of range: -2147483648 to 2147483647",
        ),
        (
            "layer { include { min_level: 1 stage: 3 } }",
            'f:1:39: NetStateRule.stage wants a text in "quotes", not 3',
        ),
        (
            "force_backward: 2",
            "f:1:17: NetParameter.force_backward wants true or false, not 2",
        ),
        ("name: 'a", "f:1:7: this text has no closing '"),
        ("input_dim: 12x", "f:1:12: 12x is no number"),
        ("name: \x00", "f:1:7: unexpected character '\\x00'"),
        (
            "layer {\n name: 'a'\n",
            "f:3:1: the file ends inside LayerParameter: a } lacks",
        ),
        ("layer: 3", "f:1:8: layer is a message: { is wanted, not 3"),
        ("}", "f:1:1: a field's name is wanted in NetParameter, not }"),
        (
            "input_dim: [1 2]",
            "f:1:15: a comma or ] is wanted in input_dim, not 2",
        ),
        (
            "layer { clip_param { min: 0 } }",
            "f:1:32: layer[0].clip_param.max is not set, but must be",
        ),
    ],
)
def test_an_error_says_line_column_field_and_what_may_be_meant(
    text: str, error: str
) -> None:
    """One line for each kind of mistake."""
    with pytest.raises(ReadError) as caught:
        parse(text, "NetParameter", "caffe", path="f")
    assert str(caught.value) == error


def test_a_field_of_the_other_flavour_is_called_so() -> None:
    """What only NVIDIA's fork knows, BVLC's Caffe would abort on."""
    text = "default_forward_type: FLOAT16"
    with pytest.raises(
        ReadError, match="no field default_forward_type in caffe: it is NV"
    ):
        parse(text, "NetParameter", "caffe", path="f")
    assert parse(text, "NetParameter", "nvcaffe", path="f").default_forward_type == 2


def test_a_foreign_text_is_of_whichever_flavour_fits() -> None:
    """Fields of the fork and fields of BVLC's that the fork lacks are both read."""
    fork = parse_any("default_forward_type: FLOAT16", "NetParameter", path="f")
    bvlc = parse_any(
        "layer { pooling_param { round_mode: FLOOR } }", "NetParameter", path="f"
    )
    assert (fork.flavour, bvlc.flavour) == ("nvcaffe", "caffe")


def test_of_two_errors_the_one_further_on_is_shown() -> None:
    """A file of BVLC's is not blamed for a field that the fork lacks."""
    text = "layer { pooling_param { round_mode: FLOOR } }\nlayer { nme: 'x' }"
    with pytest.raises(ReadError, match=r"f:2:9: .*nme; did you mean name"):
        parse_any(text, "NetParameter", path="f")


def test_lines_of_layers_are_kept() -> None:
    """Where every top-level field begins, for errors that are found later."""
    parsed = parse_any(
        "name: 'n'\nlayer {}\n\nlayer {\n} layer {}", "NetParameter", path=""
    )
    assert parsed.lines == {"name": [1], "layer": [2, 4, 5]}


@pytest.mark.parametrize(
    "text",
    [
        b"name: '\xff'",
        b"\x89PNG\r\n\x1a\n\x00",
        b"name: '\\377'",
        b"layer {" * 200_000,
        b"input_dim: " + b"[" * 1_000_000,
        b"input_dim: " + b"9" * 1_000_000,
        b"layer { loss_weight: " + b"9" * 1_000_000 + b"}",
        b"a" * 1_000_000,
        b"name: '" + b"\\" * 999_999,
    ],
    ids=[
        "utf-8",
        "png",
        "octal",
        "braces",
        "brackets",
        "int",
        "float",
        "word",
        "escapes",
    ],
)
def test_a_hostile_text_is_refused_like_any_other(text: bytes) -> None:
    """No recursion, no slow number, no traceback: a ReadError."""
    with pytest.raises(ReadError, match=r"^f:\d+:"):
        parse(text, "NetParameter", "caffe", path="f")


def test_bytes_may_begin_with_a_mark_of_their_encoding() -> None:
    """An editor's byte order mark is no field."""
    assert (
        parse(b"\xef\xbb\xbfname: 'n'", "NetParameter", "caffe", path="f").name == "n"
    )
