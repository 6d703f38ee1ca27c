"""LMDB as Caffe's tools make it: one Datum for each image, in the order of the keys.

Pixels keep the order of channels in which they are stored. Caffe's tools store what
OpenCV gives them, blue before red, and its Data layer makes the same of compressed images
(JPEG, PNG); so these become blue, green, red here as well: a network that was trained on
the database sees what it saw there. Transparency is left out.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ribosome.backends.caffe.data import read_form
from ribosome.backends.caffe.datum import Datum, decode
from ribosome.backends.caffe.wire import Octets
from ribosome.backends.data_write import Normalisation
from ribosome.genome.errors import DataError
from ribosome.tools.sources.parts import training_and_validation, with_sibling
from ribosome.tools.sources.source import Labelled, Reading, Source

if TYPE_CHECKING:
    import lmdb
    from numpy.typing import NDArray

FILE = "data.mdb"
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM")
"""What OpenCV decodes too. Pillow would hand PostScript to a program."""

GREY = frozenset(("1", "L"))
COLOUR = frozenset(("RGB", "RGBA", "P", "LA", "CMYK", "YCbCr"))
"""Pillow's modes of 8 bits: Caffe takes no other compressed images."""


def detect(path: Path) -> bool:
    """Whether the path is an LMDB, or a folder with such in it."""
    return path.name == FILE or (path.is_dir() and bool(_databases(path)))


def read(path: Path, reading: Reading) -> Source:
    """The images of a database, or of two; their labels are read here."""
    databases = _databases(path) if path.is_dir() else []
    if path.name == FILE:
        databases = [path.parent]
    if not databases:
        raise DataError(f"{path}: no {FILE} in it; give the folder of an LMDB")
    if databases == [path]:
        databases = with_sibling(path)
    else:
        databases = training_and_validation(databases, path)
    parts = [_labelled(database, reading) for database in databases]
    val = parts[1] if len(parts) > 1 else None
    form = read_form(databases[0].parent, "lmdb")
    if form is None:
        return Source(parts[0], val)
    normalisation = Normalisation(form.mean, form.scale)
    return Source(parts[0], val, form.class_names, normalisation)


@dataclass(frozen=True)
class LmdbImages:
    """Images in an LMDB, which is opened for each block: no handle outlives a reading."""

    database: Path
    keys: Sequence[bytes]
    shape: tuple[int, int, int]
    dtype: "np.dtype[Any]"
    resize: bool

    def read(self, rows: Sequence[int]) -> "NDArray[Any]":
        """The images of those rows."""
        block = np.empty((len(rows), *self.shape), self.dtype)
        with _opened(self.database) as transaction:
            for out, row in zip(block, rows, strict=True):
                key = self.keys[row]
                where = _place(self.database, key)
                message = transaction.get(key)
                if message is None:
                    raise DataError(f"{where}: gone; convert while nobody writes to it")
                datum = _datum(message, where)
                if not datum.encoded:
                    out[:] = _raw(datum, where)
                    continue
                size = self.shape[1:] if self.resize else None
                pixels = _decompressed(datum.data, where, size)
                if pixels.shape != self.shape:
                    raise DataError(
                        f"{where}: a compressed image of {_text(pixels.shape)}, but the "
                        f"first one is {_text(self.shape)}; "
                        + (
                            "convert them to one kind first"
                            if self.resize or pixels.shape[0] != self.shape[0]
                            else "give one size with --size HEIGHTxWIDTH"
                        )
                    )
                out[:] = pixels
        return block


def _databases(path: Path) -> list[Path]:
    """The folder itself if it is an LMDB, else those in it that are."""
    if (path / FILE).is_file():
        return [path]
    return sorted(child for child in path.iterdir() if (child / FILE).is_file())


