"""Letting workers go when the run cannot go on: nothing that they say is kept."""

from collections.abc import Collection

from ribosome.runner.clock import Clock
from ribosome.runner.messages import Left, Stop, encode, read_report
from ribosome.runner.transport import Lost, Message, Transport

_TURN_S = 0.2


def dismiss(
    transport: Transport, workers: Collection[int], clock: Clock, grace_s: float
) -> None:
    """Tell workers to end at once; who has not left after ``grace_s`` seconds is killed.

    A rank that hangs would else hold up MPI's own end for ever.
    """
    there = set(workers)
    for worker in workers:
        transport.retire(worker)
        transport.send(worker, encode(Stop(now=True)))
    deadline = clock.monotonic() + grace_s
    while there and clock.monotonic() < deadline:
        for event in transport.poll(_TURN_S):
            if isinstance(event, Lost) or (
                isinstance(event, Message) and _leaves(event)
            ):
                there.discard(event.worker)
    for worker in there:
        transport.kill(worker)


def _leaves(message: Message) -> bool:
    report = read_report(message.worker, message.data)
    return any(isinstance(event, Left) for event in report.events)
