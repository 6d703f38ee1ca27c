"""What travels between master and workers: typed, small, and never a pickle.

Master to worker: one `Setup`, then `Work` as it is handed out, `Stop` at the end.
Worker to master: `Report`, with everything that happened since the last one.
"""

import msgspec

from ribosome.backends.base import Ending


class Setup(msgspec.Struct, frozen=True, tag="setup"):
    """The run, as every worker must know it: the resolved config and the run folder."""

    config: bytes  # JSON of runner.config.Config
    folder: str  # the run folder, absolute
    worker: int  # this worker's number, from 1


class Work(msgspec.Struct, frozen=True, tag="work"):
    """One genome to evaluate. ``seed`` starts the trainer's random numbers."""

    trial: int
    genome: bytes
    seed: int


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


class Report(msgspec.Struct, frozen=True, tag="report"):
    """What happened on a worker since its last report; an empty one says "I am here"."""

    events: tuple[Started | Result, ...] = ()


ToWorker = Setup | Work | Stop
encode = msgspec.msgpack.Encoder().encode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_report = msgspec.msgpack.Decoder(Report).decode
