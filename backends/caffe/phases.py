"""Which layers of a network take part: Caffe's include and exclude rules."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from ribosome.backends.caffe.schema import Message
from ribosome.backends.caffe.upgrade import Layer

Phase = Literal["TRAIN", "TEST"]
"""What a network is read for."""

_PHASES = {"TRAIN": 0, "TEST": 1}


@dataclass(frozen=True, slots=True)
class State:
    """What the rules are held against."""

    phase: Phase
    level: int = 0
    stages: Collection[str] = ()


def included(layers: Sequence[Layer], state: State) -> list[Layer]:
    """The layers that take part. Raises ReadError where one has rules of both kinds.

    A layer without rules takes part; with include rules, when one is met; with exclude
    rules, when none is.
    """
    return [layer for layer in layers if _takes_part(layer, state)]


def _takes_part(layer: Layer, state: State) -> bool:
    rules = layer.message
    if len(rules.include) and len(rules.exclude):
        layer.fail("include", "a layer has include or exclude rules, not both")
    if len(rules.include):
        return any(_is_met(rule, state) for rule in rules.include)
    return not any(_is_met(rule, state) for rule in rules.exclude)


def _is_met(rule: Message, state: State) -> bool:
    if rule.HasField("phase") and rule.phase != _PHASES[state.phase]:
        return False
    if rule.HasField("min_level") and state.level < rule.min_level:
        return False
    if rule.HasField("max_level") and state.level > rule.max_level:
        return False
    if not all(stage in state.stages for stage in rule.stage):
        return False
    return not any(stage in state.stages for stage in rule.not_stage)
