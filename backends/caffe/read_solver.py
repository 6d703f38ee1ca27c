"""A solver prototxt into the IR's Solver, and how long it trains."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn, get_args

from ribosome.backends.caffe.fields import single
from ribosome.backends.caffe.lexer import nearest, short
from ribosome.backends.caffe.prototxt import Parsed, parse_any
from ribosome.backends.caffe.single import packed
from ribosome.genome.errors import ReadError
from ribosome.genome.solver import LearningRate, Policy, Schedule, Solver, SolverType

_OLD_TYPES = {
    0: "SGD",
    1: "Nesterov",
    2: "AdaGrad",
    3: "RMSProp",
    4: "AdaDelta",
    5: "Adam",
}
_TYPES: tuple[SolverType, ...] = get_args(SolverType)
_POLICIES: tuple[Policy, ...] = get_args(Policy)
_MOST_ITERATIONS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class SolverFacts:
    """What a solver file says beside the solver: how long it trains, and on what.

    ``net`` is the network file as written, empty where it stands in the solver file or
    nowhere. ``test_iterations`` is the number of batches of a validation, 0 for none.
    """

    max_iterations: int
    net: str = ""
    test_iterations: int = 0
    display: int = 0


def read_solver(
    text: str | bytes, *, path: str, batch_size: int
) -> tuple[Solver, SolverFacts]:
    """The solver that a prototxt of either flavour describes, and its length.

    ``batch_size`` is the train network's (`Reading.batch_size` of phase TRAIN). The
    relative learning rate is the shortest decimal whose `Solver.schedule` gives back
    the file's numbers in single precision, which is Caffe's.

    Raises ReadError, with line and field, for what the IR does not have.
    """
    parsed = parse_any(text, "SolverParameter", path=path)
    return _Reader(parsed, path).read(batch_size)


class _Reader:
    def __init__(self, parsed: Parsed, path: str) -> None:
        self._message = parsed.message
        self._lines = parsed.lines
        self._path = path

    def read(self, batch_size: int) -> tuple[Solver, SolverFacts]:
        message = self._message
        length = self._whole("max_iter")
        self._refuse_unknown()
        kind = self._type()
        base_lr = self._number("base_lr")
        solver = Solver(
            type=kind,
            base_lr=base_lr,
            learning_rate=self._learning_rate(base_lr, length, batch_size),
            batch_size=batch_size * max(1, message.iter_size),
            momentum=0.0 if kind == "RMSProp" else self._number("momentum"),
            weight_decay=self._number("weight_decay"),
            clip_gradients=max(0.0, self._number("clip_gradients")),
            **self._of_type(kind),
        )
        facts = SolverFacts(
            max_iterations=length,
            net=message.net or message.train_net,
            test_iterations=next(iter(message.test_iter), 0),
            display=message.display,
        )
        return solver, facts

    def _of_type(self, kind: str) -> dict[str, float]:
        fields = {"Adam": ("momentum2", "delta"), "RMSProp": ("rms_decay", "delta")}
        return {name: self._number(name) for name in fields.get(kind, ())}

    def _type(self) -> SolverType:
        message = self._message
        field = "solver_type" if message.HasField("solver_type") else "type"
        if field == "solver_type" and message.HasField("type"):
            self._fail("solver_type", "type is given as well; leave one of them out")
        old = _OLD_TYPES.get(message.solver_type, "SAG")
        name = old if field == "solver_type" else message.type
        kind = next((known for known in _TYPES if known == name), None)
        if kind is None:
            hint = nearest(name, _TYPES) or f"; known: {', '.join(_TYPES)}"
            self._fail(field, f"{short(name)} cannot be read{hint}")
        if kind == "RMSProp" and message.momentum != 0.0:
            self._fail("momentum", "Caffe's RMSProp takes none; set 0")
        return kind

    def _learning_rate(
        self, base_lr: float, length: int, batch_size: int
    ) -> LearningRate:
        name = self._message.lr_policy
        policy = next((known for known in _POLICIES if known == name), None)
        if policy is None:
            if not name:
                self._fail("lr_policy", "is missing")
            hint = nearest(name, _POLICIES) or f"; known: {', '.join(_POLICIES)}"
            self._fail("lr_policy", f"{short(name)} cannot be read{hint}")
        gamma = power = fraction = 0.0
        target = 0.0
        if policy in ("step", "exp", "inv", "sigmoid"):
            target = self._number("gamma")
        if policy in ("inv", "poly"):
            power = self._number("power")
        stepsize = self._stepsize(policy)

        def schedule(rate: LearningRate) -> Schedule:
            return Solver("SGD", base_lr, rate, batch_size).schedule(length)

        if policy == "step":
            gamma = target
        elif policy in ("exp", "inv", "sigmoid"):
            gamma = self._solve(
                "gamma",
                _guess(policy, target, length),
                lambda x: (
                    packed(schedule(LearningRate(policy, x)).gamma) == packed(target)
                ),
            )
        if policy in ("step", "sigmoid"):
            fraction = self._solve(
                "stepsize",
                # Anywhere above the number before it: schedule rounds up.
                (stepsize - 0.5) / length,
                lambda x: (
                    schedule(LearningRate(policy, fraction=x)).stepsize == stepsize
                ),
            )
        return LearningRate(policy, gamma, power, fraction)

    def _stepsize(self, policy: str) -> int:
        if policy not in ("step", "sigmoid"):
            return 0
        return self._whole("stepsize")

    def _solve(self, field: str, guess: float, fits: Callable[[float], bool]) -> float:
        """The shortest decimal near ``guess`` that fits."""
        for candidate in _decimals(guess):
            if fits(candidate):
                return candidate
        self._fail(field, "no setting relative to max_iter gives this number")

    def _refuse_unknown(self) -> None:
        message = self._message
        if message.regularization_type not in ("", "L2"):
            self._fail("regularization_type", "only L2 can be read")
        for field, value in _MUST_BE.items():
            if hasattr(message, field) and getattr(message, field) != value:
                self._fail(field, f"only {value!r}, the default, can be read")

    def _whole(self, field: str) -> int:
        value: int = getattr(self._message, field)
        if not 1 <= value <= _MOST_ITERATIONS:
            self._fail(field, f"must be 1 or more, not {value}")
        return value

    def _number(self, field: str) -> float:
        value: float = getattr(self._message, field)
        if not math.isfinite(value):
            self._fail(field, f"{value} is no finite number")
        return single(value)

    def _fail(self, field: str, what: str) -> NoReturn:
        line = next(iter(self._lines.get(field, ())), 1)
        raise ReadError(f"{self._path}:{line}: solver: {field}: {what}")


_MUST_BE = {
    "rampup_interval": 0,
    "min_lr": 0.0,
    "momentum_policy": "fixed",
    "weight_decay_policy": "fixed",
    "larc": False,
}
"""NVCaffe's fields that change what a solver does."""


def _guess(policy: str, target: float, length: int) -> float:
    """The relative gamma, about: what `Solver.schedule` turns into ``target``."""
    if policy != "exp":
        return target * length
    try:
        return math.pow(max(0.0, target), length)
    except OverflowError:
        return math.inf


def _decimals(value: float) -> Iterator[float]:
    """Numbers near a value, the shortest first, and the value itself last."""
    if value == 0.0 or not math.isfinite(value):
        yield value
        return
    exact = Decimal(value)
    for digits in range(1, 17):
        step = Decimal((0, (1,), exact.adjusted() - digits + 1))
        middle = (exact / step).to_integral_value()
        for steps in (0, 1, -1):
            yield float((middle + steps) * step)
    yield value
