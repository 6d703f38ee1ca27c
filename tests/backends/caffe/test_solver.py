"""The emitted solver: Caffe's fields of every update rule and policy."""

from dataclasses import replace
from typing import Any, get_args

import pytest

from ribosome.backends.caffe.emit import SOLVER, emit
from ribosome.genome.errors import EmitError
from ribosome.genome.solver import LearningRate, Policy, Solver, SolverType
from ribosome.genome.task import DIGITS
from tests.backends.caffe.kit import model, parsed

POLICIES = {
    "fixed": LearningRate("fixed"),
    "step": LearningRate("step", gamma=0.1, fraction=0.34),
    "exp": LearningRate("exp", gamma=0.03),
    "inv": LearningRate("inv", gamma=10.0, power=0.75),
    "poly": LearningRate("poly", power=2.0),
    "sigmoid": LearningRate("sigmoid", gamma=-10.0, fraction=0.5),
}


def emitted(solver: Solver) -> Any:
    """A solver for digits, as protobuf reads it."""
    text = emit(model(solver=solver), DIGITS, "caffe")[SOLVER]
    return parsed(text, "SolverParameter")


@pytest.mark.parametrize("policy", get_args(Policy))
def test_policies_have_caffes_absolute_fields(policy: Policy) -> None:
    """Those that the schedule computes, in single precision."""
    solver = Solver("SGD", 0.02, POLICIES[policy], 16, momentum=0.9)
    schedule = solver.schedule(DIGITS.training.max_iterations)
    made = emitted(solver)
    assert (made.lr_policy, made.max_iter) == (policy, 300)
    for field in ("base_lr", "gamma", "power", "stepsize"):
        if made.HasField(field):
            assert getattr(made, field) == pytest.approx(getattr(schedule, field), 1e-6)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("SGD", {"momentum": 0.9}),
        ("Nesterov", {"momentum": 0.9}),
        ("Adam", {"momentum": 0.9, "momentum2": 0.99, "delta": 1e-8}),
        ("RMSProp", {"rms_decay": 0.95, "delta": 1e-8}),
    ],
)
def test_update_rules_have_their_own_numbers(
    kind: SolverType, fields: dict[str, float]
) -> None:
    """And no others: RMSProp dies if it is given a momentum."""
    solver = Solver(kind, 0.02, LearningRate(), 16, 0.9, 0.99, 0.95, weight_decay=0.01)
    made = emitted(solver)
    numbers = ("momentum", "momentum2", "rms_decay", "delta")
    found = {name: getattr(made, name) for name in numbers if made.HasField(name)}
    assert found == pytest.approx(fields)
    assert (made.type, made.weight_decay) == (kind, pytest.approx(0.01))


def test_caffe_validates_once_at_the_end_and_keeps_what_it_learned() -> None:
    """All validation images; no test before the first iteration."""
    made = emitted(Solver("SGD", 0.02, LearningRate(), 16))
    assert (list(made.test_iter), made.test_interval) == ([2], 300)
    assert (made.test_initialization, made.display) == (False, 50)
    assert (made.snapshot_prefix, made.snapshot_after_train) == ("snapshot", True)


def test_gradients_are_clipped_where_the_solver_says_so() -> None:
    """0 means that nothing is clipped, which Caffe writes as no field."""
    solver = Solver("SGD", 0.02, LearningRate(), 16)
    assert not emitted(solver).HasField("clip_gradients")
    assert emitted(replace(solver, clip_gradients=5.0)).clip_gradients == 5.0


def test_a_run_without_an_end_is_refused() -> None:
    """Caffe stops after max_iter and at nothing else."""
    endless = replace(DIGITS.training, max_iterations=0, time_limit_s=9.0)
    with pytest.raises(EmitError, match="max_iterations"):
        emit(model(), replace(DIGITS, training=endless), "caffe")
