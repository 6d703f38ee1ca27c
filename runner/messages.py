"""What travels between master and workers: typed, small, and never a pickle.

Master to worker: one `Setup`, then `Work` as it is handed out, and before the first that
names it each `Model`; `Halt` for a trial that is not worth going on with; `Stop` at the end.
Worker to master: `Report`, with everything that happened since the last one; the first
begins with `Ready`, the last one ends in `Left`, and an empty one is a heartbeat.
"""

from math import isfinite

import msgspec

from ribosome.backends.base import Ending
from ribosome.runner.bounds import Amount, Number, Share, Size
from ribosome.runner.gpus import Gpu
from ribosome.search.svm import AMONG, Svm


class Setup(msgspec.Struct, frozen=True, tag="setup"):
    """The run, as every worker must know it: the resolved config and the run folder."""

    config: bytes  # JSON of runner.config.Config
    folder: str  # the run folder, absolute
    worker: int  # this worker's number, from 1
    evaluator: str = "trial"  # what makes a Result of Work, see runner.worker
    gpu: Gpu | None = None  # the one that its trainers use
    heartbeat_s: float = 0.0  # a worker silent for longer is taken for lost; 0: none is


class Model(msgspec.Struct, frozen=True, tag="model"):
    """What `Work` of its number draws hyperparameters by: at random, or as ``svm`` predicts.

    ``template`` is the genome, a text, whose hyperparameters they are. A worker takes the
    best of the first ``among`` draws that the ``svm`` calls good.
    """

    number: int
    template: str
    svm: Svm | None = None
    among: int = AMONG


class Work(msgspec.Struct, frozen=True, tag="work"):
    """One genome to evaluate. ``seed`` starts the trainer's random numbers.

    The worker keeps the trial's folder if the trial fails or its fitness is above
    ``keep_above``, the best so far; else it removes it, unless the config keeps all.

    ``copy`` counts how often the trial was handed out before. Whoever had it then may still
    be at it, so that every copy has a folder of its own.

    A ``model``, if it is not 0, says that the genome is one of hyperparameters, which the
    worker draws if it is empty. ``template`` is the worker's own word to its evaluator.
    """

    trial: int
    genome: bytes
    seed: int
    keep_above: float = -1.0
    copy: int = 0
    model: int = 0
    template: str = ""

    @property
    def folder_name(self) -> str:
        """The name of this copy's folder in the run's folder of trials."""
        return folder_name(self.trial, self.copy)


def folder_name(trial: int, copy: int) -> str:
    """The name of the folder in which a copy of a trial runs; the first has the number's."""
    return f"{trial}.{copy}" if copy else str(trial)


class Forget(msgspec.Struct, frozen=True, tag="forget"):
    """A trial has its result from elsewhere: what is here of it ends, and is not told."""

    trial: int


class Halt(msgspec.Struct, frozen=True, tag="halt"):
    """A trial is to be stopped: it ends with the accuracy of its last check, and ``why``."""

    trial: int
    why: str


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """No more work. ``now`` ends the trial that runs, and it is not reported."""

    now: bool = False


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """A worker can take work: where it runs, and what it has made ready for its trials.

    ``gpu`` is the GPU that its trainers see, for people to read; None for none.
    ``staged`` is the node's own copy of the data, empty if trainers read the source, and
    ``bytes_read`` what this worker read of the source to make it. ``warning`` is something
    that the run survives, in one line.
    """

    host: str
    pid: Number
    gpu: str | None = None
    staged: str = ""
    bytes_read: Size = 0
    warning: str = ""


class Started(msgspec.Struct, frozen=True, tag="started"):
    """A trial began, in seconds since the epoch."""

    trial: Number
    at: Amount


class Checked(msgspec.Struct, frozen=True, tag="checked"):
    """A running trial was validated after so many iterations, with more of them to come."""

    trial: Number
    iteration: Number
    accuracy: Share


