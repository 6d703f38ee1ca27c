"""Weights in and out of Caffe's ``.caffemodel`` files: one NetParameter, values by layer.

Read: the form of today and the V1 form, single and double precision, shapes as BlobShape or
as num, channels, height and width, and NVCaffe's raw values (FLOAT, FLOAT16 and DOUBLE).
Written: what every Caffe reads.
"""

import os
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ribosome.backends.caffe.wire import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    WireError,
    bytes_field,
    fields,
    signed,
    varint,
    varints,
)
from ribosome.genome.errors import ReadError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Layer = tuple[str, str, Sequence["NDArray[np.float32]"]]
"""A layer's name, type and blobs, in Caffe's order."""

LARGEST = 2**31 - 1
"""Caffe reads no file of more bytes."""

_LAYERS, _LAYER = 2, 100  # of NetParameter: the V1 form, and the one since
_NAME = {_LAYERS: 4, _LAYER: 1}
_BLOBS = {_LAYERS: 6, _LAYER: 7}
_SHAPE, _DATA, _DOUBLE_DATA, _RAW_TYPE, _RAW_DATA = 7, 5, 8, 10, 12  # of BlobProto
_OLD_SHAPE = (1, 2, 3, 4)  # num, channels, height, width
_RAW_TYPES = {0: "<f8", 1: "<f4", 2: "<f2"}
_MOST_AXES = 32  # Caffe's
_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_caffemodel(path: str | Path) -> dict[str, list["NDArray[np.float32]"]]:
    """The blobs of every layer that has some, by the layer's name; read-only arrays.

    Raises ReadError for a file that cannot be read, is damaged, or is no caffemodel.
    """
    import numpy as np

    try:
        buffer = np.fromfile(path, np.uint8).data
    except OSError as error:
        raise ReadError(f"{path}: {error.strerror or error}") from None
    if buffer[:8] == _HDF5:
        raise ReadError(
            f"{path}: an HDF5 file; snapshot with snapshot_format: BINARYPROTO"
        )
    try:
        layers = list(_layers(buffer))
    except (WireError, UnicodeDecodeError) as error:
        raise ReadError(
            f"{path}: no caffemodel, or a damaged one ({error}); copy it anew"
        ) from None
    found: dict[str, list[NDArray[np.float32]]] = {}
    for name, blobs in layers:
        if not blobs:
            continue
        if name in found:
            raise ReadError(f"{path}: two layers {name!r} have weights; rename one")
        found[name] = [_blob(view, f"{path}: layer {name!r}") for view in blobs]
    if not found:
        raise ReadError(f"{path}: no layer in it has weights; give a .caffemodel")
    return found


def write_caffemodel(path: str | Path, name: str, layers: Sequence[Layer]) -> None:
    """Write a network's weights where every Caffe reads them; the file appears whole.

    ``name`` is the network's. Raises ReadError for more than Caffe reads (2 GB), and
    OSError where the file cannot be written.
    """
    head = _bytes(1, name.encode())
    parts = [_layer(layer) for layer in layers]
    total = len(head) + sum(len(part) for layer in parts for part in layer)
    if total > LARGEST:
        raise ReadError(
            f"{path}: would have {total} bytes, and Caffe reads no more than {LARGEST}; "
            "make the network smaller"
        )
    half = Path(f"{path}.{os.getpid()}.part")
    try:
        with half.open("wb") as file:
            file.write(head)
            for layer in parts:
                file.writelines(layer)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def _layers(network: memoryview) -> Iterator[tuple[str, list[memoryview]]]:
    """The name of every layer and the messages of its blobs."""
    for form, kind, layer in fields(network):
        if form not in _NAME or kind != BYTES or isinstance(layer, int):
            continue
        name, blobs = "", []
        for number, kind, value in fields(layer):
            if kind != BYTES or isinstance(value, int):
                continue
            if number == _NAME[form]:
                name = str(value, "utf-8")
            elif number == _BLOBS[form]:
                blobs.append(value)
        yield name, blobs


