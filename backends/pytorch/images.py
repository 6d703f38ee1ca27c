"""The images of a data folder, on the device, in Caffe's order.

They go to the device once, as they are stored; each batch is made into what the network
sees there. On the CPU they stay memory-mapped: many trainers share one copy.
"""

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ribosome.backends.data import open_arrays
from ribosome.genome.errors import DataError
from ribosome.genome.task import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Batch = tuple[Tensor, Tensor]
"""float32 images (batch, channels, height, width), and int64 labels (batch,)."""


class Images:
    """Images and labels to draw batches from.

    ``pixels`` is (n, channels, height, width) of uint8 or float32, ``labels`` (n,) of
    int64. A network sees (pixel - mean) * scale.
    """

    def __init__(
        self,
        pixels: Tensor,
        labels: Tensor,
        *,
        mean: tuple[float, ...] = (),
        scale: float = 1.0,
        layout: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self._pixels = pixels
        self._labels = labels
        self._scale = scale
        self._layout = layout
        self._mean = (
            torch.tensor(mean, device=pixels.device).view(-1, 1, 1) if mean else None
        )

    def __len__(self) -> int:
        return len(self._labels)

    def batch(self, iteration: int, size: int) -> Batch:
        """The rows (iteration * size + arange(size)) % n, as Caffe's Data layer reads."""
        first = iteration * size % len(self)
        if first + size <= len(self):
            return self._rows(slice(first, first + size))
        rows = torch.arange(first, first + size, device=self._labels.device)
        return self._rows(rows % len(self))

    def once(self, size: int) -> Iterator[Batch]:
        """Every image once, in order; the last batch may be smaller."""
        for first in range(0, len(self), size):
            yield self._rows(slice(first, first + size))

    def _rows(self, rows: slice | Tensor) -> Batch:
        # With one channel the two layouts differ in their strides alone, which decide what
        # layout a convolution leaves: `to` sets them, `contiguous` would not.
        pixels = self._pixels[rows].to(torch.float32, memory_format=self._layout)
        if self._mean is not None:
            pixels = pixels - self._mean
        # Always a copy: memory-mapped pixels are read-only, and a network may write.
        return pixels * self._scale, self._labels[rows]


def training_and_validation(
    task: Task,
    device: torch.device,
    *,
    layout: torch.memory_format = torch.contiguous_format,
) -> tuple[Images, Images]:
    """The images of the task's data folder, on a device. Raises DataError."""
    arrays = open_arrays(task.data)
    if arrays.train_images.shape[1:] != task.shape:
        raise DataError(
            f"{task.data}: images of shape {arrays.train_images.shape[1:]}, but the "
            f"network was made for {task.shape}; emit it again for this data"
        )
    parts = (
        (arrays.train_images, arrays.train_labels),
        (arrays.val_images, arrays.val_labels),
    )
    training, validation = (
        Images(
            _tensor(pixels).to(device),
            _tensor(_checked(labels, task)).to(device),
            mean=task.mean,
            scale=task.scale,
            layout=layout,
        )
        for pixels, labels in parts
    )
    return training, validation


def _checked(labels: "NDArray[np.int64]", task: Task) -> "NDArray[np.int64]":
    # Out of range, a label ends a CUDA process with an error that names nothing.
    low, high = labels.min(), labels.max()
    if low < 0 or high >= task.classes:
        raise DataError(
            f"{task.data}: labels from {low} to {high}, but the network has "
            f"{task.classes} classes, from 0; correct the labels"
        )
    return labels


def _tensor(array: "NDArray[Any]") -> Tensor:
    with warnings.catch_warnings():
        # torch warns of read-only memory; nothing writes to it.
        warnings.filterwarnings("ignore", message=".*not writable.*")
        return torch.from_numpy(array)
