"""The master under fire: workers in memory that fall silent, come back, and fail."""

import os
import signal
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest
from run_kit import Recorder, Workers, tiny_master

from ribosome.genome.errors import RunError
from ribosome.runner.journal import Journal
from ribosome.runner.messages import (
    Forget,
    GivenBack,
    Left,
    Ready,
    Report,
    Result,
    Stop,
    Work,
    decode_to_worker,
)
from ribosome.runner.observer import Interrupted
from ribosome.runner.records import Record, read_trials
from ribosome.runner.transport import Event, Joined, Lost, Message

LIMIT_S = 3.0


class Turns(Workers):
    """Workers whose time goes on by a second a poll, and a clock that shows it.

    ``frozen`` says in which polls a worker does nothing: what it is sent waits. Who has
    nothing to do sends a heartbeat.
    """

    def __init__(
        self,
        count: int,
        *,
        frozen: dict[int, Sequence[int]] | None = None,
        **options: object,
    ) -> None:
        super().__init__(count, **options)  # type: ignore[arg-type]
        self.turn = 0
        self._frozen = frozen or {}

    def monotonic(self) -> float:
        """Seconds since the first poll."""
        return float(self.turn)

    def time(self) -> float:
        """The same."""
        return float(self.turn)

    def _take(self, worker: int, data: bytes) -> None:
        """Take a message; a trial to forget is not begun."""
        super()._take(worker, data)
        message = decode_to_worker(data)
        if isinstance(message, Forget):
            left = [
                work for work in self._queues[worker] if work.trial != message.trial
            ]
            self._queues[worker].clear()
            self._queues[worker].extend(left)

    def poll(self, timeout: float) -> list[Event]:
        """One trial by every worker that is not frozen."""
        self.turn += 1
        held = {
            worker: self._queues.pop(worker)
            for worker, turns in self._frozen.items()
            if self.turn in turns and worker in self._queues
        }
        events = super().poll(timeout)
        spoken = {event.worker for event in events}
        events += [self._say(worker) for worker in self._queues if worker not in spoken]
        self._queues |= held
        return events


def run(
    folder: Path, transport: Turns, **options: object
) -> tuple[list[Record], Recorder, int]:
    """Run to the end: the trials, what was said, and the number of answers dropped."""
    observer = Recorder()
    master, journal = tiny_master(
        folder,
        transport,
        observer=observer,
        clock=transport,
        **options,  # type: ignore[arg-type]
    )
    with closing(journal):
        master.run()
    return read_trials(folder), observer, master.dropped


def works(transport: Workers, worker: int) -> list[Work]:
    """The work that a worker was sent."""
    return [sent for sent in transport.sent[worker] if isinstance(sent, Work)]


def test_heartbeats_keep_an_idle_worker(tmp_path: Path) -> None:
    """Many turns without a result are no silence."""
    transport = Turns(2, frozen={})
    records, observer, _ = run(tmp_path, transport, heartbeat_s=LIMIT_S, evaluations=40)
    assert transport.turn > 4 * LIMIT_S
    assert observer.warnings == []
    assert len(records) == 40


def test_a_silent_workers_trials_go_to_others(tmp_path: Path) -> None:
    """They are done once, by another, and the silence is told."""
    transport = Turns(2, frozen={2: range(5, 1000)})
    records, observer, dropped = run(tmp_path, transport, heartbeat_s=LIMIT_S)
    assert len(records) == 30
    assert all(record.ending in ("ok", "diverged") for record in records)
    assert observer.warnings == [
        "worker 2 on node2 has been silent for 3 s: others get its trials"
    ]
    assert dropped == 0
    again = [work for work in works(transport, 1) if work.copy]
    assert [work.trial for work in again] == [
        work.trial for work in works(transport, 2)[-2:]
    ]