def _blob(message: memoryview, where: str) -> "NDArray[np.float32]":
    import numpy as np

    old = dict.fromkeys(_OLD_SHAPE, 0)
    shape: list[int] | None = None
    raw_type, kinds = 1, {_DATA: "<f4", _DOUBLE_DATA: "<f8"}
    parts: dict[int, list[memoryview]] = {_DATA: [], _DOUBLE_DATA: [], _RAW_DATA: []}
    try:
        for number, kind, value in fields(message):
            if isinstance(value, int):
                if number in old:
                    old[number] = signed(value)
                elif number == _RAW_TYPE:
                    raw_type = value
            elif number == _SHAPE and kind == BYTES:
                shape = [*(shape or []), *_dims(value)]
            elif number in parts and kind in (BYTES, FIXED32, FIXED64):
                parts[number].append(value)
    except WireError as error:
        raise ReadError(f"{where} is damaged ({error}); copy the file anew") from None
    if parts[_RAW_DATA] and raw_type not in _RAW_TYPES:
        raise ReadError(
            f"{where} holds NVCaffe's raw values of type {raw_type}; snapshot with "
            "store_blobs_in_old_format: true"
        )
    kinds[_RAW_DATA] = _RAW_TYPES.get(raw_type, "")
    number = next((n for n in (_RAW_DATA, _DOUBLE_DATA, _DATA) if parts[n]), _DATA)
    values: Any = (
        parts[number][0] if len(parts[number]) == 1 else b"".join(parts[number])
    )
    dtype = np.dtype(kinds[number])
    if len(values) % dtype.itemsize:
        raise ReadError(f"{where} is damaged: {len(values)} bytes of {dtype.name}")
    array = np.frombuffer(values, dtype)
    sizes = list(old.values()) if shape is None else shape
    if shape is None and not any(sizes):
        sizes = [len(array)]
    if (
        len(sizes) > _MOST_AXES
        or min(sizes, default=1) < 0
        or prod(sizes) != len(array)
    ):
        raise ReadError(
            f"{where} is damaged: {len(array)} values for the shape {tuple(sizes[:8])}"
        )
    if not len(array):
        raise ReadError(f"{where} has a blob without values; train the network first")
    found: NDArray[np.float32]
    with np.errstate(over="ignore"):  # doubles beyond single precision become inf
        found = array.reshape(sizes).astype(np.float32, copy=False)
    found.flags.writeable = False
    return found


def _dims(shape: memoryview) -> list[int]:
    found: list[int] = []
    for number, kind, value in fields(shape):
        if number == 1 and kind == VARINT and isinstance(value, int):
            found.append(signed(value))
        elif number == 1 and kind == BYTES and not isinstance(value, int):
            found += varints(value)
    return found


def _layer(layer: Layer) -> list[bytes | memoryview]:
    """A layer as it stands in the file, in parts: the values are not copied."""
    name, kind, blobs = layer
    parts: list[bytes | memoryview] = [
        _bytes(1, name.encode()) + _bytes(2, kind.encode())
    ]
    for blob in blobs:
        parts += _blob_field(blob)
    size = sum(len(part) for part in parts)
    return [bytes_field(_LAYER, size), *parts]


def _blob_field(blob: "NDArray[np.float32]") -> list[bytes | memoryview]:
    import numpy as np

    values = np.ascontiguousarray(blob, "<f4").reshape(-1).view(np.uint8).data
    dims = b"".join(varint(size) for size in blob.shape)
    head = _bytes(_SHAPE, _bytes(1, dims)) + bytes_field(_DATA, len(values))
    size = len(head) + len(values)
    return [bytes_field(_BLOBS[_LAYER], size) + head, values]


def _bytes(number: int, value: bytes) -> bytes:
    return bytes_field(number, len(value)) + value
