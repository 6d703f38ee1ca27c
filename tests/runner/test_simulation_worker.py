"""A simulated worker says what a real one says, given the same messages."""

from collections import deque
from collections.abc import Sequence

import pytest

from ribosome.runner.messages import (
    Forget,
    Ready,
    Report,
    Result,
    Setup,
    Started,
    Stop,
    Work,
    decode_report,
    encode,
)
from ribosome.runner.noop import NoopEvaluator, noop_fitness
from ribosome.runner.simulation.faults import Death, Faults, Pause
from ribosome.runner.simulation.machine import SimulatedMachine
from ribosome.runner.simulation.workload import fixed
from ribosome.runner.transport import Joined, Lost, MasterGone, Message
from ribosome.runner.worker import Worker

ToWorker = Setup | Work | Forget | Stop

READY = (Setup(b"{}", "/nowhere", 1, "noop"), None)
"""After its Setup a real worker looks for work once before it first reports."""


def work(trial: int) -> Work:
    """Some work."""
    return Work(trial, bytes([trial]), 0)


SCRIPTS: dict[str, Sequence[ToWorker | None]] = {
    "one after another": (*READY, work(1), None, work(2), None, Stop()),
    "one waits": (*READY, work(1), work(2), None, work(3), None, None, Stop()),
    "nothing to do": (*READY, Stop()),
    "stopped with one running": (*READY, work(1), Stop(), None),
    "stopped with one waiting": (*READY, work(1), work(2), Stop(), None, None),
    "stopped at once": (*READY, work(1), work(2), Stop(now=True)),
    "running one forgotten": (*READY, work(1), work(2), Forget(1), None, Stop()),
    "waiting one forgotten": (*READY, work(1), work(2), Forget(2), None, Stop()),
    "unknown one forgotten": (*READY, work(1), Forget(9), None, Stop()),
}
"""What a worker is told, one thing at a time; None: what runs comes to its end."""


class Script(NoopEvaluator):
    """The real worker's other side, and its evaluator: a trial ends when the script says."""

    def __init__(self, steps: Sequence[ToWorker | None]) -> None:
        super().__init__()
        self._steps = deque(steps)
        self._over = False
        self.reports: list[Report] = []

    def receive(self) -> list[bytes]:
        """The next message, or the end of a trial."""
        if not self._steps:
            raise MasterGone
        step = self._steps.popleft()
        self._over = step is None
        return [] if step is None else [encode(step)]

    def send(self, data: bytes) -> None:
        """Take a report."""
        self.reports.append(decode_report(data))

    def poll(self) -> Result | None:
        """The result, if the script has just said so, and only of one trial."""
        over, self._over = self._over, False
        return super().poll() if over else None


def timeless(reports: list[Report]) -> list[list[object]]:
    """What was reported, without times, places and texts."""
    return [[bare(event) for event in report.events] for report in reports]


def bare(event: object) -> object:
    """An event without what differs between two machines."""
    match event:
        case Result(trial, ending, fitness):
            return ("result", trial, ending, fitness)
        case Started(trial):
            return ("started", trial)
        case Ready():
            return "ready"
        case _:
            return event


def real(steps: Sequence[ToWorker | None]) -> list[Report]:
    """What the real worker reports."""
    script = Script(steps)
    Worker(script, make=lambda _: script).run()
    return script.reports


def simulated(steps: Sequence[ToWorker | None]) -> list[Report]:
    """What the simulated worker reports; a trial ends 10 s after its start."""
    machine = SimulatedMachine(1, seconds=lambda _: 10.0, tells_deaths=False)
    reports: list[Report] = []
    machine.poll(0.0)
    for step in steps:
        if step is not None:
            machine.send(1, encode(step))
        # Long enough for what was sent to be heard; for a trial to end, ten times as long.
        events = machine.poll(0.0 if step is not None else 10.0)
        reports += [
            decode_report(event.data) for event in events if isinstance(event, Message)
        ]
    return reports


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_simulated_worker_says_what_a_real_one_says(script: str) -> None:
    """The same reports, with the same events, in the same order."""
    steps = SCRIPTS[script]
    assert timeless(simulated(steps)) == timeless(real(steps))