def test_a_late_answer_is_dropped_and_its_worker_welcome(tmp_path: Path) -> None:
    """What has its result is not told twice; the worker gets other work."""
    transport = Turns(2, frozen={2: range(5, 15)})
    records, observer, dropped = run(tmp_path, transport, heartbeat_s=LIMIT_S)
    assert [record.trial for record in records] == list(range(1, 31))
    assert dropped == 1
    assert sum("dropped, as others" in warning for warning in observer.warnings) == 1
    assert "worker 2 on node2 speaks again: it gets work as before" in observer.warnings
    forgotten = [m for m in transport.sent[2] if isinstance(m, Forget)]
    assert len(forgotten) == 2
    assert any(record.worker == 2 for record in records[20:])


def test_a_late_answer_that_is_first_counts(tmp_path: Path) -> None:
    """The one who was given the trial meanwhile is told to forget it."""
    # Worker 2 is missed in turn 8; worker 1 has been given its trials by turn 10.
    transport = Turns(2, frozen={2: range(5, 11), 1: range(11, 13)})
    records, _, dropped = run(tmp_path, transport, heartbeat_s=LIMIT_S)
    first = next(sent.trial for sent in transport.sent[1] if isinstance(sent, Forget))
    assert records[first - 1].worker == 2
    assert [record.trial for record in records] == list(range(1, 31))
    assert dropped <= 1


def test_a_late_start_is_not_noted(tmp_path: Path) -> None:
    """The journal names the worker whose answer counted."""
    transport = Turns(2, frozen={2: range(5, 15)})
    records, _, _ = run(tmp_path, transport, heartbeat_s=LIMIT_S)
    again = [work.trial for work in works(transport, 1) if work.copy]
    assert len(again) == 2
    assert {records[trial - 1].worker for trial in again} == {1}


def test_workers_that_are_all_silent_are_waited_for(tmp_path: Path) -> None:
    """A file system that hangs for a while does not end the run."""
    transport = Turns(2, frozen={1: range(5, 20), 2: range(5, 25)})
    records, _, _ = run(tmp_path, transport, heartbeat_s=LIMIT_S)
    assert len(records) == 30


def test_workers_that_stay_silent_are_an_error(tmp_path: Path) -> None:
    """After ten times the limit."""
    transport = Turns(2, frozen={1: range(5, 1000), 2: range(5, 1000)})
    with pytest.raises(RunError, match=r"no worker is left: worker . on node. has"):
        run(tmp_path, transport, heartbeat_s=LIMIT_S)
    assert 10 * LIMIT_S < transport.turn < 20 * LIMIT_S


def test_a_rank_that_has_died_does_not_return(tmp_path: Path) -> None:
    """Where nobody takes a dead worker's place, the last one's death is the end."""

    class Mortal(Turns):
        def poll(self, timeout: float) -> list[Event]:
            events = super().poll(timeout)
            if self.turn in (5, 6):
                del self._queues[self.turn - 4]
                events = [event for event in events if event.worker != self.turn - 4]
                events.append(Lost(self.turn - 4, "its rank has died", returns=False))
            return events

    with pytest.raises(RunError, match="worker 2 on node2 was lost: its rank has died"):
        run(tmp_path, Mortal(2))


class Broken(Turns):
    """Workers of which some fail with every trial from a turn on."""

    def __init__(self, count: int, *, broken: dict[int, int]) -> None:
        super().__init__(count)
        self._since = broken

    def _say(self, worker: int, *events: object) -> Message:
        fails = self.turn >= self._since.get(worker, 1_000_000)
        return super()._say(
            worker,
            *(
                Result(
                    event.trial,
                    "crashed" if fails else "ok",
                    None if fails else event.trial / 1000,
                    message="GPU is lost" if fails else "",
                )
                if isinstance(event, Result)
                else event
                for event in events
            ),
        )


