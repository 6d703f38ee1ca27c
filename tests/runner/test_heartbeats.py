"""Which workers have been silent for too long."""

from ribosome.runner.heartbeats import Heartbeats


def test_a_silent_worker_is_found_once() -> None:
    """One that was not heard for longer than the limit is named, then forgotten."""
    watch = Heartbeats(10.0)
    watch.begin(1, 0.0)
    watch.begin(2, 0.0)
    assert watch.silent(5.0) == []
    watch.hear(2, 6.0)
    assert watch.silent(10.0) == []
    assert watch.silent(10.5) == [1]
    assert watch.silent(11.0) == []


def test_all_that_are_silent_are_found() -> None:
    """In the order in which they were heard last."""
    watch = Heartbeats(10.0)
    for worker in (1, 2, 3):
        watch.begin(worker, 0.0)
    watch.hear(1, 1.0)
    for now in (4.0, 8.0):
        assert watch.silent(now) == []
    assert watch.silent(12.0) == [2, 3, 1]


def test_who_has_left_is_not_missed() -> None:
    """Nor is one that was never expected to speak."""
    watch = Heartbeats(10.0)
    watch.begin(1, 0.0)
    watch.hear(2, 0.0)
    watch.end(1)
    watch.end(3)
    for now in (4.0, 8.0, 12.0):
        assert watch.silent(now) == []


def test_without_a_limit_nobody_is_missed() -> None:
    """A limit of 0 stands for none."""
    watch = Heartbeats(0.0)
    watch.begin(1, 0.0)
    assert watch.silent(1e9) == []


def test_a_listener_that_was_held_up_blames_nobody() -> None:
    """After a pause in which nobody listened, every silence counts from then."""
    watch = Heartbeats(10.0)
    watch.begin(1, 0.0)
    assert watch.silent(1.0) == []
    assert watch.silent(60.0) == []
    assert watch.silent(64.0) == []
    assert watch.silent(68.0) == []
    assert watch.silent(71.0) == [1]
