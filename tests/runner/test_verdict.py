"""The verdict on a trial: which of several signs decides, and what the message says."""

import math
from functools import reduce
from typing import get_args

import pytest

from ribosome.backends.base import (
    Ending,
    Event,
    Failed,
    Finished,
    Iteration,
    Speed,
)
from ribosome.backends.base import (
    Tested as Validation,  # pytest takes any name with Test for a class of tests
)
from ribosome.runner.verdict import (
    MESSAGE_LIMIT,
    Seen,
    Verdict,
    clean,
    judge,
    observe,
)

GOOD = Validation(accuracy=0.9, loss=0.3, iteration=10)
NAN = float("nan")
INFINITE = float("inf")


def seen(*events: Event) -> Seen:
    """What these events sum up to."""
    return reduce(observe, events, Seen())


def silent(_: int) -> Ending | None:
    """The reading of exit codes by a backend that knows none."""
    return None


def verdict(*events: Event, exit_code: int = 0, **given: object) -> Verdict:
    """The verdict on a log of these events."""
    says = given.pop("says", silent)
    return judge(seen(*events), exit_code, says=says, **given)  # type: ignore[arg-type]


def test_a_good_trial_is_ok() -> None:
    """A validation and a regular end with exit code 0 are ok, without a message."""
    assert verdict(Iteration(0, 2.3), GOOD, Finished()) == Verdict("ok")


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_the_ends_of_the_scale_are_accuracies(accuracy: float) -> None:
    """0 and 1 are possible accuracies."""
    assert verdict(Validation(accuracy, 0.1, 5), Finished()).ending == "ok"


@pytest.mark.parametrize(
    "events",
    [
        (Iteration(3, NAN), GOOD, Finished()),
        (Iteration(3, INFINITE), GOOD, Finished()),
        (Validation(1.0, NAN, 5), Finished()),
        (Validation(NAN, 0.1, 5), Finished()),
        (Validation(1.0, INFINITE, 5), Finished()),
        (Validation(0.1, 87.3365, 5), Finished()),
        (Validation(1.0, NAN, 5), GOOD, Finished()),
        (Failed("diverged", "a weight is NaN"), GOOD, Finished()),
    ],
)
def test_what_is_not_finite_has_diverged(events: tuple[Event, ...]) -> None:
    """NaN, infinity and Caffe's capped loss outrank any accuracy and exit code 0."""
    assert verdict(*events).ending == "diverged"


def test_a_capped_training_loss_may_recover() -> None:
    """One batch at the cap is no divergence where the validation is sound."""
    events = (Iteration(0, 87.3365), GOOD, Finished())
    assert verdict(*events).ending == "ok"


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ((), "nothing was validated"),
        ((GOOD,), "no regular end"),
        ((Finished(),), "nothing was validated"),
        ((Validation(1.5, 0.1, 5), Finished()), "impossible"),
        ((Validation(-0.1, 0.1, 5), Finished()), "impossible"),
    ],
)
def test_exit_code_0_alone_is_not_ok(events: tuple[Event, ...], says: str) -> None:
    """Without a possible accuracy and a regular end a trial has crashed."""
    assert verdict(*events).ending == "crashed", says


@pytest.mark.parametrize(
    ("signs", "ending"),
    [
        ({"timeout", "diverged", "out_of_memory", "invalid", "crashed"}, "timeout"),
        ({"diverged", "out_of_memory", "invalid", "crashed"}, "diverged"),
        ({"out_of_memory", "invalid", "crashed"}, "out_of_memory"),
        ({"invalid", "crashed"}, "invalid"),
        ({"crashed"}, "crashed"),
        (set(), "ok"),
    ],
)
def test_the_first_row_of_the_table_decides(signs: set[str], ending: Ending) -> None:
    """Of several signs the one that stands first in the docstring's table counts."""
    events: list[Event] = [Speed(5.0), GOOD, Finished()]
    if "diverged" in signs:
        events.insert(0, Iteration(1, NAN))
    if "invalid" in signs:
        events.insert(0, Failed("invalid", "kernel larger than its input"))
    lines = ["MemoryError"] if "out_of_memory" in signs else []
    limit = "not done after 5 s" if "timeout" in signs else ""
    code = 1 if signs else 0
    given = verdict(*events, exit_code=code, lines=lines, limit=limit)
    assert given.ending == ending


@pytest.mark.parametrize(
    "ending", [e for e in get_args(Ending) if e not in ("ok", "lost")]
)
def test_the_trainers_own_word_counts(ending: Ending) -> None:
    """A failure that the trainer tells of is the ending, in the trainer's words."""
    given = verdict(Failed(ending, "so it was"), exit_code=1)
    assert given == Verdict(ending, "so it was")


def test_an_exit_code_may_tell_the_ending() -> None:
    """The backend's reading of an exit code counts."""
    given = verdict(exit_code=4, says={4: "invalid"}.get, lines=["bad shape"])
    assert given == Verdict("invalid", "bad shape")


def test_other_exit_codes_are_shown() -> None:
    """An exit code that says nothing is a crash and stands in the message."""
    given = verdict(exit_code=134, lines=["F1123 Check failed"])
    assert given == Verdict("crashed", "exit code 134: F1123 Check failed")


def test_signals_are_named() -> None:
    """A trainer that a signal has ended is shown with the signal's name."""
    given = verdict(exit_code=-11)
    assert given == Verdict("crashed", "killed by signal 11 (SIGSEGV)")