def test_a_worker_that_always_fails_is_quarantined(tmp_path: Path) -> None:
    """After eight failures it gets no more work, and one warning names it."""
    transport = Broken(3, broken={2: 5})
    records, observer, _ = run(
        tmp_path, transport, quarantine=8, heartbeat_s=LIMIT_S, evaluations=60
    )
    failures = [record for record in records if record.ending == "crashed"]
    assert {record.worker for record in failures} == {2}
    assert len(failures) == 8
    assert observer.warnings == [
        "worker 2 on node2 is quarantined: one network after another ended as crashed "
        "there while others trained elsewhere; the last said: GPU is lost; look at that "
        "machine"
    ]
    assert transport.sent[2][-1] == Stop(now=True)
    assert [record.trial for record in records] == list(range(1, 61))


def test_where_all_fail_nobody_is_quarantined(tmp_path: Path) -> None:
    """Then it is not the machines."""
    transport = Broken(3, broken={1: 5, 2: 5, 3: 5})
    records, observer, _ = run(tmp_path, transport, quarantine=8, evaluations=90)
    assert sum(record.ending == "crashed" for record in records) > 60
    assert observer.warnings == []


def test_a_quarantine_that_leaves_nobody_ends_the_run(tmp_path: Path) -> None:
    """The error says which worker was the last, and why it gets no more work."""

    class Last(Broken):
        def poll(self, timeout: float) -> list[Event]:
            events = super().poll(timeout)
            if self.turn == 7:
                del self._queues[2]
                events = [event for event in events if event.worker != 2]
                events.append(Lost(2, "its rank has died", returns=False))
            return events

    transport = Last(2, broken={1: 5})
    with pytest.raises(RunError, match=r"no worker is left: worker 1 .* quarantined"):
        run(tmp_path, transport, quarantine=8)


def test_a_network_that_failed_is_not_proposed_again(tmp_path: Path) -> None:
    """Nor after the run was opened anew: every trial has a genome of its own."""
    run(tmp_path, Broken(2, broken={1: 0, 2: 100}), evaluations=150)
    records, _, _ = run(tmp_path, Broken(2, broken={1: 0, 2: 0}), evaluations=400)
    assert sum(record.ending == "crashed" for record in records) > 300
    assert len({record.genome for record in records}) == 400


def test_what_a_worker_has_made_ready_is_noted(tmp_path: Path) -> None:
    """Its words go to the journal, a warning of several workers is said once."""

    def warn(report: Report) -> Report:
        return Report(
            tuple(
                Ready(event.host, event.pid, "GPU 0", "/nvme/data", 7, "little room")
                if isinstance(event, Ready)
                else event
                for event in report.events
            )
        )

    _, observer, _ = run(tmp_path, Turns(3, on_report=warn))
    assert observer.warnings == ["little room"]


class Twice(Broken):
    """Workers that end all the trials they have in one poll."""

    def poll(self, timeout: float) -> list[Event]:
        """Two polls in one."""
        return super().poll(timeout) + super().poll(timeout)


def test_no_work_follows_the_end_of_a_worker(tmp_path: Path) -> None:
    """What the turn had given it before it was barred is not sent after the Stop."""
    transport = Twice(3, broken={2: 5})
    run(tmp_path, transport, quarantine=8, evaluations=80)
    assert transport.sent[2][-1] == Stop(now=True)


def test_a_machine_where_every_worker_dies_is_given_up(tmp_path: Path) -> None:
    """Each that takes the place of one that died dies too; the trials go to others."""

    class Deadly(Workers):
        def __init__(self, count: int) -> None:
            super().__init__(count)
            self.retired: list[int] = []

        def retire(self, worker: int) -> None:
            self.retired.append(worker)
            if worker in self._joining:
                self._joining.remove(worker)

        def _evaluate(self, worker: int, work: Work) -> Event:
            if worker == 2:
                self._deadly[work.trial] = 1
            return super()._evaluate(worker, work)

    transport = Deadly(3)
    observer = Recorder()
    master, journal = tiny_master(
        tmp_path, transport, evaluations=60, observer=observer, quarantine=4
    )
    with closing(journal):
        master.run()
    assert sum("was lost" in warning for warning in observer.warnings) == 4
    assert "none takes its place" in observer.warnings[3]
    assert transport.retired[0] == 2
    assert len(read_trials(tmp_path)) == 60


