"""Image folders: ``DIR/class/image.png``, or ``DIR/train/class``, ``DIR/val/class``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ribosome.genome.errors import DataError
from ribosome.tools.sources.source import Labelled, Reading, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".pgm", ".ppm")
)
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM")
"""What a file may be, whatever its name says: Pillow hands PostScript to a program."""

VALIDATION = ("val", "valid", "validation", "test")
GREY = frozenset(("1", "L", "LA"))
DEEP = frozenset(("I;16", "I;16B", "I;16L", "I", "F"))
"""Pillow's modes of grey images with more than 8 bits: they become float32."""


def detect(path: Path) -> bool:
    """Whether the path is a folder with folders of images in it."""
    if not path.is_dir():
        return False
    roots = [path, *_folders(path)]
    return any(_has_images(folder) for root in roots for folder in _folders(root))


def read(path: Path, reading: Reading) -> Source:
    """The images of a folder; their headers are read here, their pixels when wanted."""
    if not path.is_dir():
        raise DataError(f"{path}: not a folder; give one with a folder for each class")
    parts = {folder.name.lower(): folder for folder in _folders(path)}
    validation = next((parts[name] for name in VALIDATION if name in parts), None)
    train = path
    if "train" in parts and not _has_images(parts["train"]):
        train = parts["train"]
        if validation is None and len(parts) > 1:
            raise DataError(
                f"{path}: has a folder train, but none of {', '.join(VALIDATION)}; "
                "rename the other one, or convert the train folder alone"
            )
    else:
        validation = None

    roots = [train] if validation is None else [train, validation]
    names = _class_names(train)
    files = [_files(root, names) for root in roots]
    kind = _kind(path, [file for part in files for file, _ in part], reading)
    read_parts = [
        Labelled(
            FileImages(tuple(file for file, _ in part), kind),
            np.array([label for _, label in part], dtype=np.int64),
        )
        for part in files
    ]
    return Source(read_parts[0], read_parts[1] if validation else None, names)


@dataclass(frozen=True)
class Kind:
    """What every image of a folder becomes: a mode of Pillow's and (height, width)."""

    mode: str
    size: tuple[int, int]
    resize: bool


@dataclass(frozen=True)
class FileImages:
    """Images in files, opened when they are read."""

    files: tuple[Path, ...]
    kind: Kind

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        return (3 if self.kind.mode == "RGB" else 1, *self.kind.size)

    @property
    def dtype(self) -> "np.dtype[Any]":
        """uint8, or float32 for grey images of more than 8 bits."""
        return np.dtype(np.float32 if self.kind.mode == "F" else np.uint8)

    def read(self, rows: Sequence[int]) -> "NDArray[Any]":
        """The images of those rows."""
        block = np.empty((len(rows), *self.shape), self.dtype)
        for out, row in zip(block, rows, strict=True):
            out[:] = self._pixels(self.files[row])
        return block

    def _pixels(self, file: Path) -> "NDArray[Any]":
        from PIL.Image import Resampling

        with _open(file) as image:
            try:
                image = image.convert(self.kind.mode)
            except (OSError, ValueError, SyntaxError) as error:
                raise DataError(
                    f"{file}: a damaged image ({error}); remove or replace it"
                ) from None
            if self.kind.resize:
                height, width = self.kind.size
                image = image.resize((width, height), Resampling.BILINEAR)
            pixels = np.asarray(image)
        if not np.isfinite(pixels).all():
            raise DataError(
                f"{file}: has pixels that are NaN or infinite; replace them before "
                "training"
            )
        return pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels[None]


def _class_names(root: Path) -> tuple[str, ...]:
    names = [folder.name for folder in _folders(root)]
    if names and all(name.isdecimal() for name in names):
        names.sort(key=int)
    if len(names) < 2:
        raise DataError(
            f"{root}: {len(names) or 'no'} folder in it; a classifier needs two or more "
            "classes, a folder of images for each"
        )
    return tuple(names)


def _files(root: Path, names: tuple[str, ...]) -> list[tuple[Path, int]]:
    unknown = [folder.name for folder in _folders(root) if folder.name not in names]
    if unknown:
        raise DataError(
            f"{root / unknown[0]}: a class that has no training images; "
            "add some, or remove the folder"
        )
    found = []
    for label, name in enumerate(names):
        for file in sorted(_images(root / name)):
            found.append((file, label))
    return found


def _kind(root: Path, files: Sequence[Path], reading: Reading) -> Kind:
    """What suits all images, from their headers."""
    modes: set[str] = set()
    first: tuple[Path, tuple[int, int]] | None = None
    for file in files:
        with _open(file) as image:
            modes.add(image.mode)
            size = (image.height, image.width)
            pages = _pages(image, file)
        if pages > 1:
            raise DataError(
                f"{file}: a stack of {pages} images; save each as a file of its own"
            )
        if first is None:
            first = (file, size)
        elif size != first[1] and reading.size is None:
            raise DataError(
                f"{file}: {size[0]}x{size[1]}, but {first[0]} is "
                f"{first[1][0]}x{first[1][1]}; give one size with --size HEIGHTxWIDTH"
            )
    if first is None:
        raise DataError(
            f"{root}: no images directly in its class folders; put them into "
            f"{root.name}/CLASS/, without folders between"
        )
    if modes & DEEP:
        if modes - DEEP - GREY:
            raise DataError(
                f"{first[0].parent.parent}: grey images of more than 8 bits among "
                "colour images; convert them to one kind first"
            )
        mode = "F"
    else:
        mode = "L" if modes <= GREY else "RGB"
    return Kind(mode, reading.size or first[1], resize=reading.size is not None)


def _open(file: Path) -> "Image":
    import PIL.Image

    try:
        return PIL.Image.open(file, formats=FORMATS)
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError):
        raise DataError(
            f"{file}: not an image that can be read; remove or replace it"
        ) from None


def _pages(image: "Image", file: Path) -> int:
    """The images in a file; what a camera adds to a JPEG (MPO) does not count."""
    if image.format == "MPO":
        return 1
    try:
        return getattr(image, "n_frames", 1)
    except (OSError, EOFError, ValueError, SyntaxError) as error:
        raise DataError(
            f"{file}: a damaged image ({error}); remove or replace it"
        ) from None


def _folders(path: Path) -> list[Path]:
    return sorted(
        child
        for child in path.iterdir()
        if child.is_dir() and not child.name.startswith(".")
    )


def _images(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        for child in folder.iterdir():
            if child.suffix.lower() in SUFFIXES and not child.name.startswith("."):
                yield child


def _has_images(folder: Path) -> bool:
    return next(_images(folder), None) is not None
