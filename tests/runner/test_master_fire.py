"""The master under fire: workers in memory that fall silent, come back, and fail."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from run_kit import Recorder, Workers, tiny_master

from ribosome.genome.errors import RunError
from ribosome.runner.journal import Record, read_trials
from ribosome.runner.messages import (
    Forget,
    Ready,
    Report,
    Result,
    Stop,
    Work,
    decode_to_worker,
)
from ribosome.runner.transport import Event, Lost, Message

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
    assert sum("is dropped" in warning for warning in observer.warnings) == 1
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
