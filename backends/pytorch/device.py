"""Where a network trains, and in which number format and memory layout.

Mixed precision and channels_last are used where the device gains from them. A GPU with
tensor cores gains from both: bfloat16 from compute capability 8 on, float16 with a scaled
loss before. A CPU gains from channels_last alone: 1.0 to 1.6 times as many batches/s in
bench/trainer.py, most on large maps.
"""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import nn

from ribosome.backends.base import GPU_SHARE
from ribosome.backends.pytorch.endings import Invalid, Usage

_OUTSIDE_BYTES = 640 << 20
"""What a process takes of a GPU outside PyTorch's allocator: CUDA's context and kernels."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device and how to use it; ``half`` is None for float32 throughout."""

    device: torch.device
    half: torch.dtype | None
    layout: torch.memory_format

    @property
    def precision(self) -> str:
        """The number format of the matrix products: float32, bfloat16 or float16."""
        return str(self.half or torch.float32).removeprefix("torch.")

    def autocast(self) -> AbstractContextManager[object]:
        """What the forward pass runs in."""
        if self.half is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.half)

    def synchronize(self) -> None:
        """Wait until the device has done all that it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def scaler(self) -> torch.amp.GradScaler:
        """A scaler of the loss: only float16 needs one, else it does nothing."""
        on = self.half is torch.float16
        return torch.amp.GradScaler(self.device.type, enabled=on)


def choose_device(gpu: int | None, precision: str) -> Device:
    """The GPU of that index among the visible ones, or the CPU, and how to use it.

    ``precision`` is auto, single or mixed. Where trainers share the GPU, this process takes
    no more of its memory than its share, so that what fits does not depend on the others.
    Raises Usage for a GPU that is not there.
    """
    if precision not in ("auto", "single", "mixed"):
        raise Invalid(f"precision {precision!r}: it is auto, single or mixed")
    if gpu is None:
        half = torch.bfloat16 if precision == "mixed" else None
        return Device(torch.device("cpu"), half, torch.channels_last)
    count = torch.cuda.device_count()
    if not 0 <= gpu < count:
        raise Usage(
            f"no GPU {gpu}: torch sees {count} here; leave out --gpu for the CPU"
        )
    torch.cuda.set_device(gpu)
    if share := os.environ.get(GPU_SHARE):
        _take_share(float(share), gpu)
    capability = torch.cuda.get_device_capability(gpu)
    gains = precision == "mixed" or (precision == "auto" and capability >= (7, 0))
    half = None
    if gains:
        half = torch.bfloat16 if capability >= (8, 0) else torch.float16
    layout = torch.channels_last if gains else torch.contiguous_format
    return Device(torch.device("cuda", gpu), half, layout)


def _take_share(share: float, gpu: int) -> None:
    total = torch.cuda.get_device_properties(gpu).total_memory
    rest = max(share - _OUTSIDE_BYTES / total, share / 2)
    torch.cuda.set_per_process_memory_fraction(rest, gpu)


def fitted(device: Device, network: nn.Module) -> Device:
    """The device with a layout that computes this network rightly.

    On a CPU in channels_last, torch 2.13 (oneDNN with AVX-512) reads memory that nobody
    wrote for convolutions of one input channel with a stride, and for no other of 28,000
    random ones, forward and backward.
    """
    if device.device.type == "cpu" and any(
        isinstance(layer, nn.Conv2d)
        and layer.in_channels == layer.groups
        and layer.stride != (1, 1)
        for layer in network.modules()
    ):
        return replace(device, layout=torch.contiguous_format)
    return device
