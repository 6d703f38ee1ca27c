"""The text around the layers: data, loss and accuracy, input, solver; and what they need."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ribosome.backends.caffe.check import check_text
from ribosome.backends.caffe.data import layer_of, paths
from ribosome.backends.caffe.layers import number, quoted
from ribosome.backends.caffe.schema import Flavour
from ribosome.genome.errors import EmitError
from ribosome.genome.task import Task
from ribosome.genome.version import __version__
from ribosome.templates.frame import Frame, frame


class Names(NamedTuple):
    """Of the images' blob, and of the layers that are no nodes."""

    input: str = "data"
    label: str = "label"
    accuracy: str = "accuracy"
    loss: str = "loss"
    prob: str = "prob"


@dataclass(frozen=True, slots=True)
class Frames:
    """The files to train with, without what changes from one genome to the next."""

    train_val: Frame
    solver: Frame


_SAMPLE = {"genome": "", "name": '""', "layers": "", "result": '""', "fields": ""}
"""What fills the places of the frames while they are checked."""


@lru_cache(maxsize=256)
def frames(
    task: Task, flavour: Flavour, space: str | None, batch_size: int, names: Names
) -> Frames:
    """The frames of a task's train_val and solver, checked with the schema of the flavour.

    Raises EmitError for a run without an end.
    """
    training = task.training
    if training.max_iterations < 1:
        raise EmitError(
            "Caffe trains for a number of iterations: set training.max_iterations to 1 or "
            "more (time_limit_s may end it sooner)"
        )
    test_batch, test_iterations = test_batches(task.val, training.test_batch_size)
    train, val = sources(task)
    common = _common(task, flavour, space, names)
    phases = (
        _Phase("TRAIN", quoted(train), batch_size),
        _Phase("TEST", quoted(val), test_batch),
    )
    uneven = test_batch * test_iterations - task.val if task.val else 0
    made = Frames(
        frame("caffe_train_val.prototxt.jinja", **common, phases=phases, uneven=uneven),
        frame("caffe_solver.prototxt.jinja", **common, test_iterations=test_iterations),
    )
    check_text(made.train_val.fill(_SAMPLE), "NetParameter", flavour)
    check_text(made.solver.fill(_SAMPLE), "SolverParameter", flavour)
    return made


@lru_cache(maxsize=256)
def deploy_frame(
    task: Task, flavour: Flavour, space: str | None, names: Names
) -> Frame:
    """The frame of a network's deploy file, checked as well; it needs no data."""
    common = _common(task, flavour, space, names)
    made = frame("caffe_deploy.prototxt.jinja", **common)
    check_text(made.fill(_SAMPLE), "NetParameter", flavour)
    return made


def _common(
    task: Task, flavour: Flavour, space: str | None, names: Names
) -> dict[str, object]:
    return {
        "task": task,
        "version": __version__,
        "space": space,
        "nvcaffe": flavour == "nvcaffe",
        "mean": tuple(number(value) for value in task.mean),
        "scale": number(task.scale),
        **{name: quoted(value) for name, value in names._asdict().items()},
    }


@lru_cache(maxsize=256)
def test_batches(images: int, at_most: int) -> tuple[int, int]:
    """The batch and the number of batches that go through the validation images.

    Caffe counts whole batches and begins again at the first image, so the batch divides
    the images: by the largest divisor up to ``at_most``, unless that is small; then the
    last batch is filled up with images that are counted twice. Unknown number of images
    (0): one batch.
    """
    if images == 0:
        return at_most, 1
    most = min(at_most, images)
    divisor = next(size for size in range(most, 0, -1) if images % size == 0)
    if divisor * 8 < most:
        iterations = -(-images // most)
        return -(-images // iterations), iterations
    return divisor, images // divisor


def sources(task: Task) -> tuple[str, str]:
    """Where the data layers find their images: relative names where there is no data."""
    layer = layer_of(task)
    if task.data:
        found = paths(task.data, layer)
        return found.train, found.val
    ending = "_lmdb" if layer == "lmdb" else ".txt"
    return f"train{ending}", f"val{ending}"


class _Phase(NamedTuple):
    """A phase's data layer, as the template needs it."""

    name: str
    source: str
    batch_size: int
