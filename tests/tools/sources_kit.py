"""Small sources in every format, for the tests of their readers."""

import gzip
import struct
from pathlib import Path

import numpy as np
from PIL import Image

IDX_CODES = {
    "uint8": 8,
    "int8": 9,
    "int16": 11,
    "int32": 12,
    "float32": 13,
    "float64": 14,
}


def write_idx(path: Path, array: np.ndarray) -> Path:
    """Write an IDX file, gzipped if its name says so."""
    head = bytes([0, 0, IDX_CODES[array.dtype.name], array.ndim])
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    data = head + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_mnist(folder: Path, *, suffix: str = "", count: int = 6) -> np.ndarray:
    """Write a training and a validation set as MNIST names them; the training images."""
    folder.mkdir(exist_ok=True)
    images = np.arange(count * 6, dtype=np.uint8).reshape(count, 2, 3)
    labels = (np.arange(count) % 2).astype(np.uint8)
    for part, n in (("train", count), ("t10k", count // 2)):
        write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", images[:n])
        write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", labels[:n])
    return images


def write_image(path: Path, pixels: np.ndarray) -> Path:
    """Write an image file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def pixels(source, part: str = "train") -> np.ndarray:
    """All images of one part of a source, in its order."""
    images = getattr(source, part).images
    return images.read(range(len(getattr(source, part).labels)))