class Talkative(Workers):
    """One worker that answers two trials in a poll, also when it was told to stop."""

    def __init__(self, *, interrupt_at: int = 0) -> None:
        super().__init__(1)
        self._turn = 0
        self._interrupt_at = interrupt_at

    def poll(self, timeout: float) -> list[Event]:  # noqa: ARG002 - never waits
        """The worker's trials all at once; a Stop is heard after the answers."""
        self._turn += 1
        if self._turn == self._interrupt_at:
            signal.raise_signal(signal.SIGINT)
            return []
        if self._joining:
            return super().poll(0.0)
        queue = self._queues.get(1, deque())
        events: list[Event] = [
            self._evaluate(1, queue.popleft()) for _ in range(len(queue))
        ]
        return events or super().poll(0.0)


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    """With two answers on their way when the signal came."""

    def steps(folder: Path) -> list[tuple[object, ...]]:
        with closing(Journal(folder)) as journal:
            return [
                (what, record.trial, record.genome) for what, record in journal.replay()
            ]

    for name, transport in (
        ("whole", Talkative()),
        ("cut", Talkative(interrupt_at=9)),
        ("cut", Talkative()),
    ):
        (tmp_path / name).mkdir(exist_ok=True)
        master, journal = tiny_master(tmp_path / name, transport, evaluations=60)
        with closing(journal), suppress(Interrupted):
            master.run()
    assert steps(tmp_path / "cut") == steps(tmp_path / "whole")


def test_a_run_of_which_no_worker_gets_ready_again_ends(tmp_path: Path) -> None:
    """One was ready once, and the one that took its place never is."""

    class Stuck(Turns):
        def monotonic(self) -> float:
            return 60.0 * self.turn

        def poll(self, timeout: float) -> list[Event]:
            if self.turn == 0:
                return super().poll(timeout)
            self.turn += 1
            if self.turn == 2:
                return [Lost(1, "killed by signal 9"), Joined(1)]
            return []

    with pytest.raises(RunError, match="no worker is ready after 3600 s"):
        run(tmp_path, Stuck(1))


def test_the_first_worker_to_be_ready_does_not_take_all(tmp_path: Path) -> None:
    """However long its queue may be, it leaves the others their shares."""

    class Early(Workers):
        late: tuple[Event, ...] = ()

        def poll(self, timeout: float) -> list[Event]:
            events = [*self.late, *super().poll(timeout)]
            self.late = ()
            if isinstance(events[0], Joined):
                joined = [event for event in events if isinstance(event, Joined)]
                first, *self.late = [e for e in events if isinstance(e, Message)]
                return [*joined, first]
            return events

    transport = Early(4)
    master, journal = tiny_master(tmp_path, transport, evaluations=120, depth=100)
    with closing(journal):
        master.run()
    shares = Counter(record.worker for record in read_trials(tmp_path))
    assert max(shares.values()) <= 40


def given_back(transport: Turns, trial: int, times: int, *, charged: bool) -> None:
    """Have the first results of a trial be given back instead."""
    left = [times]

    def exchange(report: Report) -> Report:
        events = []
        for event in report.events:
            if isinstance(event, Result) and event.trial == trial and left[0]:
                left[0] -= 1
                events.append(GivenBack(trial, "worker 1: ended by SIGTERM", charged))
            else:
                events.append(event)
        return Report(tuple(events))

    transport._on_report = exchange


def test_a_trial_that_is_given_back_is_done_again(tmp_path: Path) -> None:
    """It has one result, the second one's, in the folder of its number."""
    transport = Turns(2)
    given_back(transport, 5, 1, charged=True)
    records, observer, dropped = run(tmp_path, transport)
    assert [record.trial for record in records] == list(range(1, 31))
    assert records[4].ending in ("ok", "diverged")
    assert observer.warnings == [
        "worker 1: ended by SIGTERM: trial 5 is done again",
    ]
    assert dropped == 0
    again = [work for worker in (1, 2) for work in works(transport, worker)]
    assert sorted(work.copy for work in again if work.trial == 5) == [0, 1]


