"""Who has which trial, where workers vanish and come back."""

from collections import deque
from types import SimpleNamespace

from ribosome.runner.proposer import Candidate
from ribosome.runner.queues import Handed, Queues


def trial(number: int) -> Candidate:
    """A trial that is nothing but its number."""
    return Candidate(number, b"", str(number), 0, (), 0)


def queues(trials: int, workers: int) -> Queues:
    """A backlog of trials from 1, and workers from 1 that are ready, with nothing yet."""
    backlog = deque(trial(number) for number in range(1, trials + 1))
    made = Queues(SimpleNamespace(left=0), backlog)  # type: ignore[arg-type]
    for worker in range(1, workers + 1):
        made.join(worker)
        made.begin(worker)
    return made


def fill(made: Queues, worker: int, depth: int = 2) -> list[tuple[int, int]]:
    """(trial, copy) of what a worker is given."""
    return [
        (handed.trial.number, handed.copy)
        for handed in made.fill(worker, 0.0, depth=depth)
    ]


def number(handed: Handed | None) -> int | None:
    """The number of a trial."""
    return None if handed is None else handed.trial.number


def test_the_trials_of_a_lost_worker_are_the_next_to_go() -> None:
    """In their order, as second copies."""
    made = queues(6, 2)
    assert fill(made, 1) == [(1, 0), (2, 0)]
    assert made.leave(1) is None
    assert fill(made, 2) == [(1, 1), (2, 1)]


def test_a_worker_that_was_told_to_leave_is_not_charged() -> None:
    """However often its trial is handed out."""
    made = queues(6, 9)
    for worker in range(1, 9):
        assert fill(made, worker, 1) == [(1, worker - 1)]
        assert made.leave(worker, charge=False) is None


def test_the_first_answer_counts_although_it_is_late() -> None:
    """A silent worker answers before the one that got its trial: that one may stop."""
    made = queues(6, 2)
    fill(made, 1)
    made.leave(1, astray=True)
    assert fill(made, 2) == [(1, 1), (2, 1)]
    assert made.come_back(1) == []
    taken = made.take(1, 1)
    assert taken is not None
    assert (taken.trial.number, taken.copy) == (1, 0)
    assert made.was_copied(1)
    assert made.settle(1) == ([2], 1)
    assert made.take(2, 1) is None
    assert number(made.drop(2, 1)) == 1


def test_a_late_answer_to_what_has_its_result_is_dropped() -> None:
    """The worker that is back is told which of its trials nobody wants any more."""
    made = queues(6, 2)
    fill(made, 1)
    made.leave(1, astray=True)
    fill(made, 2)
    assert number(made.take(2, 1)) == 1
    assert made.settle(1) == ([1], 1)
    assert made.come_back(1) == [1]
    assert made.take(1, 1) is None
    assert number(made.drop(1, 1)) == 1
    assert made.drop(1, 1) is None


def test_a_worker_that_is_back_goes_on_with_what_nobody_has() -> None:
    """Its trials that still wait for another are its own again, in their order."""
    made = queues(6, 2)
    fill(made, 1)
    made.leave(1, astray=True)
    assert fill(made, 2, 1) == [(1, 1)]
    assert made.come_back(1) == []
    assert made.find(1, 2)
    assert not made.find(1, 1)
    assert number(made.take(1, 2)) == 2
    assert fill(made, 2) == [(3, 0)]


def test_no_trial_has_two_results() -> None:
    """What was never handed out to a worker is not taken from it."""
    made = queues(6, 2)
    fill(made, 1)
    assert made.take(2, 1) is None
    assert number(made.take(1, 1)) == 1
    assert made.take(1, 1) is None
    assert made.drop(1, 1) is None


def test_a_new_worker_with_an_old_number_has_no_old_answers() -> None:
    """A process that took the place of another never had its trials."""
    made = queues(6, 2)
    fill(made, 1)
    made.leave(1, astray=True)
    fill(made, 2)
    made.join(1)
    assert made.take(1, 1) is None


def test_a_trial_that_is_given_back_is_the_next_to_go() -> None:
    """As a second copy; what its worker has besides stays there."""
    made = queues(6, 2)
    fill(made, 1)
    assert made.give_back(1, 1, charge=False) is None
    assert made.find(1, 2)
    assert not made.find(1, 1)
    assert fill(made, 2, 1) == [(1, 1)]


def test_a_trial_is_given_back_once_if_it_is_charged() -> None:
    """The second time it is returned, and goes to nobody."""
    made = queues(6, 2)
    fill(made, 1, 1)
    assert made.give_back(1, 1, charge=True) is None
    assert fill(made, 2, 1) == [(1, 1)]
    assert number(made.give_back(2, 1, charge=True)) == 1
    assert fill(made, 2, 1) == [(2, 0)]


def test_a_worker_without_trials_is_not_busy() -> None:
    """What was given back does not run."""
    made = queues(6, 2)
    fill(made, 1, 1)
    assert made.running == 1
    made.give_back(1, 1, charge=True)
    assert made.running == 0


def test_a_worker_that_was_only_silent_has_not_died_of_its_trial() -> None:
    """Once it speaks again its trial may take a worker along as any other may."""
    made = queues(6, 2)
    for _ in range(3):
        fill(made, 1, 1)
        assert made.leave(1, astray=True) is None
        made.come_back(1)
    assert made.leave(1) is None


def test_a_worker_that_stays_silent_is_charged_for() -> None:
    """Two of them make a trial that nobody is given again."""
    made = queues(6, 3)
    fill(made, 1, 1)
    assert made.leave(1, astray=True) is None
    fill(made, 2, 1)
    assert number(made.leave(2, astray=True)) == 1


def test_a_death_and_a_sigterm_are_counted_apart() -> None:
    """A node that is reclaimed sends SIGTERM first, and takes its workers along later."""
    made = queues(6, 3)
    fill(made, 1, 1)
    assert made.give_back(1, 1, charge=True) is None
    assert fill(made, 1, 1) == [(1, 1)]
    assert made.leave(1) is None
    assert fill(made, 2, 1) == [(1, 2)]
    assert number(made.leave(2)) == 1