class Result(msgspec.Struct, frozen=True, tag="result"):
    """How a trial ended. No number in it is ever NaN or infinite: such a one is None.

    ``fitness`` is the validation accuracy and stands only where ``ending`` is ok.
    ``seconds`` is the wall time of the trial; ``flops_per_batch`` counts a multiply-add as
    two, forward and backward; ``message`` is what to show of a failure. ``genome`` is what
    the worker has drawn for the trial; empty if it was given that, or could not.

    ``iterations`` is the number of batches that were trained, as far as the log tells it. A
    trial that was ``stopped`` during training is ok, with the accuracy of its last check and
    a message, and has left no weights. One that was ``rejected`` before is invalid.
    """

    trial: Number
    ending: Ending
    fitness: Share | None = None
    loss: Amount | None = None
    batches_per_s: Amount | None = None
    flops_per_batch: Amount | None = None
    parameters: Size | None = None
    seconds: Amount = 0.0
    started_at: Amount = 0.0
    finished_at: Amount = 0.0
    message: str = ""
    genome: bytes = b""
    iterations: Size | None = None
    stopped: bool = False
    rejected: bool = False


class GivenBack(msgspec.Struct, frozen=True, tag="given-back"):
    """A trial that has ended here and says nothing of its network: it is handed out again.

    ``message`` is what happened. Where the trial may be the cause all the same it is
    ``charged``, and handed out once more only.
    """

    trial: Number
    message: str
    charged: bool


class Left(msgspec.Struct, frozen=True, tag="left"):
    """The worker has ended: after a Stop, or of itself, and then ``reason`` says why.

    ``unfit`` if that was no fault of the trial at hand. ``broken`` is the master's own word,
    for a worker that is there and sends no reports.
    """

    reason: str = ""
    broken: bool = False
    unfit: bool = False


FromWorker = Ready | Started | Checked | Result | GivenBack | Left


class Report(msgspec.Struct, frozen=True, tag="report"):
    """What happened on a worker since its last report; nothing in a heartbeat."""

    events: tuple[FromWorker, ...] = ()


ToWorker = Setup | Model | Work | Forget | Halt | Stop
encode = msgspec.msgpack.Encoder().encode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_report = msgspec.msgpack.Decoder(Report).decode


def read_report(worker: int, data: bytes) -> Report:
    """The Report that a worker sent; for what no worker of ours says, that it is broken.

    An honest worker's results are `sanitised`: whatever has other kinds of numbers, or a
    fitness without ok, is not; nor does one say stopped or rejected of another ending.
    """
    try:
        report = decode_report(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return _no_report(worker, " ".join(str(error).split()))
    for event in report.events:
        if type(event) is not Result:
            continue
        if (event.fitness is None) == (event.ending == "ok"):
            return _no_report(worker, f"a fitness of {event.fitness}, {event.ending}")
        if event.stopped and event.ending != "ok":
            return _no_report(worker, f"stopped, {event.ending}")
        if event.rejected and event.ending != "invalid":
            return _no_report(worker, f"rejected, {event.ending}")
    return report


def _no_report(worker: int, what: str) -> Report:
    return Report(
        (Left(f"worker {worker} sends what is no report: {what}", broken=True),)
    )


def sanitised(result: Result) -> Result:
    """The result as it may travel and be kept.

    NaN and infinity become None, lone surrogates in the message question marks; a fitness
    stands only where the ending is ok, and an ok without one becomes diverged.
    """
    fitness, ending, message = _finite(result.fitness), result.ending, result.message
    stopped = result.stopped and ending == "ok" and fitness is not None
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
        parameters=_kept(result.parameters),
        seconds=result.seconds,
        started_at=result.started_at,
        finished_at=result.finished_at,
        message=message.encode("utf-8", "replace").decode(),
        genome=result.genome,
        iterations=_kept(result.iterations),
        stopped=stopped,
        rejected=result.rejected and ending == "invalid",
    )


def _kept(number: int | None) -> int | None:
    return number if number is not None and number < 1 << 63 else None


def _finite(number: float | None) -> float | None:
    return number if number is not None and isfinite(number) else None