def _labelled(database: Path, reading: Reading) -> Labelled:
    _check_file(database)
    keys: list[bytes] = []
    labels: list[int] = []
    shape: tuple[int, int, int] | None = None
    dtype = np.dtype(np.uint8)
    with _opened(database) as transaction:
        for key, message in transaction.cursor():
            where = _place(database, bytes(key))
            datum = _datum(message, where)
            keys.append(bytes(key))
            labels.append(datum.label)
            if datum.encoded:
                if shape is None:
                    shape = _decompressed(datum.data, where, reading.size).shape
                found = np.dtype(np.uint8)
            else:
                pixels = _raw(datum, where)
                if shape is None:
                    shape, dtype = datum.shape, pixels.dtype
                    _check_size(shape, reading, where)
                if datum.shape != shape:
                    raise DataError(
                        f"{where}: {_text(datum.shape)}, but the first image is "
                        f"{_text(shape)}; a network takes images of one shape"
                    )
                found = pixels.dtype
            if found != dtype:
                raise DataError(
                    f"{where}: {found} pixels, but those of the first image are {dtype}; "
                    "convert them to one kind first"
                )
    if shape is None:
        raise DataError(f"{database}: no images; add some")
    resize = reading.size is not None
    images = LmdbImages(database, keys, shape, dtype, resize)
    return Labelled(images, np.array(labels, np.int64))


def _check_file(database: Path) -> None:
    """The pages of the file are sound: LMDB itself would end the process if not."""
    from lmdb.verify import VerifyError, verify

    try:
        problems = verify(str(database))  # type: ignore[no-untyped-call]
    except (VerifyError, OSError) as error:
        problems = [str(error)]
    # Pages that nothing uses waste room, and do no harm.
    problems = [problem for problem in problems if "a leak" not in problem]
    if problems:
        raise DataError(
            f"{database}/{FILE}: not an LMDB, or a truncated or damaged one "
            f"({problems[0]}); get it again"
        )


@contextmanager
def _opened(database: Path) -> "Iterator[lmdb.Transaction[memoryview]]":
    import lmdb

    try:
        with (
            lmdb.open(
                str(database), readonly=True, lock=False, create=False, max_dbs=0
            ) as environment,
            environment.begin(buffers=True) as transaction,
        ):
            yield transaction
    except lmdb.Error as error:
        raise DataError(
            f"{database}: cannot be read as an LMDB ({error}); get it again"
        ) from None


def _datum(message: Octets, where: str) -> Datum:
    try:
        return decode(message)
    except ValueError as error:
        raise DataError(f"{where}: no Datum, or a damaged one ({error})") from None


def _raw(datum: Datum, where: str) -> "NDArray[Any]":
    try:
        return datum.pixels()
    except ValueError as error:
        raise DataError(f"{where}: a damaged Datum ({error})") from None


def _decompressed(
    data: Octets, where: str, size: tuple[int, int] | None
) -> "NDArray[np.uint8]":
    """A JPEG or PNG as Caffe sees it: grey, or blue, green and red."""
    import PIL.Image
    from PIL.Image import Resampling

    try:
        with PIL.Image.open(io.BytesIO(bytes(data)), formats=FORMATS) as image:
            if image.mode not in GREY | COLOUR:
                raise DataError(
                    f"{where}: a compressed image of mode {image.mode}; Caffe reads "
                    "those of 8 bits only: convert it first"
                )
            held = image.convert("L" if image.mode in GREY else "RGB")
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError):
        raise DataError(
            f"{where}: a compressed image that cannot be read; remove or replace it"
        ) from None
    if size is not None:
        held = held.resize((size[1], size[0]), Resampling.BILINEAR)
    pixels = np.asarray(held)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)[::-1]


def _check_size(shape: tuple[int, int, int], reading: Reading, where: str) -> None:
    if reading.size is not None and shape[1:] != reading.size:
        raise DataError(
            f"{where}: {_text(shape)}; only compressed images are resized, so leave "
            f"--size out or make it {shape[1]}x{shape[2]}"
        )


def _place(database: Path, key: bytes) -> str:
    return f"{database}, key {key.decode('utf-8', 'backslashreplace')}"


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
