"""One network, three frameworks: the logits and the losses that each computes.

Weights are made once and given to all: as a state_dict to PyTorch, as a caffemodel to
OpenCV's reader and to the real Caffe.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from ribosome.backends.caffe.caffemodel import write_caffemodel
from ribosome.backends.caffe.emit import SOLVER, emit, emit_deploy
from ribosome.backends.caffe.weights import to_caffemodel
from ribosome.backends.pytorch.device import choose_device, fitted
from ribosome.backends.pytorch.images import training_and_validation
from ribosome.backends.pytorch.learner import Learner
from ribosome.backends.pytorch.trial import Trial
from ribosome.backends.pytorch.validation import capped_loss
from ribosome.backends.pytorch.weights import from_state_dict, to_state_dict
from ribosome.backends.weights import Weights
from ribosome.genome.network import Model, Network
from ribosome.genome.ops import BatchNorm, Dropout, Jitter
from ribosome.genome.task import Task
from tests.backends.caffe.kit import run_caffe
from tests.backends.pytorch.module_kit import load

Array = NDArray[np.float32]


def weights_of(model: Model, seed: int) -> Weights:
    """Weights as the fillers make them; batch norms have seen something already."""
    torch.manual_seed(seed)
    weights = from_state_dict(model.network, load(model.network).state_dict())
    rng = np.random.default_rng(seed)
    for node in model.network.nodes:
        if isinstance(node.op, BatchNorm):
            size = node.shape[0]
            learned = weights[node.name]
            learned["mean"] = rng.normal(0.0, 0.1, size).astype(np.float32)
            learned["variance"] = rng.uniform(0.5, 2.0, size).astype(np.float32)
    return weights


def by_torch(model: Model, weights: Weights, images: Array) -> Array:
    """What PyTorch's module gives for images, in evaluation mode."""
    network = load(model.network)
    network.load_state_dict(to_state_dict(model.network, weights))
    with torch.no_grad():
        given: Array = network(torch.from_numpy(images)).numpy()
    return given


def caffe_files(folder: Path, model: Model, task: Task, weights: Weights) -> Path:
    """``net.prototxt``, the deploy file, and ``net.caffemodel``; the latter's path."""
    (folder / "net.prototxt").write_text(emit_deploy(model, task, "caffe"))
    path = folder / "net.caffemodel"
    write_caffemodel(path, "net", to_caffemodel(model.network, weights))
    return path


def by_opencv(
    folder: Path, model: Model, task: Task, weights: Weights, images: Array
) -> Array:
    """What OpenCV computes from the deploy file and the caffemodel."""
    import cv2

    path = caffe_files(folder, model, task, weights)
    net = cv2.dnn.readNetFromCaffe(str(folder / "net.prototxt"), str(path))
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    net.enableFusion(False)
    net.setInput(images)
    given: Array = net.forward(model.network.output.name)
    return given


def by_caffe(
    folder: Path, model: Model, task: Task, weights: Weights, images: Array
) -> Array:
    """What `caffe test` computes: it prints every value of what nothing consumes."""
    path = caffe_files(folder, model, task, weights)
    with h5py.File(folder / "images.h5", "w") as file:
        file["data"] = images
    (folder / "images.txt").write_text(f"{folder}/images.h5\n")
    text = (folder / "net.prototxt").read_text()
    reading = f"""layer {{
  name: "data"
  type: "HDF5Data"
  top: "data"
  hdf5_data_param {{
    source: "{folder}/images.txt"
    batch_size: {len(images)}
  }}
}}
"""
    head, _, rest = text.partition("layer {")
    layers = rest.split("layer {")[1:]
    if 'type: "Softmax"' in layers[-1]:
        layers.pop()
    text = head + reading + "".join(f"layer {{{layer}" for layer in layers)
    (folder / "test.prototxt").write_text(text)
    log = run_caffe(
        ["test", "-model", "test.prototxt", "-weights", str(path), "-iterations", "1"],
        folder,
    )
    values = re.findall(r"Batch 0, \S+ = (\S+)", log)
    return np.array(values, np.float32).reshape(
        len(images), *model.network.output.shape
    )


def difference(ours: Any, theirs: Any) -> float:
    """The largest difference, relative to the largest value."""
    return float(np.abs(ours - theirs).max() / max(np.abs(ours).max(), 1e-12))


def without_noise(model: Model) -> Model:
    """The model without dropout and jitter, which no two frameworks draw alike."""
    stands_for: dict[str, str] = {}
    kept = []
    for node in model.network.nodes:
        inputs = tuple(stands_for.get(name, name) for name in node.inputs)
        if isinstance(node.op, Dropout | Jitter):
            stands_for[node.name] = inputs[0]
        else:
            kept.append(replace(node, inputs=inputs))
    return replace(model, network=Network(tuple(kept)))


def losses_by_torch(model: Model, task: Task, weights: Weights) -> Array:
    """The loss of every iteration of our trainer, from these weights on."""
    network = load(model.network).train()
    network.load_state_dict(to_state_dict(model.network, weights))
    device = fitted(choose_device(None, "single"), network)
    images, _ = training_and_validation(task, device.device, layout=device.layout)
    learner = Learner(network, Trial(model.solver, task), images, device)
    iterations = task.training.max_iterations
    schedule = model.solver.schedule(iterations)
    losses = []
    for iteration in range(iterations):
        trained = learner.step(iteration, schedule.rate(iteration))
        losses.append(capped_loss(trained.logits, trained.labels).mean().item())
    return np.array(losses, np.float32)


def losses_by_caffe(folder: Path, model: Model, task: Task, weights: Weights) -> Array:
    """The loss of every iteration of `caffe train`, from these weights on."""
    path = caffe_files(folder, model, task, weights)
    for name, text in emit(model, task, "caffe").items():
        text = text.replace(
            "solver_mode: GPU", "solver_mode: CPU\nsnapshot_after_train: false"
        )
        (folder / name).write_text(text)
    log = run_caffe(["train", "-solver", SOLVER, "-weights", path.name], folder)
    found = re.findall(r"Iteration (\d+).*?, loss = (\S+)", log)
    losses = {int(iteration): float(loss) for iteration, loss in found}
    return np.array(
        [losses[number] for number in range(task.training.max_iterations)], np.float32
    )
