"""The weights of a network, by the names of its nodes; every framework's files become this."""

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Weights: TypeAlias = "dict[str, dict[str, NDArray[np.float32]]]"
"""Node name to blob name to values, in single precision and of the IR's shapes.

Blob names are those of `ribosome.genome.cost.parameters` (weight, bias, scale, shift, slope),
and of a BatchNorm also ``mean`` and ``variance``, shape (channels,): what it has learned of
its input, as Caffe keeps it divided by its scale factor.
"""
