"""Include and exclude rules, against the truth tables of Caffe's documentation."""

import pytest

from ribosome.backends.caffe.phases import State, included
from ribosome.backends.caffe.prototxt import parse_any
from ribosome.backends.caffe.upgrade import Layer, layers_of
from ribosome.genome.errors import ReadError

TRAIN = State("TRAIN")
TEST = State("TEST")


def layers(rules: str) -> list[Layer]:
    """One layer with such rules."""
    text = f'layer {{ name: "a" {rules} }}'
    return layers_of(parse_any(text, "NetParameter", path="f"), "f")


@pytest.mark.parametrize(
    ("rules", "state", "takes_part"),
    [
        ("", TRAIN, True),
        ("include { phase: TRAIN }", TRAIN, True),
        ("include { phase: TRAIN }", TEST, False),
        ("include {}", TEST, True),
        ("include { phase: TRAIN } include { phase: TEST }", TEST, True),
        ("exclude { phase: TRAIN }", TRAIN, False),
        ("exclude { phase: TRAIN }", TEST, True),
        ("exclude { phase: TRAIN } exclude { phase: TEST }", TEST, False),
        ("include { stage: 'a' }", TEST, False),
        ("include { stage: 'a' }", State("TEST", stages={"a", "b"}), True),
        ("include { stage: 'a' stage: 'c' }", State("TEST", stages={"a", "b"}), False),
        ("include { not_stage: 'a' }", TEST, True),
        ("include { not_stage: 'a' }", State("TEST", stages={"a"}), False),
        ("include { phase: TRAIN stage: 'a' }", State("TEST", stages={"a"}), False),
        ("include { min_level: 1 }", TEST, False),
        ("include { min_level: 1 max_level: 2 }", State("TEST", level=2), True),
        ("include { max_level: 2 }", State("TEST", level=3), False),
    ],
)
def test_a_rule_is_met_when_all_that_it_sets_is(
    rules: str, state: State, takes_part: bool
) -> None:
    """Any include rule lets a layer in, any exclude rule keeps it out."""
    assert bool(included(layers(rules), state)) == takes_part


def test_rules_of_both_kinds_are_refused() -> None:
    """Caffe aborts on them."""
    with pytest.raises(ReadError, match=r"f:1: layer a.*include: .*not both"):
        included(layers("include { phase: TEST } exclude { stage: 'x' }"), TEST)
