"""What travels between master and workers: typed, small, and never a pickle.

Master to worker: one `Setup`, then `Work` as it is handed out, `Stop` at the end.
Worker to master: `Report`, with everything that happened since the last one; the first
is empty and says "I am here", the last one ends in `Left`.
"""

from math import isfinite

import msgspec

from ribosome.backends.base import Ending


class Setup(msgspec.Struct, frozen=True, tag="setup"):
    """The run, as every worker must know it: the resolved config and the run folder."""

    config: bytes  # JSON of runner.config.Config
    folder: str  # the run folder, absolute
    worker: int  # this worker's number, from 1
    evaluator: str = "trial"  # what makes a Result of Work, see runner.worker


class Work(msgspec.Struct, frozen=True, tag="work"):
    """One genome to evaluate. ``seed`` starts the trainer's random numbers.

    The worker keeps the trial's folder if the trial fails or its fitness is above
    ``keep_above``, the best so far; else it removes it, unless the config keeps all.
    """

    trial: int
    genome: bytes
    seed: int
    keep_above: float = -1.0


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """No more work. ``now`` ends the trial that runs, and it is not reported."""

    now: bool = False


class Started(msgspec.Struct, frozen=True, tag="started"):
    """A trial began, in seconds since the epoch."""

    trial: int
    at: float


class Result(msgspec.Struct, frozen=True, tag="result"):
    """How a trial ended. No number in it is ever NaN or infinite: such a one is None.

    ``fitness`` is the validation accuracy and stands only where ``ending`` is ok.
    ``seconds`` is the wall time of the trial; ``flops_per_batch`` counts a multiply-add as
    two, forward and backward; ``message`` is what to show of a failure.
    """

    trial: int
    ending: Ending
    fitness: float | None = None
    loss: float | None = None
    batches_per_s: float | None = None
    flops_per_batch: float | None = None
    parameters: int | None = None
    seconds: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    message: str = ""


class Left(msgspec.Struct, frozen=True, tag="left"):
    """The worker has ended: after a Stop, or of itself, and then ``reason`` says why."""

    reason: str = ""


class Report(msgspec.Struct, frozen=True, tag="report"):
    """What happened on a worker since its last report."""

    events: tuple[Started | Result | Left, ...] = ()


ToWorker = Setup | Work | Stop
encode = msgspec.msgpack.Encoder().encode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_report = msgspec.msgpack.Decoder(Report).decode


def sanitised(result: Result) -> Result:
    """The result as it may travel and be kept.

    NaN and infinity become None, lone surrogates in the message question marks; a fitness
    stands only where the ending is ok, and an ok without one becomes diverged.
    """
    fitness, ending, message = _finite(result.fitness), result.ending, result.message
    if ending != "ok":
        fitness = None
    elif fitness is None:
        ending, message = "diverged", message or "the fitness is not a finite number"
    return Result(
        trial=result.trial,
        ending=ending,
        fitness=fitness,
        loss=_finite(result.loss),
        batches_per_s=_finite(result.batches_per_s),
        flops_per_batch=_finite(result.flops_per_batch),
        parameters=result.parameters,
        seconds=result.seconds,
        started_at=result.started_at,
        finished_at=result.finished_at,
        message=message.encode("utf-8", "replace").decode(),
    )


def _finite(number: float | None) -> float | None:
    return number if number is not None and isfinite(number) else None
