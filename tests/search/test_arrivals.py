"""The order in which results enter a population."""

from ribosome.search.arrivals import Arrival, AsAsked, AsFinished
from ribosome.search.strategy import Proposal


def arrival(trial: int) -> Arrival:
    """A trial that has ended."""
    return Arrival(trial, Proposal(((0,),)), 0.5)


def test_as_finished_takes_each_at_once() -> None:
    """Whatever was asked before."""
    arrivals = AsFinished()
    for trial in (1, 2):
        arrivals.ask(trial)
    assert [a.trial for a in arrivals.tell(arrival(2))] == [2]
    assert [a.trial for a in arrivals.tell(arrival(1))] == [1]


def test_as_asked_waits_for_earlier_trials() -> None:
    """The order of the asks is that of the arrivals, however the trials end."""
    arrivals = AsAsked()
    for trial in (1, 2, 3, 4):
        arrivals.ask(trial)
    entered = [[a.trial for a in arrivals.tell(arrival(t))] for t in (2, 1, 4, 3)]
    assert entered == [[], [1, 2], [], [3, 4]]
