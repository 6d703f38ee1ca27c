"""Batches: their order, their transform, their layout."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from ribosome.backends.data import read_info
from ribosome.backends.pytorch.images import Images, training_and_validation
from ribosome.genome.errors import DataError
from ribosome.genome.task import Training
from tests.backends.pytorch.conftest import images, write_data

CPU = torch.device("cpu")


def numbered(
    count: int, *, channels: int = 1, dtype: torch.dtype = torch.uint8
) -> Images:
    """Images whose pixels and labels are their row."""
    rows = torch.arange(count)
    pixels = rows.view(-1, 1, 1, 1).expand(-1, channels, 4, 6).to(dtype).contiguous()
    return Images(pixels, rows, layout=torch.channels_last)


@pytest.mark.parametrize("size", [3, 5, 7, 10, 24])
def test_batches_wrap_around_as_caffes_data_layer(size: int) -> None:
    """Batch i is the rows (i * size + arange(size)) % n, also if it is larger than n."""
    data = numbered(10)
    for iteration in range(12):
        rows = (iteration * size + np.arange(size)) % 10
        pixels, labels = data.batch(iteration, size)
        assert labels.tolist() == rows.tolist()
        assert pixels[:, 0, 0, 0].tolist() == rows.tolist()


def test_validation_takes_every_image_once() -> None:
    """The last batch is what is left."""
    labels = [batch[1].tolist() for batch in numbered(10).once(4)]
    assert labels == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_a_network_sees_pixel_minus_mean_times_scale(dtype: torch.dtype) -> None:
    """One mean per channel, as Caffe's transform_param."""
    pixels = torch.tensor([[[[10]], [[20]]]]).to(dtype)
    data = Images(pixels, torch.zeros(1, dtype=torch.int64), mean=(2.0, 4.0), scale=0.5)
    seen, _ = data.batch(0, 1)
    assert seen.dtype is torch.float32
    assert seen.flatten().tolist() == [4.0, 8.0]


def test_a_network_may_write_into_its_batch() -> None:
    """Pixels that need no transform are copied all the same: they may be read-only."""
    data = numbered(4, dtype=torch.float32)
    data.batch(0, 2)[0].fill_(9.0)
    assert data.batch(0, 2)[0].unique().tolist() == [0.0, 1.0]


@pytest.mark.parametrize("size", [2, 7])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_a_convolution_leaves_the_layout_that_was_asked_for(
    dtype: torch.dtype, channels: int, size: int
) -> None:
    """With one channel too, where the strides alone tell one layout from the other."""
    pixels, _ = numbered(5, channels=channels, dtype=dtype).batch(0, size)
    weight = torch.ones(8, channels, 3, 3).contiguous(memory_format=torch.channels_last)
    left = functional.conv2d(pixels, weight)
    assert left.is_contiguous(memory_format=torch.channels_last)
    assert pixels[:, 0, 0, 0].tolist() == [row % 5 for row in range(size)]


def test_images_come_from_the_tasks_data_folder(data: Path) -> None:
    """Training and validation images are those of the folder, transformed."""
    task = replace(
        read_info(str(data)).task(Training()), mean=(90.0, 110.0), scale=0.25
    )
    training, validation = training_and_validation(task, CPU)
    for part, seen in (("train", training), ("val", validation)):
        stored = np.load(data / f"{part}_images.npy").astype(np.float32)
        expected = (stored - np.float32([90, 110]).reshape(2, 1, 1)) * np.float32(0.25)
        pixels, labels = seen.batch(0, len(seen))
        np.testing.assert_array_equal(pixels.numpy(), expected)
        np.testing.assert_array_equal(
            labels.numpy(), np.load(data / f"{part}_labels.npy")
        )


def test_images_of_another_shape_are_refused(data: Path) -> None:
    """A network that was made for other data is not trained on these."""
    task = replace(read_info(str(data)).task(Training()), height=9)
    with pytest.raises(DataError, match="emit it again for this data"):
        training_and_validation(task, CPU)


@pytest.mark.parametrize("label", [-1, 4])
def test_labels_out_of_range_are_refused(tmp_path: Path, label: int) -> None:
    """On a GPU such a label would end the process without a word of what is wrong."""
    pixels, labels = images(6, seed=1)
    wrong = labels.copy()
    wrong[3] = label
    write_data(
        tmp_path / "wrong",
        train_images=pixels,
        train_labels=labels,
        val_images=pixels,
        val_labels=wrong,
    )
    task = read_info(str(tmp_path / "wrong")).task(Training())
    with pytest.raises(DataError, match=f"{label}.*correct the labels"):
        training_and_validation(task, CPU)
