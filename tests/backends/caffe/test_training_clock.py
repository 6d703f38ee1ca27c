"""Training time, from the lines of caffe's log."""

from ribosome.backends.caffe.training_clock import TrainingClock

FIRST = (
    b"I1123 18:26:40.753053  2789 solver.cpp:239] Iteration 0 (-3e-43 iter/s, 0.4s/20 "
)
TEST = b"I1123 18:26:40.753053  2789 solver.cpp:347] Iteration 50, Testing net (#0)\n"
TESTED = (
    b"I1123 18:26:40.753053  2789 solver.cpp:414]     Test net output #0: loss = 1\n"
)


class Clock(TrainingClock):
    """One whose seconds the test sets."""

    def __init__(self, limit_s: float) -> None:
        self.time = 100.0
        super().__init__(limit_s, now=lambda: self.time)


def test_it_starts_with_the_first_iteration() -> None:
    """Neither before nor in the midst of its line."""
    clock = Clock(5.0)
    clock.see(b"starting\n" + TEST + TESTED)
    assert clock.left_s() is None
    clock.see(FIRST)
    assert clock.left_s() is None
    clock.see(b"iters), loss = 2.3\n")
    assert clock.left_s() == 5.0
    clock.time += 2.0
    assert clock.left_s() == 3.0


def test_it_starts_with_nvcaffes_first_iteration() -> None:
    """Which is displayed in another way."""
    clock = Clock(5.0)
    clock.see(
        b"I1123 18:26:40.7 1 solver.cpp:342] Iteration 0 (0.024 s), loss = 2.35\n"
    )
    assert clock.left_s() == 5.0


def test_it_stands_still_while_caffe_validates() -> None:
    """From the line that begins a validation to its first output."""
    clock = Clock(5.0)
    clock.see(FIRST + b"\n")
    clock.time += 2.0
    clock.see(TEST)
    assert clock.left_s() is None
    clock.time += 50.0
    clock.see(TESTED + TESTED)
    assert clock.left_s() == 3.0


def test_it_runs_once() -> None:
    """Caffe is told to stop a single time, and without a limit never."""
    clock = Clock(5.0)
    clock.see(FIRST + b"\n")
    clock.time += 6.0
    assert clock.left_s() == -1.0
    clock.expired = True
    assert clock.left_s() is None
    endless = Clock(0.0)
    endless.see(FIRST + b"\n")
    assert endless.left_s() is None


def test_a_line_without_an_end_does_not_grow() -> None:
    """What waits for its end is bounded."""
    clock = Clock(5.0)
    for _ in range(100):
        clock.see(b"x" * 65_536)
    assert len(clock._part) <= 4096