@pytest.mark.parametrize("exit_code", [-9, 137])
def test_a_kill_for_memory_is_out_of_memory(exit_code: int) -> None:
    """SIGKILL while the kernel counts a kill for memory is out_of_memory."""
    given = verdict(exit_code=exit_code, oom_killed=True, peak_bytes=3 << 20)
    assert given.ending == "out_of_memory"
    assert "3 MiB" in given.message


def test_another_kill_is_a_crash() -> None:
    """SIGKILL without such a sign is a crash, not out_of_memory."""
    given = verdict(GOOD, exit_code=-9, lines=["fine so far"])
    assert given.ending == "crashed"
    assert "signal 9 (SIGKILL)" in given.message


def test_another_ones_kill_for_memory_is_not_ours() -> None:
    """A trial that ended well is ok, whatever else the kernel has killed."""
    assert verdict(GOOD, Finished(), oom_killed=True).ending == "ok"


@pytest.mark.parametrize(
    "line",
    [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
        "MemoryError",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED",
        "F1123 syncedmem.hpp:25] Check failed: error == cudaSuccess out of memory",
    ],
)
def test_a_lack_of_memory_is_read_from_the_log(line: str) -> None:
    """The usual words for it, anywhere in the last lines of a trainer that failed."""
    given = verdict(exit_code=1, lines=[line, "and more"])
    assert given == Verdict("out_of_memory", line)


def test_words_of_a_good_trial_mean_nothing() -> None:
    """A trial that ended well may say "out of memory"."""
    given = verdict(GOOD, Finished(), lines=["retry: out of memory"])
    assert given.ending == "ok"


def test_a_traceback_is_shown_by_its_last_line() -> None:
    """Of a Python traceback only the error itself is shown."""
    lines = ["Traceback (most recent call last):", '  File "x.py"', "KeyError: 'a'"]
    assert verdict(exit_code=1, lines=lines).message == "exit code 1: KeyError: 'a'"


def test_a_timeout_shows_the_last_line() -> None:
    """A trial that was ended at a limit shows the limit and what it last said."""
    given = verdict(GOOD, exit_code=-9, limit="not done after 5 s", lines=["still on"])
    assert given == Verdict("timeout", "not done after 5 s; its log ends: still on")


def test_the_last_validation_counts() -> None:
    """Of several validations the last is what the trial is judged by."""
    assert seen(Validation(0.1, 2.0, 5), GOOD).tested == GOOD


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b[31m", "\u202e", "\ud800"])
def test_messages_hold_no_control_characters(character: str) -> None:
    """Whatever a trainer printed, a message does nothing to a terminal."""
    assert clean(f"red{character}\nblood").isprintable()


def test_messages_are_short() -> None:
    """Of a long text both ends are kept."""
    text = clean("the beginning" + "a" * 10_000 + "the end")
    assert len(text) == MESSAGE_LIMIT
    assert text.startswith("the beginning")
    assert text.endswith("the end")


def test_a_fault_is_a_crash_in_its_own_words() -> None:
    """What made us end a trial stands before its last words."""
    given = verdict(GOOD, exit_code=-9, fault="it printed too much", lines=["tick"])
    assert given == Verdict("crashed", "it printed too much; its log ends: tick")


def test_a_fault_spoils_a_good_trial() -> None:
    """A trial that ended well is not ok where its log could not be kept."""
    assert verdict(GOOD, Finished(), fault="the disk is full").ending == "crashed"


def test_no_message_of_a_failure_is_empty() -> None:
    """Even a trainer that said nothing leaves something to show."""
    for code in (1, 4, -9, 139):
        assert verdict(exit_code=code, says={4: "invalid"}.get).message


def test_what_was_seen_is_finite_or_diverged() -> None:
    """No number that is not finite survives in a trial that is ok."""
    for value in (NAN, INFINITE, -INFINITE):
        assert verdict(Validation(value, 0.1, 1), Finished()).ending == "diverged"
        assert not math.isfinite(value)


def test_two_losses_of_training_in_a_row_at_the_cap_are_divergence() -> None:
    """One may be chance; what is told of the same iteration again is no second one."""
    capped = [Iteration(n, 87.3365) for n in (0, 50)]
    assert seen(*capped).diverged.startswith("the loss stays at 87.3365")
    assert not seen(
        capped[0], capped[0], Iteration(50, 2.0), Iteration(99, 90.0)
    ).diverged


@pytest.mark.parametrize(
    ("events", "exit_code", "expected"),
    [
        ((GOOD,), -9, Verdict("ok", "why", stopped=True)),
        ((GOOD, Failed("crashed", "ended")), 1, Verdict("ok", "why", stopped=True)),
        ((GOOD, Finished()), 0, Verdict("ok")),
        ((GOOD, Finished()), -9, Verdict("ok", "why", stopped=True)),
    ],
)
def test_a_halted_trial_is_ok(
    events: tuple[Event, ...], exit_code: int, expected: Verdict
) -> None:
    """Unless it came to its own end first."""
    assert verdict(*events, exit_code=exit_code, halted="why") == expected


def test_a_halted_trial_may_have_diverged() -> None:
    """What the log says of that stands."""
    assert (
        verdict(GOOD, Iteration(20, NAN), exit_code=-9, halted="x").ending == "diverged"
    )


def test_the_iterations_are_the_most_that_the_log_tells_of() -> None:
    """Of training or of a validation."""
    assert seen(Iteration(4, 2.0), GOOD).iterations == 10
    assert seen(GOOD, Iteration(14, 2.0)).iterations == 14
