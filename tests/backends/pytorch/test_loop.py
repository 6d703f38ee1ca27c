"""When training ends, what it logs and how its speed is counted, on a clock of its own."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from ribosome.backends.pytorch import loop
from ribosome.backends.pytorch.device import Device, choose_device
from ribosome.backends.pytorch.loop import QUIET_S, Outcome, Trained, iterate
from ribosome.genome.solver import LearningRate, Solver
from ribosome.genome.task import Training

SOLVER = Solver("SGD", 0.1, LearningRate("poly", power=1.0), 1)
FINE = torch.tensor([[1.0, 0.0]])
CAPPED = torch.tensor([[0.0, 1000.0]])
NAN = torch.tensor([[math.nan, 0.0]])


class FakeClock:
    """Shows the time that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def seconds(self) -> float:
        """What it shows."""
        return self.now

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Time in here does not count."""
        before = self.now
        yield
        self.now = before


class Bench:
    """Runs `iterate` over steps that take a second and leave the scores they are told."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.rates: list[float] = []
        self.lines: list[tuple[str, int]] = []

    def run(
        self,
        logits: Callable[[int], Tensor] = lambda _: FINE,
        seconds: Callable[[int], float] = lambda _: 1.0,
        *,
        device: Device | None = None,
        loss: Callable[[Tensor], Tensor] = torch.mean,
        **training: Any,
    ) -> Outcome:
        """Train for nothing, and remember rates and lines."""

        def step(iteration: int, rate: float) -> Trained:
            assert iteration == len(self.rates)
            self.rates.append(rate)
            self.clock.now += seconds(iteration)
            scores = logits(iteration)
            return Trained(loss(scores), scores, torch.tensor([0]))

        def log(event: str, *, iteration: int, loss: float, lr: float) -> None:
            del loss
            assert lr == self.rates[iteration]
            self.lines.append((event, iteration))
            self.clock.now += 1000.0

        where = device or choose_device(None, "auto")
        return iterate(step, SOLVER, Training(**training), where, log)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench whose clock the loop reads."""
    clock = FakeClock()
    monkeypatch.setattr(loop, "Clock", lambda: clock)
    return Bench(clock)


def test_training_ends_after_its_iterations(bench: Bench) -> None:
    """The rate of iteration i is the schedule's of i, counted from 0."""
    outcome = bench.run(max_iterations=20)
    assert outcome.iterations == 20
    assert bench.rates == [SOLVER.schedule(20).rate(i) for i in range(20)]


def test_training_ends_when_its_time_is_over(bench: Bench) -> None:
    """Whichever limit is reached first; logging takes none of the time."""
    assert bench.run(max_iterations=20, time_limit_s=5.0).iterations == 5


def test_without_a_number_of_iterations_time_is_the_length_of_the_run(
    bench: Bench,
) -> None:
    """The rate follows the share of the time that has passed."""
    outcome = bench.run(max_iterations=0, time_limit_s=8.0)
    assert outcome.iterations == 8
    assert bench.rates == pytest.approx([0.1 * (1 - i / 8) for i in range(8)])


def test_the_first_iterations_do_not_count_in_the_speed(bench: Bench) -> None:
    """Of 40 iterations four are start-up, however long they take."""
    outcome = bench.run(seconds=lambda i: 1.0 if i >= 4 else 90.0, max_iterations=40)
    assert (outcome.timed, outcome.seconds) == (36, 36.0)


def test_a_run_that_time_ends_early_is_timed_from_its_second_iteration(
    bench: Bench,
) -> None:
    """It never comes to the end of a start-up of ten."""
    outcome = bench.run(max_iterations=1000, time_limit_s=5.0)
    assert (outcome.timed, outcome.seconds) == (4, 4.0)


def test_one_iteration_has_no_speed(bench: Bench) -> None:
    """All of it is start-up."""
    assert bench.run(max_iterations=1).timed == 0


def test_every_display_is_a_line(bench: Bench) -> None:
    """The first iteration has an event of its own: it ends the start-up."""
    bench.run(max_iterations=12, display=5)
    assert bench.lines == [("first_iteration", 0), ("iteration", 5), ("iteration", 10)]


def test_a_slow_network_is_logged_by_time(bench: Bench) -> None:
    """Who waits for a line hears of it, however long 50 iterations take."""
    bench.run(seconds=lambda _: QUIET_S / 2, max_iterations=7, display=50)
    assert bench.lines == [
        ("first_iteration", 0),
        *(("iteration", iteration) for iteration in (2, 4, 6)),
    ]


def test_a_line_by_time_decides_nothing(bench: Bench) -> None:
    """A loss at the cap has to stay there from one display to the next."""
    outcome = bench.run(
        lambda i: CAPPED if i else FINE, lambda _: QUIET_S, max_iterations=9
    )
    assert outcome.diverged == ""


def test_a_nan_loss_ends_training_at_once(bench: Bench) -> None:
    """On a CPU in the iteration where it comes up, displayed or not."""
    outcome = bench.run(lambda i: NAN if i == 7 else FINE, max_iterations=50)
    assert outcome.iterations == 8
    assert outcome.diverged == "the loss is NaN at iteration 7"


def test_a_loss_at_the_cap_ends_training_if_it_stays(bench: Bench) -> None:
    """Two displays one after the other."""
    outcome = bench.run(lambda _: CAPPED, max_iterations=50, display=5)
    assert outcome.iterations == 6
    assert "87.3365" in outcome.diverged


def test_a_loss_that_leaves_the_cap_goes_on(bench: Bench) -> None:
    """A network may start badly, and again."""
    outcome = bench.run(
        lambda i: CAPPED if i in (0, 10) else FINE, max_iterations=20, display=5
    )
    assert outcome == Outcome(20, 18, 18.0)


def test_a_gpu_is_asked_for_a_loss_only_where_a_line_is_logged(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To ask is to wait for it; so NaN is seen at the next display."""
    asked = []

    class Loss:
        def item(self) -> float:
            asked.append(1)
            return math.nan

    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    gpu = Device(torch.device("cuda", 0), None, torch.contiguous_format)
    outcome = bench.run(
        lambda i: NAN if i >= 7 else FINE,
        device=gpu,
        loss=lambda _: Loss(),  # type: ignore[arg-type,return-value]
        max_iterations=50,
        display=10,
    )
    assert not asked
    assert outcome.diverged == "the loss is NaN at iteration 10"
