"""Batches per second of the PyTorch trainer against a plain torch loop, on one CPU thread.

::

    python bench/trainer.py [--seconds 2]

The plain loop is the one that anybody would write: the images a float32 tensor in memory,
`torch.optim.SGD` as it comes, one loss read every 50 iterations. The trainer is run in
torch's default layout too, so that the gain of channels_last can be told from the gain of
the rest. The three take turns, and the best round of each counts. Time is the process's
own CPU time, so that other work on the machine falsifies little.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ribosome.backends.pytorch.device import choose_device
from ribosome.backends.pytorch.images import Images
from ribosome.backends.pytorch.learner import Learner
from ribosome.backends.pytorch.trial import Trial
from ribosome.genome.solver import LearningRate, Solver
from ribosome.genome.task import Task

ROUNDS = 10
IMAGES = 1024


def main() -> None:
    """Print a table: a line per network, batches/s of each loop, and the gain."""
    options = argparse.ArgumentParser(description="The trainer against a plain loop.")
    options.add_argument(
        "--seconds", type=float, default=2.0, help="per loop and network"
    )
    seconds = options.parse_args().seconds
    torch.set_num_threads(1)
    loops = {
        "plain": plain,
        "ours, contiguous": lambda *case: ours(*case, layout=torch.contiguous_format),
        "ours": ours,
    }
    print(f"batches/s, {torch.__version__}, one thread")
    print(
        f"{'network':<34}" + "".join(f"{name:>22}" for name in loops) + f"{'gain':>8}"
    )
    for name, (network, size, batch_size) in CASES.items():
        speeds = race(
            {loop: make(network, size, batch_size) for loop, make in loops.items()},
            seconds / ROUNDS,
        )
        line = "".join(f"{speed:>22.1f}" for speed in speeds.values())
        print(f"{name:<34}{line}{speeds['ours'] / speeds['plain']:>7.2f}x", flush=True)


def race(loops: dict[str, Callable[[int], None]], seconds: float) -> dict[str, float]:
    """Batches per second of each loop in its best round."""
    best = dict.fromkeys(loops, 0.0)
    done = dict.fromkeys(loops, 0)
    for _ in range(ROUNDS):
        for name, step in loops.items():
            first, start = done[name], time.process_time()
            while time.process_time() < start + seconds or done[name] < first + 3:
                step(done[name])
                done[name] += 1
            elapsed = time.process_time() - start
            best[name] = max(best[name], (done[name] - first) / elapsed)
    return best


def ours(
    network: Callable[[], nn.Module],
    size: int,
    batch_size: int,
    *,
    layout: torch.memory_format | None = None,
) -> Callable[[int], None]:
    """One iteration of the trainer: batch, forward, backward, update, check of the loss."""
    pixels, labels = data(size)
    solver = Solver(
        "SGD", 0.01, LearningRate(), batch_size, momentum=0.9, weight_decay=0.0005
    )
    device = choose_device(None, "auto")
    device = replace(device, layout=layout or device.layout)
    images = Images(pixels, labels, scale=1 / 256, layout=device.layout)
    torch.manual_seed(1)
    trial = Trial(solver, Task("bench", 1, size, size, 10))
    learner = Learner(network(), trial, images, device)

    def step(iteration: int) -> None:
        learner.step(iteration, 0.01).loss.item()

    return step


def plain(
    network: Callable[[], nn.Module], size: int, batch_size: int
) -> Callable[[int], None]:
    """One iteration of the loop that anybody would write."""
    pixels, labels = data(size)
    images = pixels.float() / 256
    torch.manual_seed(1)
    model = network()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.01, momentum=0.9, weight_decay=0.0005
    )

    def step(iteration: int) -> None:
        first = iteration * batch_size % IMAGES
        rows = slice(first, first + batch_size)
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(images[rows]), labels[rows])
        torch.autograd.backward(loss)
        optimizer.step()
        if iteration % 50 == 0:
            loss.item()

    return step


def data(size: int) -> tuple[Tensor, Tensor]:
    """Noise: uint8 images of one channel, and labels of ten classes."""
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (IMAGES, 1, size, size), dtype=np.uint8)
    return torch.from_numpy(pixels), torch.from_numpy(rng.integers(0, 10, IMAGES))


def lenet() -> nn.Module:
    """Caffe's LeNet for 28 x 28 images: 431,080 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 20, 5),
        nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(800, 500),
        nn.ReLU(),
        nn.Linear(500, 10),
    )


def small() -> nn.Module:
    """Two convolutions for 8 x 8 images: 13,706 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def deep() -> nn.Module:
    """Eight convolutions with batch normalisation for 8 x 8 images: overhead prevails."""
    layers: list[nn.Module] = []
    for channels in (1, *[16] * 7):
        layers += [nn.Conv2d(channels, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 10))


def dense() -> nn.Module:
    """Inner products only, for 8 x 8 images: a million parameters, memory prevails."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 1024),
        nn.ReLU(),
        nn.Linear(1024, 1024),
        nn.ReLU(),
        nn.Linear(1024, 10),
    )


CASES: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "LeNet, 28 x 28, batch 64": (lenet, 28, 64),
    "LeNet, 28 x 28, batch 16": (lenet, 28, 16),
    "2 convolutions, 8 x 8, batch 64": (small, 8, 64),
    "2 convolutions, 8 x 8, batch 16": (small, 8, 16),
    "8 convolutions, 8 x 8, batch 16": (deep, 8, 16),
    "3 inner products, 8 x 8, batch 16": (dense, 8, 16),
}


if __name__ == "__main__":
    main()