def test_a_trial_that_is_given_back_twice_has_crashed(tmp_path: Path) -> None:
    """Who ends its trainer would do so for ever: what happened is its message."""
    transport = Turns(2)
    given_back(transport, 5, 2, charged=True)
    records, _, _ = run(tmp_path, transport)
    assert (records[4].ending, records[4].message) == (
        "crashed",
        "worker 1: ended by SIGTERM",
    )
    assert len(records) == 30


def test_what_no_trial_is_charged_with_may_happen_often(tmp_path: Path) -> None:
    """The data of five workers was gone, one after another."""
    transport = Turns(2)
    given_back(transport, 5, 5, charged=False)
    records, _, _ = run(tmp_path, transport)
    assert records[4].ending in ("ok", "diverged")


def test_a_trial_that_was_not_the_workers_cannot_be_given_back(tmp_path: Path) -> None:
    """It is dropped like an answer too many."""
    transport = Turns(2)

    def add(report: Report) -> Report:
        return Report((*report.events, GivenBack(7000, "what?", True)))

    transport._on_report = add
    records, _, dropped = run(tmp_path, transport)
    assert len(records) == 30
    assert dropped > 10


def test_what_is_given_back_at_the_end_has_no_result(tmp_path: Path) -> None:
    """A batch system ends trainers and master together: --resume does them again."""
    transport = Turns(2)

    def exchange(report: Report) -> Report:
        if transport.turn == 8:
            os.kill(os.getpid(), signal.SIGTERM)
        if transport.turn < 9:
            return report
        return Report(
            tuple(
                GivenBack(event.trial, "ended by SIGTERM", True)
                if isinstance(event, Result)
                else event
                for event in report.events
            )
        )

    transport._on_report = exchange
    with pytest.raises(Interrupted):
        run(tmp_path, transport)
    before = read_trials(tmp_path)
    assert not [record for record in before if record.ending == "crashed"]
    assert [record for record in before if record.ending is None]
    records, _, _ = run(tmp_path, Turns(2))
    assert len(records) == 30
    assert all(record.ending in ("ok", "diverged") for record in records)


@pytest.mark.parametrize("unfit", [True, False])
def test_a_trial_is_not_to_blame_for_unfit_workers(tmp_path: Path, unfit: bool) -> None:
    """However many of them had it; but two that leave by an error of ours are enough."""
    transport = Turns(5)

    def leave(report: Report) -> Report:
        events = report.events
        ended = [event for event in events if isinstance(event, Result)]
        if ended and ended[0].trial == 1 and len(left) < 4:
            left.append(1)
            return Report((Left("no data here any more", unfit=unfit),))
        return report

    left: list[int] = []
    transport._on_report = leave
    records, _, _ = run(tmp_path, transport, depth=1)
    if unfit:
        assert records[0].ending in ("ok", "diverged")
        assert len(left) == 4
    else:
        assert records[0].ending == "lost"
        assert len(left) == 2


def test_a_worker_whose_trainers_are_all_ended_is_barred(tmp_path: Path) -> None:
    """Something on its machine ends them: its trials are done elsewhere."""
    transport = Turns(3)

    def exchange(report: Report) -> Report:
        ended = [event for event in report.events if isinstance(event, Result)]
        if not ended or ended[0].trial not in {w.trial for w in works(transport, 2)}:
            return report
        return Report((GivenBack(ended[0].trial, "ended by SIGTERM", True),))

    def by_worker(worker: int, *events: object) -> Message:
        transport._on_report = exchange if worker == 2 else lambda report: report
        return say(worker, *events)

    say = transport._say
    transport._say = by_worker  # type: ignore[method-assign]
    records, observer, _ = run(tmp_path, transport, quarantine=4, evaluations=60)
    assert len(records) == 60
    barred = [text for text in observer.warnings if "is quarantined" in text]
    assert len(barred) == 1
    assert "worker 2 on node2" in barred[0]
    assert "ended by SIGTERM" in barred[0]
