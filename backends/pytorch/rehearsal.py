"""A small training step on made-up images, so that the first real one is quick.

What torch sets up on first use, and the pages of memory that it touches, are then there
before a forked trainer has its trial. On the CPU only: a GPU is the trial's. Seeds are set
by the trial, so nothing of this is seen in its results.
"""

import torch
from torch import nn

from ribosome.backends.pytorch.device import choose_device
from ribosome.backends.pytorch.images import Images
from ribosome.backends.pytorch.learner import Learner
from ribosome.backends.pytorch.trial import Trial
from ribosome.genome.solver import LearningRate, Solver
from ribosome.genome.task import DIGITS

STEPS = 2


def rehearse() -> None:
    """Train a small network for a step or two, on one thread."""
    torch.set_num_threads(1)
    size = 4
    channels, height, width = DIGITS.shape
    pixels = torch.zeros((size, channels, height, width), dtype=torch.uint8)
    labels = torch.arange(size) % DIGITS.classes
    network = nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(8 * (height // 2) * (width // 2), DIGITS.classes),
    )
    device = choose_device(None, "auto")
    solver = Solver("SGD", 0.01, LearningRate(), size, momentum=0.9)
    images = Images(pixels, labels, layout=device.layout)
    learner = Learner(network, Trial(solver, DIGITS), images, device)
    for iteration in range(STEPS):
        learner.step(iteration, solver.base_lr)