def test_a_heartbeat_comes_when_nothing_was_said_for_a_quarter_of_the_limit() -> None:
    """A real worker's limit of 60 s makes a simulated one beat every 15 s."""
    machine = SimulatedMachine(1, seconds=lambda _: 100.0)
    machine.poll(0.0)
    machine.send(1, encode(Setup(b"{}", "/nowhere", 1, "noop", heartbeat_s=60.0)))
    machine.poll(1.0)
    machine.send(1, encode(work(1)))
    heard = []
    for _ in range(8):
        for event in machine.poll(1000.0):
            assert isinstance(event, Message)
            heard.append((machine.clock.monotonic(), decode_report(event.data).events))
    times = [at for at, events in heard if not events]
    assert times == [15.0 * beat for beat in range(1, 7)]


def hear(machine: SimulatedMachine, until: float) -> list[tuple[float, object]]:
    """What arrives at the master up to a time, and when; heartbeats are left out."""
    heard: list[tuple[float, object]] = []
    while (left := until - machine.clock.monotonic()) > 0.0:
        for event in machine.poll(left):
            now = machine.clock.monotonic()
            if isinstance(event, Message):
                events = decode_report(event.data).events
                heard += [(now, bare(told)) for told in events]
            else:
                heard.append((now, event))
    return heard


def begun(faults: Faults, *messages: ToWorker) -> SimulatedMachine:
    """A machine of one worker that has its Setup and more; its trials take 10 s."""
    machine = SimulatedMachine(1, seconds=lambda _: 10.0, faults=faults)
    machine.poll(0.0)
    for message in (READY[0], *messages):
        assert message is not None
        machine.send(1, encode(message))
    return machine


def test_what_was_sent_to_a_dead_worker_is_gone() -> None:
    """Neither what it had nor what comes before the next one is there reaches that one."""
    machine = begun(Faults(deaths=(Death(1, 5.0, back_after=5.0),)), work(1), work(2))
    hear(machine, 7.0)
    for message in (*READY, work(3)):
        if message is not None:
            machine.send(1, encode(message))
    assert hear(machine, 100.0) == [(10.0, Joined(1))]
    machine.send(1, encode(READY[0]))
    machine.send(1, encode(work(4)))
    assert hear(machine, 105.0) == [(100.0, "ready"), (100.0, ("started", 4))]


def test_what_was_on_its_way_to_a_dead_worker_is_gone() -> None:
    """A message that left before the death does not reach the next one."""
    faults = Faults(deaths=(Death(1, 5.0, back_after=0.0),))
    machine = SimulatedMachine(1, seconds=fixed(10.0), faults=faults, latency_s=1.0)
    hear(machine, 4.5)
    machine.send(1, encode(READY[0]))
    assert hear(machine, 50.0) == [
        (6.0, Lost(1, "killed by signal 9", True)),
        (6.0, Joined(1)),
    ]


def test_a_stopped_worker_hears_when_it_goes_on() -> None:
    """What comes in a pause is taken in at its end, in order, and the trial's end too."""
    machine = begun(Faults(pauses=(Pause(1, 5.0, seconds=30.0),)), work(1))
    hear(machine, 7.0)
    machine.send(1, encode(work(2)))
    machine.send(1, encode(Stop()))
    assert [at for at, _ in hear(machine, 100.0)] == [35.0, 35.0, 45.0, 45.0, 45.0]


def test_an_idle_worker_that_is_stopped_starts_nothing() -> None:
    """Work that comes in a pause begins at its end."""
    machine = begun(Faults(pauses=(Pause(1, 5.0, seconds=30.0),)))
    hear(machine, 7.0)
    machine.send(1, encode(work(1)))
    assert hear(machine, 40.0) == [(35.0, ("started", 1))]


def test_a_dismissed_worker_is_not_replaced() -> None:
    """After `retire` nobody takes the place of one that dies."""
    machine = begun(Faults(deaths=(Death(1, 5.0, back_after=5.0),)), work(1))
    machine.retire(1)
    assert not any(isinstance(event, Joined) for _, event in hear(machine, 100.0))


def test_a_message_is_there_before_what_happens_at_the_same_time() -> None:
    """Work that comes as a trial ends is the next one, and told of with its result."""
    late = SimulatedMachine(1, seconds=fixed(10.0), latency_s=5.0)
    hear(late, 5.0)
    for message in (READY[0], work(1)):
        assert message is not None
        late.send(1, encode(message))
    hear(late, 15.0)
    late.send(1, encode(work(2)))
    reports = []
    for _ in range(3):
        reports += [event for event in late.poll(20.0) if isinstance(event, Message)]
    assert [[bare(told) for told in decode_report(r.data).events] for r in reports] == [
        [("result", 1, "ok", noop_fitness(work(1).genome)), ("started", 2)],
        [("result", 2, "ok", noop_fitness(work(2).genome))],
    ]
