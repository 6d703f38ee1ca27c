"""What every reader of foreign data gives back, and what it can be told."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ribosome.backends.data_write import Images, Normalisation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Reading:
    """How to read: ``size`` is the (height, width) wanted, None as it is.

    ``layout`` says where an array of four axes has its channels: "first" (n, c, h, w),
    "last" (n, h, w, c), or "auto".
    """

    size: tuple[int, int] | None = None
    layout: str = "auto"


@dataclass(frozen=True)
class Labelled:
    """Images and a label for each, from 0 to classes - 1."""

    images: Images
    labels: "NDArray[np.int64]"


@dataclass(frozen=True)
class Source:
    """What a source holds; ``val`` is None where it has no validation images.

    ``class_names`` is empty where the classes have numbers only. ``normalisation`` is
    what a trainer did with these pixels; None where the source does not say.
    """

    train: Labelled
    val: Labelled | None = None
    class_names: tuple[str, ...] = ()
    normalisation: Normalisation | None = None
