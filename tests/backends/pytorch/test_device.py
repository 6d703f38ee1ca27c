"""The choice of device, number format and layout."""

from types import SimpleNamespace

import pytest
import torch

from ribosome.backends.pytorch.device import choose_device, fitted
from ribosome.backends.pytorch.endings import Invalid, Usage


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("auto", "float32"), ("single", "float32"), ("mixed", "bfloat16")],
)
def test_a_cpu_is_mixed_only_if_it_is_told_so(precision: str, expected: str) -> None:
    """It gains from channels_last, not from bfloat16."""
    device = choose_device(None, precision)
    assert (device.precision, device.layout) == (expected, torch.channels_last)


@pytest.mark.parametrize(
    ("layer", "layout"),
    [
        (torch.nn.Conv2d(1, 4, 3), torch.channels_last),
        (torch.nn.Conv2d(2, 4, 3, stride=2), torch.channels_last),
        (torch.nn.Conv2d(1, 4, 3, stride=(1, 2)), torch.contiguous_format),
        (torch.nn.Conv2d(4, 4, 3, stride=2, groups=4), torch.contiguous_format),
        (torch.nn.Linear(3, 4), torch.channels_last),
    ],
)
def test_a_network_decides_the_layout_on_a_cpu(
    layer: torch.nn.Module, layout: torch.memory_format
) -> None:
    """One input channel with a stride wants torch's default layout."""
    network = torch.nn.Sequential(layer)
    assert fitted(choose_device(None, "auto"), network).layout == layout


@pytest.mark.parametrize("stride", [(1, 3), (1, 5), (2, 3), (3, 1)])
@pytest.mark.parametrize("kernel", [3, 6])
def test_a_cpu_convolves_one_channel_rightly(
    kernel: int, stride: tuple[int, int]
) -> None:
    """As in double precision, which goes through other code (wrong in channels_last)."""
    torch.manual_seed(1)
    layer = torch.nn.Conv2d(1, 16, kernel, stride=stride)
    device = fitted(choose_device(None, "auto"), layer)
    images = torch.randn(4, 1, 8, 8)
    expected = layer.double()(images.double()).float()
    layer = layer.float().to(memory_format=device.layout)
    for _ in range(5):
        found = layer(images.to(memory_format=device.layout))
        assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("capability", "precision", "expected", "layout"),
    [
        ((6, 1), "auto", "float32", torch.contiguous_format),
        ((6, 1), "mixed", "float16", torch.channels_last),
        ((7, 0), "auto", "float16", torch.channels_last),
        ((7, 0), "single", "float32", torch.contiguous_format),
        ((8, 0), "auto", "bfloat16", torch.channels_last),
        ((9, 0), "auto", "bfloat16", torch.channels_last),
    ],
)
def test_a_gpu_is_mixed_where_it_has_tensor_cores(
    capability: tuple[int, int],
    precision: str,
    expected: str,
    layout: torch.memory_format,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """bfloat16 from capability 8 on; only float16 needs its loss scaled."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    device = choose_device(1, precision)
    assert device.device == torch.device("cuda", 1)
    assert (device.precision, device.layout) == (expected, layout)


@pytest.mark.parametrize(
    ("share", "gib", "taken"),
    [(None, 80, None), ("0.5", 80, 39.375), ("0.25", 16, 3.375), ("0.5", 1, 0.25)],
)
def test_trainers_that_share_a_gpu_leave_each_other_room(
    share: str | None, gib: int, taken: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share less what CUDA itself takes, or half of it where that would be more."""
    limits: list[float] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(
        torch.cuda,
        "get_device_properties",
        lambda _: SimpleNamespace(total_memory=gib << 30),
    )
    monkeypatch.setattr(
        torch.cuda,
        "set_per_process_memory_fraction",
        lambda fraction, _: limits.append(fraction * gib),
    )
    if share is not None:
        monkeypatch.setenv("RIBOSOME_GPU_SHARE", share)
    choose_device(0, "auto")
    assert limits == ([] if taken is None else [pytest.approx(taken)])


@pytest.mark.parametrize("gpu", [-1, 1])
def test_a_gpu_that_is_not_there_is_refused(
    gpu: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the number of those that are."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(Usage, match=f"no GPU {gpu}: torch sees 1 here"):
        choose_device(gpu, "auto")


def test_an_unknown_precision_is_refused() -> None:
    """With those that are known."""
    with pytest.raises(Invalid, match="auto, single or mixed"):
        choose_device(None, "half")
